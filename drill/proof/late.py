"""The second look at dual-write, at the end of a drill: what was not on the target at first may have come there late.

A dual-write behind a queue, a batch or an outbox is silent for as long as that waits. So the documents of the first
look are looked up again, beside known ones, once all else is done; what the purge has deleted is looked for, too. A
verdict only gets worse by it, and a target that cannot be asked changes none.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from drill.checks.silence import short
from drill.context import Drill
from drill.disobedience import next_step, note, who
from drill.envfile import FLAGS
from drill.errors import CannotMeasure
from drill.proof.copies import Copy
from drill.proof.flags import Flag
from drill.proof.lookup import LookUp, look_up
from drill.proof.ranks import Rank
from drill.proof.removal import Places, merged
from drill.proof.stores import Stores, bounded
from drill.proof.strangers import Strangers, carries, in_words, some_of, strangers
from drill.record import Evidence, Scalar
from drill.steps.inventories import MAX_LOOKED_UP, Inventory
from drill.verdict import Verdict
from drill.words import count

if TYPE_CHECKING:
    from drill.steps.witness import WriteWitness

ROW = "disable_dual_write"
AGAIN_S = 30.0
"""How long the second look may take; one that takes longer is left alone."""


@dataclass(frozen=True, slots=True)
class Again:
    """What the target holds at the end of the drill."""

    seen: LookUp
    others: Strangers
    purged: Mapping[str, Inventory] = field(default_factory=dict)
    """What this drill's purge has deleted, with the hash it had on the target."""
    back: Mapping[str, Inventory] = field(default_factory=dict)
    """What of it is on the target again."""


def look_again(drill: Drill) -> None:
    """Look once more, once in a drill, and make the row worse if need be; remove canaries that came late."""
    witness, drill.witness = drill.witness, None
    if witness is None:
        return
    from drill.leaks.of_drill import withheld

    entry = drill.record.entries[ROW]
    try:
        found = judge_again(drill, witness, entry.evidence)
    except Exception as error:  # noqa: BLE001 - the report and the journal line are written whatever becomes of a look
        reason = f"the second look failed: {type(error).__name__}; please report it; {entry.evidence.reason}"
        worse = entry.evidence.verdict.rank < Verdict.ERROR.rank
        found = entry.evidence.judged(Verdict.ERROR, reason) if worse else entry.evidence
    if found != entry.evidence:
        entry.evidence = withheld(found, drill.leaks)
        if found.verdict is Verdict.FAIL:
            _note(drill, found.reason)
        drill.events.row(entry)


def _note(drill: Drill, reason: str) -> None:
    """Note who was seen to disobey only now, and what to do about it."""
    if drill.record.disobeyed:
        return
    key = Flag.DUAL_WRITE.key
    for name in who(reason, [short(url) for url in drill.service.instances]):
        note(drill.record, name, f"{key}={FLAGS[key]}", "seen at the end of the drill")
    drill.record.next_step = next_step(drill.record, drill.config.service.flags_path)


def judge_again(drill: Drill, witness: "WriteWitness", evidence: Evidence) -> Evidence:
    """Return ``evidence`` of the first look, made worse by what has come to the target since."""
    drill.tick("looking once more for what must not reach the target")
    again = bounded(lambda: _look(drill, witness), AGAIN_S)
    if isinstance(again, str):
        return replace(evidence, detail={**evidence.detail, "looked up again at the end": again})
    verdict, told = _verdict(witness, again, evidence)
    left = witness.canary.remove_late(merged(_own(witness, again.seen), again.others.canaries))
    if verdict.rank > evidence.verdict.rank:
        reason = f"at the end of the drill: {told}; at first: {evidence.reason}"
        evidence = replace(evidence, verdict=verdict, reason=reason, proof="")
    reason = "; ".join((evidence.reason, *left))
    return replace(evidence, reason=reason, detail={**evidence.detail, **_facts(again)})


def _look(drill: Drill, witness: "WriteWitness") -> Again:
    purged = _purged(drill)
    stores, fresh = _without(witness.written.stores, purged), _fresh(witness)
    seen = look_up(drill, stores, fresh) if fresh else LookUp()
    others = strangers(drill, stores, fresh, witness.canary.birds)
    return Again(seen, others, purged, _back(drill, purged))


def _fresh(witness: "WriteWitness") -> dict[str, Inventory]:
    """Return what was written since, by now too; in tenants that were not listed, only what was known at first."""
    first, listed = witness.fresh, witness.written.stores.target
    now, _ = witness.written.fresh()
    found = {
        tenant: {
            **first.get(tenant, {}),
            **{
                name: digest
                for name, digest in now.get(tenant, {}).items()
                if tenant in listed or name in first.get(tenant, {})
            },
        }
        for tenant in dict.fromkeys((*first, *now))
    }
    for bird in witness.canary.birds:
        if bird.lost:
            found.setdefault(bird.tenant, {})[bird.id] = bird.hash
    return found


def _purged(drill: Drill) -> dict[str, Inventory]:
    """Return what this drill's own purge has deleted from the target, as far as its quarantine can be read."""
    from drill.purge.quarantine import DamagedPart, part_paths, read_part

    found: dict[str, Inventory] = {}
    for path in part_paths(drill.work_dir / "quarantine") if drill.record.purge.purged else ():
        with suppress(DamagedPart):  # `purge status` shows it; what else has come is looked for all the same
            part, rows = read_part(path)
            if not part.pending:
                found.setdefault(part.tenant, {}).update(row.pair for row in rows)
    return found


def _without(stores: Stores, purged: Mapping[str, Inventory]) -> Stores:
    """Return the stores as if what the purge has deleted had not been on the target: it is not there any more."""
    target, both = (
        {tenant: _less(items, purged.get(tenant, {})) for tenant, items in side.items()}
        for side in (stores.target, stores.both)
    )
    return replace(stores, target=target, both=both)


def _less(items: Inventory, gone: Inventory) -> Inventory:
    return {name: digest for name, digest in items.items() if name not in gone}


def _back(drill: Drill, purged: Mapping[str, Inventory]) -> dict[str, Inventory]:
    """Return what of it is on the target again, of so many as can be looked up; nothing where the target is silent."""
    if not purged:
        return {}
    with suppress(CannotMeasure), closing(drill.open_target()) as target:
        return {tenant: dict(target.present(tenant, list(items)[:MAX_LOOKED_UP])) for tenant, items in purged.items()}
    return {}


def _verdict(witness: "WriteWitness", again: Again, evidence: Evidence) -> tuple[Verdict, str]:
    """Return what the second look alone shows, and why."""
    if bad := [text for text in _arrived(witness, again) if text]:
        return Verdict.FAIL, f"{'; '.join(bad)}: dual-write is still on"
    if doubtful := [text for text in _doubts(witness, again, evidence) if text]:
        return Verdict.INCONCLUSIVE, "; ".join(doubtful)
    return Verdict.PASS, ""


def _arrived(witness: "WriteWitness", again: Again) -> Iterator[str]:
    seen, faiss = again.seen, witness.written.stores.faiss
    if seen.reached:
        later_s = time.monotonic() - witness.looked_at
        yield (
            f"{seen.reached} of {len(seen.copies)} documents written since the reload came to the target late: they "
            f"are there {later_s:.0f} s after the first look ({seen.controls} known documents found in the same "
            f"calls){witness.through(seen)}"
        )
    if again.others.of_canary:
        yield f"the canary came to the target late, under another id ({some_of(again.others.of_canary)})"
    canaries = {
        tenant: {name for name in items if any(carries(name, items[name], bird) for bird in witness.canary.birds)}
        for tenant, items in again.purged.items()
    }
    yield _told("the purge met the canary on the target", canaries)
    again_same = {
        tenant: {name for name, digest in items.items() if digest and digest == faiss.get(tenant, {}).get(name)}
        for tenant, items in again.back.items()
    }
    yield _told("what the purge has deleted is on the target again, as FAISS has it", again_same)


def _doubts(witness: "WriteWitness", again: Again, evidence: Evidence) -> Iterator[str]:
    known = witness.seen.not_written
    suspect = [place for place, copy in again.seen.copies.items() if copy is Copy.SUSPECT and place in known]
    if suspect and evidence.proof == Rank.EFFECT:
        seen = count(len(suspect), "document")
        yield f"{seen} written since the reload with another copy on the target than at first"
    yield again.others.came
    yield _told(
        "what the purge has deleted had come to the target only since the reload", _since(witness, again.purged)
    )
    yield _told("what the purge has deleted is on the target again", {key: set(had) for key, had in again.back.items()})


def _since(witness: "WriteWitness", purged: Mapping[str, Inventory]) -> Places:
    """Return what the purge met on the target that was not there, or not so, when the service settled."""
    target = witness.written.stores.target
    return {
        tenant: {name for name, digest in items.items() if target[tenant].get(name, "-").lower() != digest.lower()}
        for tenant, items in purged.items()
        if tenant in target
    }


def _told(what: str, places: Places) -> str:
    names = in_words(places)
    return f"{what}: {some_of(names)}" if names else ""


def _own(witness: "WriteWitness", seen: LookUp) -> Places:
    """Return the canaries that have come to the target under the ids that they have in FAISS, or were to have."""
    came = {Copy.REACHED, Copy.OTHERWISE}
    there = [bird.place for bird in witness.canary.birds if seen.copies.get(bird.place) in came]
    return merged(*({tenant: {name}} for tenant, name in there))


def _facts(again: Again) -> dict[str, Scalar]:
    problem = {"the second look": "; ".join(again.seen.problems)} if again.seen.problems else {}
    return {
        "looked up again at the end": len(again.seen.copies),
        "known documents found again": again.seen.controls,
        **problem,
    }

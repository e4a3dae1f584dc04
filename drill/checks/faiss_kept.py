"""Does FAISS still hold at the end what it held at the beginning: count, known documents, one tenant at a time.

Searches cannot tell: an index of two documents answers every query with a list. So the files are looked at, before
anything is written and again at the end, and documents that were there are asked for by their ids.
"""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

from drill.checks.faiss_answers import answers_in, judge_answers
from drill.checks.faiss_texts import judge_texts, misfits
from drill.config import Primary as Settings
from drill.context import Drill
from drill.errors import CannotMeasure, DrillError, NoFallback
from drill.observation import Window
from drill.primary import Held, Look, Primary
from drill.record import Evidence, Scalar
from drill.verdict import Verdict, worst
from drill.words import count

SAMPLE, SAMPLES = 1_000, 100_000
"""Known documents that are asked for again, of a tenant and of all together at most."""
FEWEST = 50
"""Known documents of a tenant, however many tenants there are."""
HELD = 100
"""Tenants whose files are held open: two files each, of the 1,024 that a process may have."""
COPIED = 32 * 1024 * 1024
"""Bytes of memory that copies of their files may take, of all tenants together, and of each kind of file."""
SURE = 0.9999
"""How sure a sample must be that too many are gone: every tenant of every drill is judged by one."""
SHOWN = 4
"""Tenants that are spelled out in a reason; the rest is counted."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What became of one tenant. Of a tenant that could not be compared, ``now`` and ``gone`` are 0."""

    verdict: Verdict
    text: str
    tenant: str
    before: int = 0
    now: int = 0
    asked: int = 0
    gone: int = 0
    misfits: int = 0
    """Known documents with another text and the vector they had."""
    detail: dict[str, Scalar] = field(default_factory=dict)


def remember(primary: Primary, tenants: Sequence[str]) -> dict[str, Look]:
    """Return every tenant as it is now, with documents to ask for later. Raises NoFallback, PrimaryUnreadable."""
    size = max(FEWEST, min(SAMPLE, SAMPLES // len(tenants)))
    return {tenant: primary.look(tenant, sample=size) for tenant in tenants}


def hold(primary: Primary, tenants: Sequence[str]) -> dict[str, Held]:
    """Return every tenant as it is now, whole; less those that cannot be held, or are too many. Reads no document."""
    found: dict[str, Held] = {}
    keep = getattr(primary, "hold", None)
    if keep is None:  # a list of documents, without texts or vectors
        return found
    for tenant in tenants[:HELD]:
        with suppress(CannotMeasure, OSError):
            found[tenant] = keep(tenant, COPIED // min(len(tenants), HELD))
    return found


def faiss(drill: Drill, window: Window) -> Evidence:
    """Judge every tenant against what was remembered before anything was written, and what probes were answered."""
    return _judge(drill, window)


def faiss_again(drill: Drill) -> Evidence | None:
    """Judge once more at the end of the drill; ``None`` where no file has changed since."""
    primary = drill.primary
    if primary is None:
        return None
    try:
        if all(primary.version(tenant) == seen for tenant, seen in drill.faiss_versions.items()):
            return None
    except DrillError:
        pass  # what is wrong is found, and waited for, by looking
    return _judge(drill)


def loss(drill: Drill) -> str:
    """Say what FAISS has lost since it was looked at first, beyond what users may have deleted; empty: nothing.

    A text that has changed under the vector it had is lost, too: the target's copy of it looks stale.
    """
    if drill.primary is None:
        return ""
    found = [_kept(drill, drill.primary, tenant, None) for tenant in drill.config.service.tenants]
    evidence = _together(found, drill.config.primary)
    damaged = [one.text for one in found if one.misfits]
    return evidence.reason if evidence.verdict is Verdict.FAIL else _spelled_out(damaged)


def _judge(drill: Drill, window: Window | None = None) -> Evidence:
    if drill.primary is None:
        return Evidence(Verdict.NOT_RUN, drill.no_primary)
    settings = drill.config.primary
    found = [_kept(drill, drill.primary, tenant, window) for tenant in drill.config.service.tenants]
    return _together(found, settings)


def _kept(drill: Drill, primary: Primary, tenant: str, window: Window | None) -> Kept:
    before = drill.faiss_before.get(tenant)
    answers = answers_in(drill, window, tenant) if window else None
    wanted = {*(before.sample if before else ()), *(answers.ids if answers else ())}
    try:
        now = primary.look(tenant, wanted)
    except NoFallback as lost:
        return _unseen(Verdict.FAIL, lost, tenant, before)
    except CannotMeasure as problem:
        return _unseen(Verdict.INCONCLUSIVE, problem, tenant, before)
    drill.faiss_versions[tenant] = now.version
    if before is None or not before.sample:
        return Kept(Verdict.INCONCLUSIVE, f"{tenant}: not looked at before, nothing to compare with", tenant)
    before = _without(before, drill.swept.get(tenant, set()))
    kept = compared(tenant, before, now, drill.config.primary)
    return _with_answers(kept, *judge_answers(drill, primary, tenant, answers, now)) if answers else kept


def _unseen(verdict: Verdict, problem: DrillError, tenant: str, before: Look | None) -> Kept:
    """Return what is known of a tenant that could not be looked at."""
    kept = Kept(verdict, str(problem), tenant)
    return replace(kept, before=before.facts.distinct) if before else kept


def _with_answers(kept: Kept, verdict: Verdict, text: str) -> Kept:
    """Return what became of a tenant with the verdict on its answers: the worse of the two counts."""
    detail = {**kept.detail, f"{kept.tenant}: answers": text} if text else kept.detail
    final = worst([kept.verdict, verdict])
    if not text or final is not verdict:
        return replace(kept, detail=detail)
    told = f"{kept.text}; {text}" if final is kept.verdict else f"{kept.tenant}: {text}"
    return replace(kept, verdict=verdict, text=told, detail=detail)


def _without(look: Look, ids: set[str]) -> Look:
    """Return a look as if documents that the drill itself removed had not been there."""
    facts = replace(look.facts, documents=look.facts.documents - len(ids))
    return replace(look, facts=facts, sample=tuple(name for name in look.sample if name not in ids))


def compared(tenant: str, before: Look, now: Look, settings: Settings) -> Kept:
    """Judge one tenant by two looks at it."""
    asked, gone = len(before.sample), len(set(before.sample) - now.found)
    verdict, text = _verdict(before, now, gone, settings)
    old, new = before.facts, now.facts
    detail: dict[str, Scalar] = {
        f"{tenant}: documents before": old.distinct,
        f"{tenant}: documents now": new.distinct,
        f"{tenant}: known documents gone": f"{gone} of {asked}",
        f"{tenant}: age s": round(new.age_s, 1),
        f"{tenant}: snapshot": "replaced" if now.version != before.version else "the same",
    }
    return Kept(
        verdict, f"{tenant}: {text}", tenant, old.distinct, new.distinct, asked, gone, misfits(before, now), detail
    )


def _verdict(before: Look, now: Look, gone: int, settings: Settings) -> tuple[Verdict, str]:
    old, new = before.facts, now.facts
    if lost := _lost(before, now, gone, may_go(old.distinct, settings)):
        return Verdict.FAIL, lost
    texts, told = judge_texts(before, now, may_go(len(before.hashes), settings))
    if texts is Verdict.FAIL:
        return texts, told
    fallen = max(old.distinct - new.distinct, 0)
    left = f"{gone} of {len(before.sample)} known ones gone"
    seen = f"{count(fallen, 'document')} fewer than at the beginning, {left}"
    doubts = _doubts(before, now)
    if (fallen or gone) and not settings.expect_deletes:
        doubts = [f"{seen}; if users delete documents, say so: [primary] expect_deletes = true", *doubts]
    if texts is Verdict.INCONCLUSIVE:
        doubts.append(told)
    if doubts:
        return Verdict.INCONCLUSIVE, "; ".join(doubts)
    passed = f"{seen}, as users delete" if fallen or gone else count(new.distinct, "document")
    return Verdict.PASS, "; ".join(filter(None, (passed, told)))


def _lost(before: Look, now: Look, gone: int, allowed: int) -> str:
    """Say what is lost beyond what users may have deleted; empty: nothing."""
    old, new, asked = before.facts, now.facts, len(before.sample)
    if new.dimension != old.dimension:
        return f"dimension {new.dimension}, {old.dimension} at the beginning"
    if old.distinct - new.distinct > allowed:
        return f"{new.distinct} documents, {old.distinct} at the beginning; {allowed} may have gone"
    if 2 * gone > asked or _at_least(gone, asked, old.distinct) > allowed:
        return f"{gone} of {asked} known documents are gone; {allowed} of {old.distinct} may have gone"
    return ""


def _doubts(before: Look, now: Look) -> list[str]:
    """Return what keeps FAISS from being proven, though nothing is known to be lost."""
    doubts = [_other_vectors(before, now)]
    if now.facts.unchecked:
        doubts.append(f"not looked at: {now.facts.unchecked}")
    if not now.facts.dimension:
        doubts.append("all are listed; whether an index holds them cannot be seen from here")
    return [doubt for doubt in doubts if doubt]


def _other_vectors(before: Look, now: Look) -> str:
    """Say so if most known documents have another vector than at the beginning; users change a few of them."""
    both = [key for key in before.sample if key in before.vectors and key in now.vectors]
    changed = sum(before.vectors[key] != now.vectors[key] for key in both)
    if 2 * changed <= len(both):
        return ""
    seen = f"{changed} of {len(both)} known documents have another vector than at the beginning"
    return f"{seen}: embedded anew, or vectors and documents are mixed up"


def may_go(documents: int, settings: Settings) -> int:
    """Return how many of ``documents`` users may have deleted."""
    return max(settings.max_fall_documents, int(settings.max_fall * documents))


def _at_least(gone: int, asked: int, documents: int) -> float:
    """Return how many of ``documents`` are gone at least, if ``gone`` of ``asked`` random ones are."""
    from drill.stats import rate_bounds  # not before the flags are on the disk

    return gone if asked >= documents else rate_bounds(gone, asked, SURE)[0] * documents


def _together(found: Sequence[Kept], settings: Settings) -> Evidence:
    final = worst(one.verdict for one in found)
    whole = all(one.now for one in found)
    before, now = (sum(numbers) for numbers in zip(*((one.before, one.now) for one in found), strict=True))
    allowed, asked = may_go(before, settings), sum(one.asked for one in found)
    detail = {name: value for one in found for name, value in one.detail.items()}
    seen = Evidence(Verdict.NOT_RUN, "", now, ">=", max(0, before - allowed), asked, unit=" documents", detail=detail)
    if final is not Verdict.FAIL and whole and before - now > allowed:
        return seen.judged(Verdict.FAIL, f"{now} documents of all tenants, {before} at the beginning")
    said = _spelled_out(one.text for one in found if one.verdict is final)
    if final is not Verdict.PASS:
        return seen.judged(final, said)
    return seen.judged(Verdict.PASS, f"{said}; {asked} known ones asked for: {sum(one.gone for one in found)} gone")


def _spelled_out(texts: Iterable[str]) -> str:
    listed = list(texts)
    more = f"; and {count(len(listed) - SHOWN, 'more tenant')}" if len(listed) > SHOWN else ""
    return "; ".join(listed[:SHOWN]) + more

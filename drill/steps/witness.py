"""Proof by content that dual-write is off: what was written to FAISS since the reload must not be on the target.

The metrics count failed and skipped dual-writes, not successful ones: a dual-write that works is silent, and so is a
writer that counts nothing. So the two stores are asked themselves, and each look-up has a positive control.
"""

import time
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from drill.checks.unknown_names import unknown_skips
from drill.context import Drill
from drill.errors import CannotMeasure
from drill.observation import Window
from drill.proof.canary import Canary
from drill.proof.copies import Copy
from drill.proof.counters import writer_at_work
from drill.proof.environ import environs
from drill.proof.flags import Flag
from drill.proof.lookup import LookUp, Place, look_up
from drill.proof.shared import sharing, too_few
from drill.proof.stores import Stores
from drill.proof.strangers import some_of, strangers
from drill.proof.weigh import by_url, weigh
from drill.proof.writes import writes_of_users, written_to
from drill.proof.written import Written
from drill.record import Evidence, Scalar
from drill.steps.inventories import Inventory
from drill.verdict import Verdict, worst
from drill.words import count

POLL_S = 0.5
IDLE = (
    "a writer that is on and does nothing would look the same, and none was seen at work: let the processes say their "
    "flags ([service] flags_path)"
)
CLOSED = "that documents are not there proves nothing"


@dataclass
class WriteWitness:
    """Looks on the target for what has been written to FAISS since the service settled."""

    drill: Drill
    off: Collection[Flag] = tuple(Flag)
    """The flags that are as after the rollback."""
    written: Written = field(init=False)
    fresh: Mapping[str, Inventory] = field(default_factory=dict)
    """What was written since, when it was judged."""
    seen: LookUp = field(default_factory=LookUp)
    """What the look-up of it has shown."""
    looked_at: float = 0.0
    """When that was (monotonic)."""

    def __post_init__(self) -> None:
        """Be ready to remember the stores."""
        self.written = Written(self.drill)

    @property
    def canary(self) -> Canary:
        """The drill's own documents."""
        return self.written.canary

    def begin(self) -> None:
        """Begin to take the inventories to compare with, and to write the canary."""
        self.written.begin()

    def end(self) -> list[str]:
        """Remove the canary, whatever has happened; return what is left of it, in words."""
        return self.written.end()

    def judge(self, evidence: Evidence, window: Window) -> Evidence:
        """Return ``evidence`` of the metrics, made worse or firmer by what the stores say."""
        stores = self.written.stores
        fresh, problem = self.written.fresh()
        try:
            seen = self._look_until_settled(stores, fresh)
        except CannotMeasure as failure:
            seen = LookUp(problems=(str(failure),))
        self.fresh, self.seen, self.looked_at = fresh, seen, time.monotonic()
        told = replace(evidence, detail={**evidence.detail, **_facts(fresh, seen)})
        if reached := seen.reached:
            reason = f"{reached} of {len(seen.copies)} documents written since the reload are on the target"
            reason += f": dual-write is still on{self.through(seen)}"
            return replace(told, verdict=Verdict.FAIL, value=reached, threshold=0, reason=reason)
        others = strangers(self.drill, stores, fresh, self.canary.birds)
        if others.of_canary:
            names = some_of(others.of_canary)
            reason = f"the canary has come to the target under another id ({names}): dual-write is still on"
            return replace(told, verdict=Verdict.FAIL, value=len(others.of_canary), threshold=0, reason=reason)
        if seen.not_written and evidence.verdict is Verdict.PASS:
            told = replace(told, reason=f"{self._said(seen)}; {evidence.reason}")
        unknown = unknown_skips(window.since_boot)
        remarks = [stores.problem, problem, others.problem, unknown.text, *self._remarks(stores, seen)]
        effect = self._instances(seen, window)
        if others.names:
            effect = frozenset()
        doubted = self._doubted(effect, window)
        left_out = self._left_out(effect, seen, window)
        remarks += [f"{text}: let the processes say their flags ([service] flags_path)" for text in left_out.values()]
        effect -= doubted | left_out.keys()
        remarks = [text for text in remarks if text]
        weighed = weigh(self.drill, window, Flag.DUAL_WRITE, told, effect, remarks, self.off)
        if doubted and weighed.verdict is not Verdict.PASS:
            weighed = replace(weighed, reason=f"{weighed.reason}; {IDLE}")
        if weighed.verdict is Verdict.PASS and not unknown.harmless(weighed.proof):
            weighed = weighed.judged(Verdict.INCONCLUSIVE, weighed.reason)
        if not others.names:
            return weighed
        reason = f"{weighed.reason}; {others.came}"
        return weighed.judged(worst((weighed.verdict, Verdict.INCONCLUSIVE)), reason)

    def _instances(self, seen: LookUp, window: Window) -> frozenset[str]:
        """Return the instances through which documents were written that have not reached the target."""
        if seen.count(Copy.SUSPECT):
            return frozenset()
        if self._open_tenants(seen):
            return frozenset()
        own = {bird.place: bird for bird in self.canary.birds}
        each = {(bird.url, bird.tenant) for bird in self.canary.birds}
        proven = self._proven(seen)
        done = {(own[place].url, own[place].tenant) for place in proven if place in own}
        by_canary = {url for url, _ in done} - {url for url, _ in each - done}
        sent = Counter(bird.url for bird in self.canary.birds if bird.taken)
        by_users = written_to(self.drill, window, sent) if proven - own.keys() else ()
        return by_url(self.drill, window, by_users, every=True) | by_canary

    def _left_out(self, effect: frozenset[str], seen: LookUp, window: Window) -> dict[str, str]:
        """Return those instances of which a worker may have written none of the documents, and that in words."""
        if (workers := sharing(window)) < 2:
            return {}
        own = {bird.place: bird.url for bird in self.canary.birds}
        proven = self._proven(seen)
        mine = Counter(own[place] for place in proven if place in own)
        sent = Counter(bird.url for bird in self.canary.birds if bird.taken)
        users, counted = len(proven - own.keys()), writes_of_users(self.drill, window, sent)
        if len(self.drill.service.instances) == 1:
            counted = dict.fromkeys(effect, users)
        told = {url: too_few(workers, mine[url] + int(min(users, max(0, counted.get(url, 0))))) for url in effect}
        return {url: text for url, text in told.items() if text}

    def _proven(self, seen: LookUp) -> frozenset[Place]:
        """Return what was written and stayed away; where a canary is lost, no new document that may be that canary."""
        lost = Counter(bird.tenant for bird in self.canary.birds if bird.lost)
        own = {bird.place for bird in self.canary.birds}
        faiss = self.written.stores.faiss
        new = {(tenant, name) for tenant, name in seen.not_written - own if name not in faiss.get(tenant, {})}
        many = Counter(tenant for tenant, _ in new)
        return frozenset(place for place in seen.not_written if place not in new or many[place[0]] > lost[place[0]])

    def _doubted(self, effect: frozenset[str], window: Window) -> frozenset[str]:
        """Return those instances of which what stayed away from the target proves nothing.

        The environment of their process has the flag on, and no dual-write was ever seen to do anything.
        """
        around = environs(self.drill, window) if effect else {}
        on = {url for url in effect if around[url].rolled_back.get(Flag.DUAL_WRITE) is False}
        return frozenset(on) if on and not writer_at_work(self.drill, window) else frozenset()

    def _open_tenants(self, seen: LookUp) -> list[str]:
        """Return the tenants of which nothing is proven: dual-write may be switched tenant by tenant."""
        proven = {tenant for tenant, _ in self._proven(seen)}
        return [tenant for tenant in self.drill.config.service.tenants if tenant not in proven]

    def through(self, seen: LookUp) -> str:
        """Name the instances whose canary has reached the target."""
        birds = [bird for bird in self.canary.birds if seen.copies.get(bird.place) in {Copy.REACHED, Copy.OTHERWISE}]
        found = sorted({f"{bird.url.split('://', 1)[-1]} ({bird.tenant})" for bird in birds})
        return f" (written through {', '.join(found)})" if found else ""

    def _said(self, seen: LookUp) -> str:
        lag = self.drill.config.service.dual_write_lag_s
        own = {bird.place for bird in self.canary.birds} & seen.not_written
        mine = f", {len(own)} of them by the drill" if own else ""
        documents = count(len(seen.not_written), "document")
        return (
            f"{documents} written since the reload{mine}, none of them on the target {lag:g} s later "
            f"({count(seen.controls, 'known document')} found in the same calls)"
        )

    def _remarks(self, stores: Stores, seen: LookUp) -> list[str]:
        told = [*seen.problems, *(bird.problem for bird in self.canary.birds if bird.problem)]
        if seen.closed:
            told.append(f"{seen.closed}: {CLOSED}")
        if seen.not_written and (unproven := self._open_tenants(seen)):
            told.append(f"{', '.join(unproven)}: nothing written there is known to have stayed away from the target")
        if self.canary.sparse and seen.not_written:
            told.append("the canary was written once for each instance and each tenant, not for each of their pairs")
        if suspect := seen.count(Copy.SUSPECT):
            told.append(f"{suspect} of {len(seen.copies)} documents are on the target, and it is not known since when")
        others = [tenant for tenant in stores.faiss if stores.both.get(tenant) and not stores.known(tenant).comparable]
        if others:
            told.append(f"{', '.join(others)}: no hash of the target agrees with FAISS, nothing is judged by hashes")
        return told

    def _look_until_settled(self, stores: Stores, fresh: Mapping[str, Inventory]) -> LookUp:
        """Look the documents up at once, and again when a dual-write would have arrived.

        What users have just written is waited for only where the canary does not prove every instance.
        """
        if not fresh:
            return LookUp()
        lag_s, now = self.drill.config.service.dual_write_lag_s, time.monotonic()
        seen = look_up(self.drill, stores, fresh)
        if seen.reached or not seen.not_written:
            return seen
        every = {bird.url for bird in self.canary.birds if bird.digest} >= set(self.drill.service.instances)
        deadline = (self.canary.seen_at if every else now) + lag_s
        if every and deadline <= now:
            return seen
        while (left_s := deadline - time.monotonic()) > 0:
            self.drill.tick(f"waiting {lag_s:g} s for documents that must not reach the target")
            time.sleep(min(POLL_S, left_s))
        return look_up(self.drill, stores, fresh)


def _facts(fresh: Mapping[str, Inventory], seen: LookUp) -> dict[str, Scalar]:
    return {
        "documents written since the reload": sum(map(len, fresh.values())),
        "of them looked up": len(seen.copies),
        "known documents found beside": seen.controls,
    }

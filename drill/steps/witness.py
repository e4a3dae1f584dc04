"""Proof by content that dual-write is off: what was written to FAISS since the reload must not be on the target.

The metrics count failed and skipped dual-writes, not successful ones: a dual-write that works is silent, and so is a
writer that counts nothing. So the two stores are asked themselves, and each look-up has a positive control.
"""

import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from drill.context import Drill
from drill.errors import CannotMeasure
from drill.observation import Window
from drill.proof.canary import Canary
from drill.proof.copies import Copy
from drill.proof.flags import Flag
from drill.proof.lookup import LookUp, look_up
from drill.proof.stores import Stores, remember
from drill.proof.weigh import by_url, weigh
from drill.proof.writes import written_to
from drill.record import Evidence, Scalar
from drill.steps.inventories import Inventory, inventories, written_since
from drill.verdict import Verdict

POLL_S = 0.5


@dataclass
class WriteWitness:
    """Remembers both stores as they were when the service settled, and later looks for what has been written since.

    It does so in a thread of its own: the other flags are watched meanwhile.
    """

    drill: Drill
    canary: Canary = field(init=False)
    _begun: "Future[Stores] | None" = None

    def __post_init__(self) -> None:
        """Keep a canary ready."""
        self.canary = Canary(self.drill)

    def begin(self) -> None:
        """Begin to take the inventories to compare with, and to write the canary."""
        self.canary.announce()
        with_one_thread = ThreadPoolExecutor(1, thread_name_prefix="witness")
        self._begun = with_one_thread.submit(self._begin)
        with_one_thread.shutdown(wait=False)

    def end(self) -> list[str]:
        """Remove the canary, whatever has happened; return what is left of it, in words."""
        if self._begun is not None:
            self._begun.exception()
        return self.canary.remove()

    def judge(self, evidence: Evidence, window: Window) -> Evidence:
        """Return ``evidence`` of the metrics, made worse or firmer by what the stores say."""
        stores = self._begun.result() if self._begun else Stores()
        fresh, problem = self._fresh(stores)
        try:
            seen = self._look_until_settled(stores, fresh)
        except CannotMeasure as failure:
            seen = LookUp(problems=(str(failure),))
        told = replace(evidence, detail={**evidence.detail, **_facts(fresh, seen)})
        if reached := seen.count(Copy.REACHED):
            reason = f"{reached} of {len(seen.copies)} documents written since the reload are on the target"
            reason += f": dual-write is still on{self._through(seen)}"
            return replace(told, verdict=Verdict.FAIL, value=reached, threshold=0, reason=reason)
        if seen.not_written and evidence.verdict is Verdict.PASS:
            told = replace(told, reason=f"{self._said(seen)}; {evidence.reason}")
        remarks = [stores.problem, problem, *self._remarks(stores, seen)]
        effect = self._instances(seen, window)
        return weigh(self.drill, window, Flag.DUAL_WRITE, told, effect, [text for text in remarks if text])

    def _begin(self) -> Stores:
        stores = remember(self.drill)
        self.canary.write(stores.faiss)
        self.canary.await_in_faiss()
        return stores

    def _instances(self, seen: LookUp, window: Window) -> frozenset[str]:
        """Return the instances through which documents were written that have not reached the target."""
        if seen.count(Copy.SUSPECT):
            return frozenset()
        own = {(bird.tenant, bird.id): bird.url for bird in self.canary.birds}
        by_canary = {own[place] for place in seen.not_written if place in own}
        by_users = written_to(self.drill, window) if seen.not_written - own.keys() else ()
        return by_url(self.drill, window, by_users, every=True) | by_canary

    def _through(self, seen: LookUp) -> str:
        """Name the instances whose canary has reached the target."""
        birds = [bird for bird in self.canary.birds if seen.copies.get((bird.tenant, bird.id)) is Copy.REACHED]
        found = sorted({f"{bird.url.split('://', 1)[-1]} ({bird.tenant})" for bird in birds})
        return f" (written through {', '.join(found)})" if found else ""

    def _said(self, seen: LookUp) -> str:
        lag = self.drill.config.service.dual_write_lag_s
        own = {(bird.tenant, bird.id) for bird in self.canary.birds} & seen.not_written
        count, mine = len(seen.not_written), f", {len(own)} of them by the drill" if own else ""
        return (
            f"{count} documents written since the reload{mine}, none of them on the target {lag:g} s later "
            f"({seen.controls} known documents found in the same calls)"
        )

    def _remarks(self, stores: Stores, seen: LookUp) -> list[str]:
        told = [*seen.problems, *(bird.problem for bird in self.canary.birds if bird.problem)]
        if suspect := seen.count(Copy.SUSPECT):
            told.append(f"{suspect} of {len(seen.copies)} documents are on the target, and nothing tells since when")
        others = [tenant for tenant, items in stores.both.items() if items and not stores.known(tenant).comparable]
        if others:
            told.append(f"{', '.join(others)}: no hash of the target agrees with FAISS, nothing is judged by hashes")
        return told

    def _fresh(self, stores: Stores) -> tuple[dict[str, Inventory], str]:
        """Return what is in FAISS since the service settled, and why not all of it can be known.

        Canaries count as soon as FAISS has them, and only then.
        """
        if not stores.faiss:
            return {}, ""
        now, problem = inventories(self.drill)
        is_canary = self.drill.config.canary.is_one
        fresh = {
            tenant: {name: digest for name, digest in items.items() if not is_canary(name)}
            for tenant, items in written_since(stores.faiss, now).items()
        }
        for tenant, items in self.canary.documents().items():
            fresh[tenant] = {**items, **fresh.get(tenant, {})}
        return {tenant: items for tenant, items in fresh.items() if items}, problem

    def _look_until_settled(self, stores: Stores, fresh: Mapping[str, Inventory]) -> LookUp:
        """Look the documents up at once, and again when a dual-write would have arrived.

        What users have just written is waited for only where the canary does not prove every instance.
        """
        if not fresh:
            return LookUp()
        lag_s, now = self.drill.config.service.dual_write_lag_s, time.monotonic()
        seen = look_up(self.drill, stores, fresh)
        if seen.count(Copy.REACHED) or not seen.not_written:
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

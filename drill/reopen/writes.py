"""Proof by content that dual-write is on: what is written to FAISS during a hold reaches the target.

A document that arrives is its own proof, and one that must not arrive is looked up beside documents that must be found.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from drill.context import Drill
from drill.errors import CannotMeasure
from drill.proof.copies import Copy
from drill.proof.lookup import LookUp, look_up
from drill.proof.written import Written
from drill.record import Evidence
from drill.reopen.rungs import Rung
from drill.steps.inventories import Inventory
from drill.verdict import Verdict
from drill.words import count

POLL_S = 0.3

Fresh = Mapping[str, Inventory]


@dataclass
class WritesReached:
    """Remembers both stores as they were when a rung settled, and later looks on the target for what was written."""

    drill: Drill
    rung: Rung
    written: Written = field(init=False)

    def __post_init__(self) -> None:
        """Be ready to remember the stores."""
        self.written = Written(self.drill)

    def begin(self) -> None:
        """Begin to take the inventories to compare with, and to write the canary."""
        self.written.begin()

    def end(self) -> list[str]:
        """Remove the canary; return what is left of it, in words."""
        return self.written.end()

    def judge(self) -> Evidence:
        """Judge that every document of the rung's tenants arrived, and none of any other tenant."""
        fresh, problem = self.written.fresh()
        stores = self.written.stores
        if not stores.faiss or stores.problem or problem:
            why = stores.problem or problem or "[primary] path and [target] are needed"
            return Evidence(Verdict.INCONCLUSIVE, f"writes cannot be followed: {why}")
        if not any(tenant in self.rung.tenants for tenant in fresh):
            reason = "no document was written during the hold: hold longer, or set [canary] tenant"
            return Evidence(Verdict.INCONCLUSIVE, reason, samples=0)
        try:
            seen = self._await(fresh)
        except CannotMeasure as failure:
            return Evidence(Verdict.ERROR, f"writes cannot be followed: {failure}")
        return self._concluded(seen)

    def _concluded(self, seen: LookUp) -> Evidence:
        mine = {place: copy for place, copy in seen.copies.items() if place[0] in self.rung.tenants}
        known = [copy for copy in mine.values() if copy is not Copy.SILENT]
        late = sum(copy is not Copy.REACHED for copy in known)
        stray = seen.reached - sum(copy in {Copy.REACHED, Copy.OTHERWISE} for copy in known)
        text = f"{count(len(known), 'document')} written in the hold and looked up, all on the target"
        evidence = Evidence(Verdict.PASS, text, late, "==", 0, len(known))
        if stray:
            return evidence.judged(
                Verdict.FAIL, f"{count(stray, 'document')} of tenants outside the allow-list on the target"
            )
        if late:
            own = {bird.place for bird in self.written.canary.birds}
            birds = sum(place in own and copy not in {Copy.REACHED, Copy.SILENT} for place, copy in mine.items())
            whose = f" ({birds} of them the drill's own)" if birds else ""
            lag_s = self.drill.config.service.dual_write_lag_s
            text = (
                f"{late} of {len(known)} documents written in the hold{whose} are not on the target after {lag_s:g} s"
            )
            return evidence.judged(Verdict.FAIL, text)
        if seen.problems or not known:
            why = "; ".join(seen.problems) or "no hash of the target agrees with FAISS, and only edits were seen"
            return evidence.judged(Verdict.INCONCLUSIVE, f"not every write could be followed: {why}")
        return evidence

    def _await(self, fresh: Fresh) -> LookUp:
        """Look up again and again what has not arrived yet, as FAISS has it by then; until a dual-write would have."""
        deadline = time.monotonic() + self.drill.config.service.dual_write_lag_s
        seen = look_up(self.drill, self.written.stores, fresh)
        while late := [place for place, copy in seen.copies.items() if self._is_late(place[0], copy)]:
            if time.monotonic() > deadline:
                break
            self.drill.tick(f"waiting for {count(len(late), 'document')} to reach the target")
            time.sleep(POLL_S)
            again = look_up(self.drill, self.written.stores, self._as_now(fresh, late))
            gone = {place for place in late if place not in again.copies} if not again.problems else set()
            kept = {place: copy for place, copy in seen.copies.items() if place not in gone}
            seen = LookUp({**kept, **again.copies}, seen.controls, seen.problems)
        return seen

    def _is_late(self, tenant: str, copy: Copy) -> bool:
        return tenant in self.rung.tenants and copy not in {Copy.REACHED, Copy.SILENT}

    def _as_now(self, fresh: Fresh, late: list[tuple[str, str]]) -> dict[str, Inventory]:
        """Return ``late`` as FAISS has them now, without those it has no more; as they were where it cannot be read."""
        now, problem = self.written.fresh()
        known = fresh if problem else now
        wanted: dict[str, Inventory] = {}
        for tenant, name in late:
            if name in known.get(tenant, {}):
                wanted.setdefault(tenant, {})[name] = known[tenant][name]
        return wanted

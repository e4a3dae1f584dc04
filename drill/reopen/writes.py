"""Proof by content that dual-write is on: what users write to FAISS during a hold reaches the target."""

import time
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice

from drill.context import Drill
from drill.errors import CannotMeasure
from drill.record import Evidence
from drill.reopen.rungs import Rung
from drill.steps.inventories import MAX_LOOKED_UP, Inventory, inventories, written_since
from drill.target import Target
from drill.verdict import Verdict

REACH_S = 5.0
"""How long a document may take to the target after it was written to FAISS."""
POLL_S = 0.3


@dataclass
class WritesReached:
    """Remembers FAISS as it was when a rung settled, and later looks on the target for what was written since."""

    drill: Drill
    rung: Rung
    _before: dict[str, Inventory] = field(default_factory=dict)
    _problem: str = ""

    def begin(self) -> None:
        """Take the inventory to compare with."""
        self._before, self._problem = inventories(self.drill)

    def judge(self) -> Evidence:
        """Judge that every document of the rung's tenants arrived, and none of any other tenant."""
        now, problem = inventories(self.drill)
        if not self._before or self._problem or problem:
            why = self._problem or problem or "[primary] path and [target] are needed"
            return Evidence(Verdict.INCONCLUSIVE, f"writes cannot be followed: {why}")
        written = written_since(self._before, now)
        fresh = {tenant: dict(islice(items.items(), MAX_LOOKED_UP)) for tenant, items in written.items()}
        wanted = {tenant: items for tenant, items in fresh.items() if tenant in self.rung.tenants}
        asked = sum(len(items) for items in wanted.values())
        if not asked:
            return Evidence(Verdict.INCONCLUSIVE, "no user wrote a document during the hold: hold longer", samples=0)
        try:
            with closing(self.drill.open_target()) as target:
                late = self._await(target, wanted)
                stray = sum(
                    len(_arrived(target, tenant, items))
                    for tenant, items in fresh.items()
                    if tenant not in self.rung.tenants
                )
        except CannotMeasure as problem:
            return Evidence(Verdict.ERROR, f"writes cannot be followed: {problem}")
        seen = Evidence(
            Verdict.PASS, f"{asked} documents that users wrote looked up, all on the target", late, "==", 0, asked
        )
        if stray:
            return seen.judged(Verdict.FAIL, f"{stray} documents of tenants outside the allow-list are on the target")
        if late:
            reason = f"{late} of {asked} documents written in the hold are not on the target after {REACH_S:g} s"
            return seen.judged(Verdict.FAIL, reason)
        return seen

    def _await(self, target: Target, wanted: dict[str, Inventory]) -> int:
        """Return how many documents have not arrived in time; one that is written again may arrive as it is then."""
        deadline = time.monotonic() + REACH_S
        while True:
            late = {tenant: items.keys() - _arrived(target, tenant, items) for tenant, items in wanted.items()}
            count = sum(map(len, late.values()))
            if not count or time.monotonic() > deadline:
                return count
            self.drill.tick(f"waiting for {count} documents to reach the target")
            time.sleep(POLL_S)
            now = inventories(self.drill)[0]
            wanted = {tenant: _as_now(now.get(tenant), wanted[tenant], names) for tenant, names in late.items()}


def _as_now(now: Inventory | None, wanted: Inventory, names: Iterable[str]) -> Inventory:
    """Return ``names`` as FAISS has them now, without those it has no more; as they were where it cannot be read."""
    return {name: (now or wanted)[name] for name in names if now is None or name in now}


def _arrived(target: Target, tenant: str, items: Inventory) -> set[str]:
    return {name for name, digest in target.present(tenant, list(items)) if items[name] == digest}

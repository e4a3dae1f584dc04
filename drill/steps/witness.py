"""Proof by content that dual-write is off: what was written to FAISS since the reload must not be on the target.

The metrics count failed and skipped dual-writes, not successful ones: a dual-write that works is silent, and so is a
writer that counts nothing. So the two stores are asked themselves, and each look-up has a positive control.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from drill.context import Drill
from drill.errors import CannotMeasure
from drill.observation import Window
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
    """Remembers both stores as they were when the service settled, and later looks for what has been written since."""

    drill: Drill
    _stores: Stores = field(default_factory=Stores)

    def begin(self) -> None:
        """Take the inventories to compare with."""
        self._stores = remember(self.drill)

    def judge(self, evidence: Evidence, window: Window) -> Evidence:
        """Return ``evidence`` of the metrics, made worse or firmer by what the stores say."""
        fresh, problem = self._fresh()
        try:
            seen = self._look_until_settled(fresh)
        except CannotMeasure as failure:
            seen = LookUp(problems=(str(failure),))
        detail: dict[str, Scalar] = {
            **evidence.detail,
            "documents written since the reload": sum(map(len, fresh.values())),
            "of them looked up": seen.asked,
            "known documents found beside": seen.controls,
        }
        told = replace(evidence, detail=detail)
        if seen.reached:
            reason = (
                f"{seen.reached} of {seen.asked} documents written since the reload are on the target: "
                "dual-write is still on"
            )
            return replace(told, verdict=Verdict.FAIL, value=seen.reached, threshold=0, reason=reason)
        proven = seen.not_written > 0 and not seen.suspect
        effect = by_url(self.drill, window, written_to(self.drill, window), every=True) if proven else ()
        remarks = [text for text in (self._stores.problem, problem, *seen.problems, *self._remarks(seen)) if text]
        if proven and evidence.verdict is Verdict.PASS:
            told = replace(told, reason=f"{self._said(seen)}; {evidence.reason}")
        return weigh(self.drill, window, Flag.DUAL_WRITE, told, effect, remarks)

    def _said(self, seen: LookUp) -> str:
        lag = self.drill.config.service.dual_write_lag_s
        return (
            f"{seen.not_written} documents written since the reload, none of them on the target {lag:g} s later "
            f"({seen.controls} known documents found in the same calls)"
        )

    def _remarks(self, seen: LookUp) -> list[str]:
        told = []
        if seen.suspect:
            told.append(f"{seen.suspect} of {seen.asked} new documents are on the target, and nothing tells since when")
        if others := [tenant for tenant, items in self._stores.both.items() if items and not self._agrees(tenant)]:
            told.append(f"{', '.join(others)}: no hash of the target agrees with FAISS, nothing is judged by hashes")
        return told

    def _agrees(self, tenant: str) -> bool:
        return self._stores.known(tenant).comparable

    def _fresh(self) -> tuple[dict[str, Inventory], str]:
        """Return what is in FAISS since the service settled, and why not all of it can be known."""
        if not self._stores.faiss:
            return {}, ""
        now, problem = inventories(self.drill)
        return written_since(self._stores.faiss, now), problem

    def _look_until_settled(self, fresh: Mapping[str, Inventory]) -> LookUp:
        """Look the documents up at once, and again when a dual-write would have arrived."""
        if not fresh:
            return LookUp()
        lag_s = self.drill.config.service.dual_write_lag_s
        deadline = time.monotonic() + lag_s
        seen = look_up(self.drill, self._stores, fresh)
        if seen.reached or not seen.not_written:
            return seen
        while (left_s := deadline - time.monotonic()) > 0:
            self.drill.tick(f"waiting {lag_s:g} s for documents that must not reach the target")
            time.sleep(min(POLL_S, left_s))
        return look_up(self.drill, self._stores, fresh)

"""Proof by content that dual-write is off: what users wrote to FAISS since the reload must not be on the target.

The metrics of the design count failed and skipped dual-writes, not successful ones: a dual-write that works is silent.
So the two stores are asked themselves. Every user's write is its own positive control.
"""

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import islice

from drill.context import Drill
from drill.errors import CannotMeasure
from drill.observation import Window
from drill.record import Evidence, Scalar
from drill.steps.inventories import MAX_LOOKED_UP, Inventory, inventories, written_since
from drill.verdict import Verdict


@dataclass
class WriteWitness:
    """Remembers FAISS as it was when the service settled, and later looks for what has been written since."""

    drill: Drill
    _before: dict[str, Inventory] = field(default_factory=dict)
    _problem: str = ""

    def begin(self) -> None:
        """Take the inventory to compare with."""
        self._before, self._problem = inventories(self.drill)

    def judge(self, evidence: Evidence, window: Window) -> Evidence:
        """Return ``evidence`` of the metrics, made worse or firmer by what the stores say."""
        writes = _user_writes(self.drill, window)
        fresh = self._fresh() if self._before else {}
        reached, asked = self._reached(fresh) if fresh else (0, 0)
        detail: dict[str, Scalar] = {
            **evidence.detail,
            "user writes by metrics": writes,
            "new documents looked up": asked,
        }
        if reached:
            reason = (
                f"{reached} of {asked} documents written since the reload are on the target: dual-write is still on"
            )
            return replace(evidence, verdict=Verdict.FAIL, value=reached, threshold=0, reason=reason, detail=detail)
        if evidence.verdict is not Verdict.PASS:
            return replace(evidence, detail=detail)
        verdict, reason = _conclude(self.drill, window, writes, asked, self._problem)
        return replace(evidence, verdict=verdict, reason=reason, detail=detail)

    def _fresh(self) -> dict[str, Inventory]:
        now, problem = inventories(self.drill)
        self._problem = problem or self._problem
        return written_since(self._before, now)

    def _reached(self, fresh: Mapping[str, Inventory]) -> tuple[int, int]:
        reached = asked = 0
        try:
            with closing(self.drill.open_target()) as target:
                for tenant, items in fresh.items():
                    wanted = dict(islice(items.items(), MAX_LOOKED_UP))
                    reached += len(target.present(tenant, list(wanted)) & set(wanted.items()))
                    asked += len(wanted)
        except CannotMeasure as problem:
            self._problem = str(problem)
        return reached, asked


def _user_writes(drill: Drill, window: Window) -> float:
    """Count requests that change something, by the service's HTTP metrics: all but reads and what the drill asks."""
    service = drill.config.service
    asked = {service.search_path, service.embed_path, service.chat_path}
    return sum(
        value
        for delta in window.deltas.values()
        for labels, value in delta.moved("http_requests_total")
        if labels.get("method") in {"POST", "PUT", "PATCH", "DELETE"} and labels.get("route") not in asked
    )


def _conclude(drill: Drill, window: Window, writes: float, asked: int, problem: str) -> tuple[Verdict, str]:
    """Say what a silent window proves: by content, by traffic, or by the restart alone."""
    note = f" (not all could be compared: {problem})" if problem else ""
    if asked:
        seen = f"{asked} documents written since the reload, none of them on the target"
        return Verdict.PASS, f"{seen}; counters silent{note}"
    if writes:
        return Verdict.PASS, f"{writes:g} user writes since the reload and no dual-write counter moved{note}"
    if drill.config.service.reload_command and drill.written_at is not None:
        old = [name for name in window.deltas if name not in drill.new_processes]
        if old:
            reason = (
                f"{', '.join(old)} did not restart and no user wrote in the window: nothing shows the flag is obeyed"
            )
            return Verdict.INCONCLUSIVE, reason
    return Verdict.PASS, "every instance took the env file and no dual-write counter moved (no user wrote meanwhile)"

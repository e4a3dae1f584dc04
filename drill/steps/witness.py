"""Proof by content that dual-write is off: what users wrote to FAISS since the reload must not be on the target.

The metrics of the design count failed and skipped dual-writes, not successful ones: a dual-write that works is silent.
So the two stores are asked themselves. Every user's write is its own positive control.
"""

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import islice

from drill.context import Drill
from drill.errors import CannotMeasure, Refused
from drill.observation import Window
from drill.record import Evidence, Scalar
from drill.verdict import Verdict

MAX_DOCUMENTS = 300_000
"""Above this many documents a tenant's inventory is not held in memory twice, and the metrics alone must do."""
MAX_LOOKED_UP = 5_000
SNAPSHOT_TRIES = 5
"""A snapshot that is replaced while it is read is read again."""

Inventory = dict[str, str]
"""Document id -> content hash."""


@dataclass
class WriteWitness:
    """Remembers FAISS as it was when the service settled, and later looks for what has been written since."""

    drill: Drill
    _before: dict[str, Inventory] = field(default_factory=dict)
    _problem: str = ""

    def begin(self) -> None:
        """Take the inventory to compare with."""
        self._before = self._inventories()

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

    def _inventories(self) -> dict[str, Inventory]:
        primary, kind = self.drill.primary, self.drill.config.target.kind
        if primary is None or not kind:
            return {}
        found: dict[str, Inventory] = {}
        for tenant in self.drill.config.service.tenants:
            for _ in range(SNAPSHOT_TRIES):
                try:
                    found[tenant] = dict(islice(primary.inventory(tenant), MAX_DOCUMENTS))
                    break
                except (CannotMeasure, Refused) as problem:
                    self._problem = str(problem)
        return {tenant: items for tenant, items in found.items() if len(items) < MAX_DOCUMENTS}

    def _fresh(self) -> dict[str, Inventory]:
        now = self._inventories()
        pairs = {
            tenant: {name: digest for name, digest in now.get(tenant, {}).items() if before.get(name) != digest}
            for tenant, before in self._before.items()
        }
        return {tenant: items for tenant, items in pairs.items() if items}

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
    if asked:
        return Verdict.PASS, f"{asked} documents written since the reload, none of them on the target; counters silent"
    if writes:
        note = f" (the stores could not be compared: {problem})" if problem else ""
        return Verdict.PASS, f"{writes:g} user writes since the reload and no dual-write counter moved{note}"
    if drill.config.service.reload_command and drill.written_at is not None:
        old = [name for name in window.deltas if name not in drill.new_processes]
        if old:
            reason = (
                f"{', '.join(old)} did not restart and no user wrote in the window: nothing shows the flag is obeyed"
            )
            return Verdict.INCONCLUSIVE, reason
    return Verdict.PASS, "every instance took the env file and no dual-write counter moved (no user wrote meanwhile)"

"""Delete the documents of a plan, batch by batch, each quarantined first."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from drill.purge.budget import Budget
from drill.purge.compare import blocks
from drill.purge.model import Delta, EventLog, Primary, TenantDelta
from drill.purge.progress import Progress
from drill.purge.quarantine import Part, Quarantine
from drill.target.base import Pair, Row, Target


@dataclass(slots=True)
class Tally:
    """What was done so far, in documents. ``skipped``: condemned, then found to be gone, changed or good after all."""

    batches: int = 0
    purged: int = 0
    skipped: int = 0


@dataclass(slots=True)
class BatchPurge:
    """Carries out plans: re-check, export, quarantine, delete, look again; an event before each side effect."""

    primary: Primary
    target: Target
    quarantine: Quarantine
    events: EventLog
    budget: Budget
    batch: int
    progress: Callable[[str], None]
    tally: Tally

    def carry_out(self, plan: Delta) -> None:
        """Delete what ``plan`` condemns. Raises OverBudget, TargetUnavailable, PrimaryUnreadable, OSError (no room)."""
        progress = Progress(self.progress, "purge", plan.doomed)
        before = self.tally.purged + self.tally.skipped
        for tenant in plan.tenants:
            if tenant.doomed:
                self._tenant(tenant, progress, before)

    def _tenant(self, tenant: TenantDelta, progress: Progress, before: int) -> None:
        seen = tenant.version
        for block in blocks(tenant):
            seen, doomed = self._still_doomed(tenant.tenant, block, seen)
            for start in range(0, len(doomed), self.batch):
                self.budget.check()
                self._one(tenant.tenant, doomed[start : start + self.batch])
                progress.add(self.tally.purged + self.tally.skipped - before - progress.done)

    def _still_doomed(self, tenant: str, block: list[Pair], seen: str) -> tuple[str, list[Pair]]:
        """Spare what FAISS holds by now with the content the target has; looked up only if FAISS has a new snapshot."""
        version = self.primary.version(tenant)
        if version == seen:
            return seen, block
        now = self.primary.lookup(tenant, [key for key, _ in block])
        doomed = [(key, value) for key, value in block if now.get(key) != value]
        self.tally.skipped += len(block) - len(doomed)
        return version, doomed

    def _one(self, tenant: str, pairs: Sequence[Pair]) -> None:
        condemned = set(pairs)
        rows = [row for row in self.target.export(tenant, [key for key, _ in pairs]) if row.pair in condemned]
        self.tally.skipped += len(condemned) - len({row.pair for row in rows})
        self.tally.batches += 1
        if not rows:
            return
        self.events.event("purge_quarantine", tenant=tenant, batch=self.tally.batches, documents=len(rows))
        part = self.quarantine.put(tenant, rows)
        self.events.event(
            "purge_delete", tenant=tenant, batch=self.tally.batches, part=part.path.name, sha256=part.sha256
        )
        gone = self._delete(tenant, rows, part)
        self.events.event("purge_deleted", tenant=tenant, batch=self.tally.batches, documents=gone)

    def _delete(self, tenant: str, rows: Sequence[Row], part: Part) -> int:
        """Delete ``rows`` as they were exported and keep in the part what is gone.

        Not gone: what is still there unchanged, and what was written anew before it could be deleted.
        """
        claimed = self.target.delete(tenant, [row.pair for row in rows])
        self.target.flush()
        there = self.target.present(tenant, [row.id for row in rows])
        rewritten = {key for key, _ in there} - claimed
        gone = [row for row in rows if row.pair not in there and row.id not in rewritten]
        self.quarantine.confirm(part, rows, gone)
        self.tally.purged += len(gone)
        self.tally.skipped += len(rows) - len(gone)
        return len(gone)

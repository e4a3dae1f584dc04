"""Delete the documents of a plan, batch by batch, each quarantined first.

One thread calls the target, another one decodes what was sent and writes quarantine and events: meanwhile the batch
before it is deleted and the next one is read. A batch is deleted only when its part is on the disk and announced.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from drill.purge.budget import Budget
from drill.purge.compare import blocks
from drill.purge.model import Delta, EventLog, Primary, TenantDelta, let_through
from drill.purge.progress import Progress
from drill.purge.quarantine import Part, Quarantine
from drill.target.base import Pair, Row, Target
from drill.target.control import look_up


@dataclass(slots=True)
class Tally:
    """What was done so far, in documents. ``skipped``: condemned, then found to be gone, changed or good after all."""

    batches: int = 0
    purged: int = 0
    skipped: int = 0

    @property
    def done(self) -> int:
        """Documents that need no more work."""
        return self.purged + self.skipped


@dataclass(frozen=True, slots=True)
class _Kept:
    """Documents as they were exported, their ids and hashes, and their quarantine."""

    rows: Sequence[Row]
    pairs: Sequence[Pair]
    part: Part


@dataclass(frozen=True, slots=True)
class _Batch:
    """Condemned documents; ``kept`` has what of them was there, if any, as soon as that is on the disk."""

    tenant: str
    number: int
    condemned: Collection[Pair]
    kept: "Future[_Kept | None]"


@dataclass(frozen=True, slots=True)
class _Deleted:
    """A batch whose delete was looked at: ``gone`` of it is not on the target any more."""

    batch: _Batch
    kept: _Kept
    gone: Collection[Row]


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
    agreeing: Callable[[TenantDelta], list[str]]
    """Some documents that the plan leaves where they are: a look-up that does not find them finds nothing."""
    gate: Callable[[], None] = let_through
    """Raises Refused if nothing more may be deleted; asked right before each delete."""
    _controls: dict[str, list[str]] = field(default_factory=dict, init=False)
    _writer: ThreadPoolExecutor = field(init=False)
    _quarantined: _Batch | None = field(default=None, init=False)
    """Being written, or written and not deleted yet: the last one that was exported."""
    _deleted: _Deleted | None = field(default=None, init=False)
    """Deleted, and not confirmed in the quarantine yet."""

    def carry_out(self, plan: Delta) -> None:
        """Delete what ``plan`` condemns. Raises OverBudget, TargetUnavailable, PrimaryUnreadable, Refused, OSError."""
        progress = Progress(self.progress, "purge", plan.doomed)
        before = self.tally.done
        with ThreadPoolExecutor(1, thread_name_prefix="quarantine") as self._writer:
            try:
                for tenant in plan.tenants:
                    if tenant.doomed:
                        self._tenant(tenant, progress, before)
                self._delete(self._quarantined)
            finally:
                self._quarantined = None
                self._confirm_deleted()
        progress.add(self.tally.done - before - progress.done)

    def _tenant(self, tenant: TenantDelta, progress: Progress, before: int) -> None:
        self._controls[tenant.tenant] = control = self.agreeing(tenant)
        look_up(self.target, tenant.tenant, [], control)
        seen = tenant.version
        for block in blocks(tenant):
            seen, doomed = self._still_doomed(tenant.tenant, block, seen)
            for start in range(0, len(doomed), self.batch):
                self._one(tenant.tenant, doomed[start : start + self.batch])
                progress.add(self.tally.done - before - progress.done)

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
        """Export a batch and have it written; meanwhile finish the one before, whatever becomes of the export."""
        before = self._quarantined
        try:
            self.budget.check()
            exported = self.target.export(tenant, [key for key, _ in pairs])
            self.tally.batches += 1
            self._quarantined = self._submit(tenant, frozenset(pairs), exported)
        finally:
            self._delete(before)

    def _submit(self, tenant: str, condemned: Collection[Pair], exported: Iterable[Row]) -> _Batch:
        """Have what of ``exported`` is condemned written by the other thread, in the order of the calls."""
        before, deleted, number = self._quarantined, self._deleted, self.tally.batches
        self._deleted = None
        kept = self._writer.submit(self._write, tenant, number, condemned, exported, before, deleted)
        return _Batch(tenant, number, condemned, kept)

    def _write(
        self,
        tenant: str,
        number: int,
        condemned: Collection[Pair],
        exported: Iterable[Row],
        before: _Batch | None,
        deleted: _Deleted | None,
    ) -> _Kept | None:
        """Confirm the batch ``deleted``, put a batch into the quarantine, durably, and announce its delete.

        If the batch ``before`` could not be written, neither is this one.
        """
        if deleted is not None:
            self._confirm(deleted)
        if before is not None:
            before.kept.result()
        rows = [row for row in exported if row.pair in condemned]
        if not rows:
            return None
        self.events.event("purge_quarantine", tenant=tenant, batch=number, documents=len(rows))
        part = self.quarantine.put(tenant, rows)
        facts = {"part": part.path.name, "sha256": part.sha256}
        self.events.event("purge_delete", tenant=tenant, batch=number, **facts)
        return _Kept(rows, [row.pair for row in rows], part)

    def _delete(self, batch: _Batch | None) -> None:
        """Delete a batch whose part is on the disk, as it was exported, and look what is gone.

        Not gone: what is still there unchanged, and what was written anew before it could be deleted.
        """
        if batch is None:
            return
        kept = batch.kept.result()
        self._confirm_deleted()
        gone = self._deleted_of(batch.tenant, kept) if kept else []
        self._deleted = _Deleted(batch, kept, gone) if kept else None
        self.tally.purged += len(gone)
        self.tally.skipped += len(batch.condemned) - len(gone)

    def _deleted_of(self, tenant: str, kept: _Kept) -> list[Row]:
        self.gate()
        claimed = self.target.delete(tenant, kept.pairs)
        self.target.flush()
        there = look_up(self.target, tenant, [key for key, _ in kept.pairs], self._controls[tenant])
        rewritten = {key for key, _ in there} - claimed
        held = zip(kept.pairs, kept.rows, strict=True)
        return [row for pair, row in held if pair not in there and pair[0] not in rewritten]

    def _confirm_deleted(self) -> None:
        deleted, self._deleted = self._deleted, None
        if deleted is not None:
            self._confirm(deleted)

    def _confirm(self, deleted: _Deleted) -> None:
        """Make the part the record of what is gone."""
        batch, kept = deleted.batch, deleted.kept
        self.quarantine.confirm(kept.part, kept.rows, deleted.gone)
        self.events.event("purge_deleted", tenant=batch.tenant, batch=batch.number, documents=len(deleted.gone))

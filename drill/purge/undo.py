"""Bring back what a purge deleted, from its quarantine."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from drill.errors import CannotMeasure, Refused
from drill.purge.model import let_through, silent
from drill.purge.quarantine import part_paths, read_part
from drill.target.base import Row, Target


@dataclass(frozen=True, slots=True)
class UndoReport:
    """``restored``: on the target again or still, equal to the last byte. ``kept``: the id exists with another content,
    which was left alone. ``failed``: not on the target although it was written.
    """  # noqa: D205 - one sentence each

    restored: int
    kept: int
    failed: int

    @property
    def complete(self) -> bool:
        """Whether every document of the quarantine is accounted for."""
        return not self.failed


def undo(
    folder: Path, target: Target, progress: Callable[[str], None] = silent, gate: Callable[[], None] = let_through
) -> UndoReport:
    """Write every part in ``folder`` back (insert if absent), then read each document again and compare it.

    Idempotent. Raises CannotMeasure if there is no part or one is damaged (before anything of it is written),
    TargetUnavailable, and what ``gate`` raises: it is asked before each part is written.
    """
    paths = part_paths(folder)
    if not paths:
        raise CannotMeasure(
            f"quarantine {folder.name!r}: no parts found; name the quarantine directory of the drill to undo"
        )
    total = UndoReport(0, 0, 0)
    for number, path in enumerate(paths, 1):
        part, rows = read_part(path)
        _ask(gate, total)
        target.restore(part.tenant, rows)
        target.flush()
        total = _add(total, _verify(target, part.tenant, rows))
        progress(
            f"undo: part {number} of {len(paths)}, {total.restored} restored, {total.kept} kept, {total.failed} failed"
        )
    return total


def _ask(gate: Callable[[], None], so_far: UndoReport) -> None:
    """Raise what ``gate`` raises; once something is written, that is no refusal any more."""
    try:
        gate()
    except Refused as shut:
        if so_far == UndoReport(0, 0, 0):
            raise
        raise CannotMeasure(f"{shut}; {so_far.restored} documents are back so far, run it again to finish") from None


def _verify(target: Target, tenant: str, rows: Sequence[Row]) -> UndoReport:
    now = list(target.export(tenant, [row.id for row in rows]))
    whole, ids = set(now), {row.id for row in now}
    restored = sum(row in whole for row in rows)
    kept = sum(row not in whole and row.id in ids for row in rows)
    return UndoReport(restored, kept, len(rows) - restored - kept)


def _add(one: UndoReport, other: UndoReport) -> UndoReport:
    return UndoReport(one.restored + other.restored, one.kept + other.kept, one.failed + other.failed)

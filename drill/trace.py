"""What a drill notes about itself while it runs, for the plots of its report: never in the journal, and no answer."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from drill.metrics.snapshot import Key

if TYPE_CHECKING:
    from drill.observation import Reading

PREFIXES = ("retrieval_shadow_", "retrieval_dual_write_")
"""Metrics that must be silent after the rollback."""
KEPT = ("_total", "_count", "_size")
"""Ends of the names that count something; buckets and sums say the same again."""


class MarkKind(StrEnum):
    """What took time."""

    ROW = "row"
    RELOAD = "reload"


@dataclass(frozen=True, slots=True)
class Mark:
    """A row or a reload, from ``began`` to ``ended`` (seconds; of the monotonic clock while the drill runs)."""

    kind: MarkKind
    name: str
    began: float
    ended: float


@dataclass(frozen=True, slots=True)
class Moment:
    """The counters that must be silent, as read at one moment: instance -> sample -> value."""

    at: float
    values: Mapping[str, Mapping[Key, float]]
    unread: frozenset[str] = frozenset()
    """Instances that could not be read."""


@dataclass
class Trace:
    """Marks and moments, in the order in which they ended."""

    marks: list[Mark] = field(default_factory=list)
    moments: list[Moment] = field(default_factory=list)

    @contextmanager
    def during(self, kind: MarkKind, name: str) -> Iterator[None]:
        """Mark the time that the block takes, however it ends."""
        began = time.monotonic()
        try:
            yield
        finally:
            self.marks.append(Mark(kind, name, began, time.monotonic()))

    def keep(self, reading: "Reading") -> None:
        """Remember of a reading what must be silent."""
        values = {
            name: {key: value for key, value in snapshot.samples.items() if _kept(key[0])}
            for name, snapshot in reading.snapshots.items()
        }
        self.moments.append(Moment(reading.ended, values, frozenset(reading.unread)))


def _kept(name: str) -> bool:
    return name.startswith(PREFIXES) and name.endswith(KEPT)

"""What a report is made of."""

from collections.abc import Mapping
from dataclasses import dataclass

from drill.record import DrillRecord
from drill.report.timeline import Timeline


@dataclass(frozen=True, slots=True)
class RawTest:
    """One test as pytest saw it; ``log`` says where it failed, without a value of a variable."""

    id: str
    outcome: str
    duration: str
    log: str


@dataclass(frozen=True, slots=True)
class Material:
    """Everything that a report shows."""

    record: DrillRecord
    flags_before: Mapping[str, str | None]
    """Each flag's value before the drill; ``None``: the key was absent."""
    journal_head: str
    """SHA-256 of the journal's last line before this drill's own."""
    undo: tuple[str, ...] = ()
    """Commands or sentences, in order."""
    timeline: Timeline | None = None
    """What was seen over time; ``None`` if the drill was refused before it began."""
    tests: tuple[RawTest, ...] = ()
    generator: str = ""
    """What wrote the list of tests."""

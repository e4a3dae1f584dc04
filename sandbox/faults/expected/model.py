"""One row of the table: which fault, met by which kind of drill, must show where and why.

Ids are those of the runbook's rows. ``red`` must not be green; nothing else may be red but the ids of ``also``, each
with the reason why it follows from the same fault.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

FAIL, ERROR, OPEN = "fail", "error", "inconclusive"
ANY = f"{FAIL} {ERROR} {OPEN}"
Mode = Literal["rollback", "spared", "reopen", "replay", "rehearsal", "dry-run"]


@dataclass(frozen=True, slots=True)
class Expected:
    """What the drill must say of one fault."""

    red: Mapping[str, str]
    """Id -> the verdicts it may have, separated by spaces."""
    why: str
    """Why it is this id."""
    also: Mapping[str, str] = field(default_factory=dict)
    """Id -> why it may be red too."""
    instance: int | None = None
    """The instance that has the fault; ``None``: all."""
    only: str = ""
    """The one metric source that can tell the fault; empty: both."""
    blind: str = ""
    """Why the other source cannot."""
    result: str = "failure inconclusive"
    """Results that the journal may show."""
    mode: Mode = "rollback"
    """The kind of drill that meets the fault."""
    says: tuple[str, ...] = ()
    """What the reason of each red row must hold: that it is red for this fault, and what the drill did about it."""
    tells: Mapping[str, str] = field(default_factory=dict)
    """Id -> what the reason of a row that stays green must hold: seen and reported, though no verdict depends on it."""
    environ: Mapping[str, str] = field(default_factory=dict)
    """What the drill is configured with besides, as ``DRILL_<SECTION>__<KEY>``: what such a service needs."""
    changes: Mapping[bytes, bytes] = field(default_factory=dict)
    """What is changed in the env file beforehand."""
    from_boot: bool = False
    """Whether a fault must have been there since the instances booted."""
    mixes: bool = True
    """Of an oddity: whether a service may have others beside it."""
    fault: str = ""
    """The fault's name where the row has another, because another kind of drill meets the same fault."""

    def on(self, instance: int) -> "Expected":
        """Return the same for a fault of one instance."""
        return replace(self, instance=instance)

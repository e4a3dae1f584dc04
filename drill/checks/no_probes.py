"""The probes of a drill, as far as it probes: a dry-run does not, and looking must not begin it."""

from typing import TYPE_CHECKING, cast

from drill.context import Drill

if TYPE_CHECKING:
    from drill.probe import Prober, ProbeResult


class _NoProbes:
    """Stands for a prober that has sent nothing."""

    def results(self, *_: float) -> list["ProbeResult"]:
        """Return none."""
        return []


def probes_of(drill: Drill) -> "Prober":
    """Return the prober that runs, or one that has no results."""
    return drill.prober if drill.probing else cast("Prober", _NoProbes())

"""The time of day of a drill: read once, and carried on by a clock that nobody sets.

An hour that is put on or taken off the machine's clock while a drill runs (by a time server, or by a person) changes no
age, window or order of events in it. A machine's sleep counts: a window closes while it sleeps.
"""

import time
from datetime import UTC, datetime

from drill.standstill import boot_clock


class DrillClock:
    """Made when the drill begins."""

    def __init__(self) -> None:
        self._awake_or_not = boot_clock()
        self._began, self._monotonic, self._wall = self._awake_or_not(), time.monotonic(), time.time()

    def seconds(self) -> float:
        """Return the seconds of the epoch now."""
        return self._wall + (self._awake_or_not() - self._began)

    def now(self) -> datetime:
        """Return the time of day now, UTC."""
        return datetime.fromtimestamp(self.seconds(), UTC)

    def at(self, moment: float) -> float:
        """Return the seconds of the epoch at a moment of the monotonic clock."""
        return self._wall + (moment - self._monotonic)

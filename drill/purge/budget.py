"""The time a purge may take."""

import time

from drill.purge.model import OverBudget


class Budget:
    """Counts from its creation; ``check`` is called between units of work that are small by themselves."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.started = time.monotonic()

    @property
    def spent_s(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self.started

    def check(self) -> None:
        """Raise OverBudget if no time is left."""
        if self.spent_s >= self.seconds:
            raise OverBudget(f"the time budget of {self.seconds:g} s is used up")

"""Circuit breaker: stop calling what keeps failing, try again after a cool-down (Nygard, "Release It!")."""

from collections.abc import Callable
from enum import StrEnum
from time import monotonic


class State(StrEnum):
    """Closed: calls pass. Open: none does. Half-open: one trial call decides."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class CircuitBreaker:
    """Opens after ``threshold`` failures in a row; lets one call through ``cooldown_s`` later."""

    def __init__(self, threshold: int, cooldown_s: float, clock: Callable[[], float] = monotonic) -> None:
        self._threshold = threshold
        self._cooldown_s = cooldown_s
        self._clock = clock
        self._failures = 0
        self._opened_at = 0.0
        self.state = State.CLOSED

    def allow(self) -> bool:
        """Return whether a call may go out now; its outcome must then be told by ``success`` or ``failure``."""
        if self.state is State.OPEN and self._clock() - self._opened_at >= self._cooldown_s:
            self.state = State.HALF_OPEN
            return True
        return self.state is State.CLOSED

    def success(self) -> None:
        """Tell that a call succeeded: the breaker closes."""
        self._failures = 0
        self.state = State.CLOSED

    def failure(self) -> None:
        """Tell that a call failed: a failed trial, or the last of too many in a row, opens the breaker."""
        self._failures += 1
        if self.state is State.HALF_OPEN or self._failures >= self._threshold:
            self.state = State.OPEN
            self._opened_at = self._clock()

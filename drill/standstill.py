"""Whether this process itself stood still: stopped by a signal, starved of the processor, or a machine that slept.

What was under way meanwhile says nothing of the service: a request that got no answer in time may have got none
because nobody was there to read it.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

BEAT_S = 0.25
TOLERATED_S = 2.0
"""A beat that comes later than this was held up; a busy machine delays a thread for less."""

Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Standstill:
    """A time in which nothing ran; ``began`` and ``ended`` are of the monotonic clock, which does not see sleep."""

    began: float
    ended: float
    seconds: float
    """How long it was, a sleep of the machine included."""


class Heartbeat:
    """Notes each standstill of this process."""

    def __init__(self, clock: Clock = time.monotonic, awake_or_not: Clock | None = None) -> None:
        """``awake_or_not`` is a clock that goes on while the machine sleeps; by default the system's, if it has one."""
        self._clock = clock
        self._boot = awake_or_not or boot_clock()
        self._last: tuple[float, float] | None = None
        self._found: list[Standstill] = []
        self._lock = threading.Lock()
        self._over = threading.Event()

    def start(self) -> None:
        """Begin to beat, until `close`; once, however often it is called."""
        if self._last is not None:
            return
        self.beat()
        threading.Thread(target=self._run, name="heartbeat", daemon=True).start()

    def close(self) -> None:
        """Beat no more."""
        self._over.set()

    def beat(self) -> None:
        """Look how long ago the last beat was, if there was one."""
        with self._lock:
            now, boot = self._clock(), self._boot()
            if self._last is not None:
                gap = max(now - self._last[0], boot - self._last[1])
                if gap > TOLERATED_S:
                    self._found.append(Standstill(self._last[0], now, gap))
            self._last = now, boot

    def lost_s(self, since: float, until: float = float("inf")) -> float:
        """Return for how many seconds nothing ran in a time of the monotonic clock."""
        if self._last is not None and not self._over.is_set():
            self.beat()
        with self._lock:
            return sum(one.seconds for one in self._found if one.began < until and one.ended > since)

    def _run(self) -> None:
        while not self._over.wait(BEAT_S):
            self.beat()


def boot_clock() -> Clock:
    """Return Linux's clock that counts a machine's sleep, else the monotonic one."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic if clock is None else lambda: time.clock_gettime(clock)

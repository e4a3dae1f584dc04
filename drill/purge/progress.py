"""How far a long piece of work has come: rate, done, left, and an estimate of the time that it still takes."""

import math
import sys
import time
from collections.abc import Callable
from typing import TextIO

from drill.printable import printable

LOG_EVERY_S = 5.0
TERMINAL_EVERY_S = 0.2
Clock = Callable[[], float]


class Progress:
    """Counts what is done of one piece of work and says so in one line each time.

    ``total`` is ``None`` where it is not known beforehand: then there is neither a share nor an estimate. How often a
    line is shown is the listener's business.
    """

    def __init__(
        self,
        say: Callable[[str], None],
        what: str,
        total: int | None,
        unit: str = "documents",
        clock: Clock = time.monotonic,
    ) -> None:
        self._say = say
        self._what = what
        self._total = total
        self._unit = unit
        self._clock = clock
        self._began = clock()
        self.done = 0

    def add(self, count: int) -> None:
        """Count ``count`` more and say how far the work is."""
        self.done += count
        self._say(self.line())

    def line(self) -> str:
        """Return the line: ``purge: 1,200 of 4,000 documents (30 %), 600/s, 2,800 left, about 5 s``."""
        seconds = max(self._clock() - self._began, 1e-3)
        rate = self.done / seconds
        if self._total is None:
            return f"{self._what}: {self.done:,} {self._unit}, {rate:,.0f}/s"
        left = max(0, self._total - self.done)
        share = 100 * self.done // self._total if self._total else 100
        time_left = f", about {duration(left / rate)}" if self.done and left else ""
        done = f"{self.done:,} of {self._total:,} {self._unit} ({min(share, 100)} %)"
        return f"{self._what}: {done}, {rate:,.0f}/s, {left:,} left{time_left}"


class Ticker:
    """Shows lines: in a terminal one line that is rewritten, in a log one line every few seconds."""

    def __init__(self, stream: TextIO = sys.stderr, clock: Clock = time.monotonic, width: int = 79) -> None:
        self._stream = stream
        self._clock = clock
        self._width = width
        self._tty = stream.isatty()
        self._every_s = TERMINAL_EVERY_S if self._tty else LOG_EVERY_S
        self._shown = clock() if not self._tty else -math.inf
        self._open = False

    def __call__(self, line: str) -> None:
        """Show ``line``, unless the last one was shown just now."""
        now = self._clock()
        if now - self._shown < self._every_s:
            return
        self._shown = now
        self._open = self._tty
        text = f"\r\x1b[2K{printable(line)[: self._width]}" if self._tty else f"{printable(line)}\n"
        self._stream.write(text)
        self._stream.flush()

    def close(self) -> None:
        """Clear the line that was being rewritten."""
        if self._open:
            self._stream.write("\r\x1b[2K")
            self._stream.flush()
            self._open = False


def duration(seconds: float) -> str:
    """Return ``seconds`` as a person says them: ``8 s``, ``3 min 20 s``, ``2 h 5 min``."""
    whole = math.ceil(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"

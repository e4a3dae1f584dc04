"""Signals that end a drill, and holding them back for a moment in which it must not be cut in two.

The handler may run between any two steps of the main thread. An exception that is raised while a lock is being taken
leaves it held for ever, and then the drill waits for itself; raised in the callback of a weak reference it is lost. So
it is not raised there: the signal comes again a moment later.
"""

import signal
import sys
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""What an operator, a supervisor and a dropped ssh session send."""
AGAIN_S = 0.02
"""After this time a signal comes again that could not end the drill where it came, or did not."""
PATIENCE_S = 5.0
"""So long an end that is due waits for code that holds locks; who is there for longer waits in it, and can be cut."""
WHOLE = frozenset(
    {"threading", "queue", "concurrent", "weakref", "_weakrefset", "subprocess", "logging", "httpcore", "httpx"}
)
WHOLE |= {"importlib", "_frozen_importlib", "_frozen_importlib_external"}
"""Packages that take locks in Python, start what must be ended, or are called back: none of them is cut in two."""

Handler = Callable[[int, FrameType | None], object] | int | signal.Handlers | None


class Interrupted(KeyboardInterrupt):
    """A signal asked the drill to end; pytest ends a session for it, and no ``except Exception`` eats it."""


class _Held:
    """How many bodies hold signals back, and which came meanwhile."""

    depth = 0
    came: tuple[int, ...] = ()


def _held(number: int) -> bool:
    """Keep signal ``number`` for later if signals are held back now; return whether they are."""
    if _Held.depth:
        _Held.came += (number,)
    return bool(_Held.depth)


@contextmanager
def held_back() -> Iterator[None]:
    """Have the drill's handler deliver signals after the body, not in it: for work on the disk, which is short.

    A signal mask would not do: the kernel gives the signal to another thread, and Python runs its handler in the main
    thread all the same.
    """
    _Held.depth += 1
    try:
        yield
    finally:
        _Held.depth -= 1
        if not _Held.depth and _Held.came:
            first, _Held.came = _Held.came[0], ()
            signal.raise_signal(first)


class EndingSignals:
    """Turns the first signal into `Interrupted`; later ones change nothing, so that the drill ends in order.

    An `Interrupted` that somebody swallowed is gone, and another is raised.
    """

    def __init__(self) -> None:
        self.first = ""
        """The name of the first signal; empty if none came."""
        self.deaf = False
        """Whether the drill is ending already: from here on nothing is cut short."""
        self._raised: Callable[[], Interrupted | None] = lambda: None
        self._due_since: float | None = None
        self._earlier: dict[signal.Signals, Handler] = {}
        self._hook = sys.unraisablehook

    def listen(self) -> None:
        """Take the signals over, except those that the drill was started to ignore (``nohup``)."""
        for number in ENDING:
            earlier = signal.getsignal(number)
            if earlier is not signal.SIG_IGN:
                self._earlier[number] = earlier
                signal.signal(number, self._handle)
        self._earlier[signal.SIGALRM] = signal.signal(signal.SIGALRM, self._remind)
        self._hook, sys.unraisablehook = sys.unraisablehook, self._lost

    def let_go(self, *, ended: bool) -> None:
        """Put the handlers back. After a drill has ``ended``, its exit code stands: default handlers stay away."""
        signal.setitimer(signal.ITIMER_REAL, 0)
        sys.unraisablehook = self._hook
        for number, earlier in self._earlier.items():
            default = earlier in {signal.SIG_DFL, signal.default_int_handler}
            signal.signal(number, signal.SIG_IGN if ended and default else earlier)

    def look(self) -> None:
        """End the drill if that is due: for loops that wait in code which is not cut in two."""
        if self.first:
            self._end(signal.SIGALRM, None)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.first = self.first or signal.Signals(number).name
        self._end(number, frame)

    def _remind(self, number: int, frame: FrameType | None) -> None:
        if self.first:
            self._end(number, frame)

    def _end(self, number: int, frame: FrameType | None) -> None:
        """Raise `Interrupted` if that can be done at ``frame``, and have the signal come again until the drill ends."""
        if self.deaf:
            return
        signal.setitimer(signal.ITIMER_REAL, AGAIN_S)
        if self._raised() is not None or _held(number):
            return
        self._due_since = self._due_since or time.monotonic()
        if _may_be_cut(frame) or time.monotonic() - self._due_since > PATIENCE_S:
            raise self._noted(Interrupted(self.first))

    def _noted(self, interruption: Interrupted) -> Interrupted:
        self._raised, self._due_since = weakref.ref(interruption), None
        return interruption

    def _lost(self, unraisable: "UnraisableHookArgs") -> None:
        """Note an `Interrupted` that was raised where nobody gets to see it, so that another is raised."""
        if isinstance(unraisable.exc_value, Interrupted):
            self._raised = lambda: None
        else:
            self._hook(unraisable)


def _may_be_cut(frame: FrameType | None) -> bool:
    """Whether an exception that is raised at ``frame`` is seen, and leaves nothing half done for ever."""
    while frame is not None:
        package = str(frame.f_globals.get("__name__")).partition(".")[0]
        if package in WHOLE or frame.f_code.co_name == "__del__":
            return False
        frame = frame.f_back
    return True

"""Signals that end a drill, and holding them back for a moment in which it must not be cut in two."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""What an operator, a supervisor and a dropped ssh session send."""


class _Held:
    """How many bodies hold signals back, and which came meanwhile."""

    depth = 0
    came: tuple[int, ...] = ()


def held(number: int) -> bool:
    """Keep signal ``number`` for later if signals are held back now; return whether they are. For the handler."""
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

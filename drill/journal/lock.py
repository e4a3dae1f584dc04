"""The journal's file: opened, locked against other drills, still the one that its name means."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from drill.plain_file import held_directory, open_plain

LOCK_TIMEOUT_S = 10.0
_RETRY_S = 0.01


class JournalBusyError(OSError):
    """Somebody held the journal's lock for longer than ``LOCK_TIMEOUT_S``."""


@contextmanager
def locked(path: Path, timeout_s: float = LOCK_TIMEOUT_S) -> Iterator[int]:
    """Yield a descriptor of the journal, readable and appending, under an exclusive ``flock``.

    The lock is on the journal itself. When the file was rotated while we waited, the new one is opened. Creates
    file and directory. Raises ``OSError`` (``JournalBusyError`` after ``timeout_s``).
    """
    deadline = time.monotonic() + timeout_s
    fd = _open(path)
    try:
        while True:
            _wait_for_lock(fd, deadline)
            if _is_still(fd, path):
                break
            os.close(fd)
            fd = _open(path)
        yield fd
    finally:
        # A line is fsynced before this: a failing close takes nothing back, and must not get it written a second time.
        with suppress(OSError):
            os.close(fd)


def _open(path: Path) -> int:
    new = not path.exists()
    with held_directory(path.parent) as folder:
        fd = open_plain(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644, folder=folder)
        if new:
            os.fsync(folder)
    return fd


def _wait_for_lock(fd: int, deadline: float) -> None:
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise JournalBusyError("the journal is locked by another process") from None
            time.sleep(_RETRY_S)
        else:
            return


def _is_still(fd: int, path: Path) -> bool:
    try:
        named = path.lstat()
    except FileNotFoundError:
        return False
    mine = os.fstat(fd)
    return (mine.st_dev, mine.st_ino) == (named.st_dev, named.st_ino)

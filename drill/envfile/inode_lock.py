"""The second lock of an env file, on the file itself: the side file may be removed, or the file have another name."""

import contextlib
import errno
from pathlib import Path

from drill.envfile.osops import READ_FLAGS, OsLayer, said
from drill.errors import EnvFileRefused, LockHeld

_NO_LOCKS = frozenset({errno.ENOTSUP, errno.ENOSYS, errno.EINVAL, errno.EBADF, errno.ENOLCK})
"""What file systems say that lock nothing, or (NFS) not what is open to be read."""


class InodeLock:
    """Holds the env file that stands at ``path`` from construction to ``release``; ``LockHeld`` if another has it.

    A file system that locks nothing, or not what is only read, leaves the side file as the only lock.
    """

    def __init__(self, ops: OsLayer, path: Path) -> None:
        self._ops = ops
        self._path = path
        self._fd = -1
        try:
            self._take()
        except OSError as error:
            raise EnvFileRefused(
                f"{path.name} cannot be locked ({said(error)}); the drill must be able to read it; nothing was changed"
            ) from None

    def renew(self) -> None:
        """Hold what stands there now, as far as that can be: a replace has put another file at the path.

        Who took it in between has read what was written, and the side file tells from now on that somebody came.
        """
        before, self._fd = self._fd, -1
        with contextlib.suppress(OSError, LockHeld):
            self._take()
        self._close(before)

    def _take(self) -> None:
        self._fd = self._ops.open(self._path, READ_FLAGS)
        try:
            self._ops.flock(self._fd)
        except BlockingIOError:
            self.release()
            raise LockHeld(
                f"{self._path.name} is held by another drill, by another name or beside a lock file that was removed; "
                "expected no other drill on this env file; wait for it to end, or end it"
            ) from None
        except OSError as error:
            self.release()
            if error.errno not in _NO_LOCKS:
                raise

    def release(self) -> None:
        """Let go of the file; more than once is harmless."""
        fd, self._fd = self._fd, -1
        self._close(fd)

    def _close(self, fd: int) -> None:
        if fd >= 0:
            with contextlib.suppress(OSError):
                self._ops.close(fd)

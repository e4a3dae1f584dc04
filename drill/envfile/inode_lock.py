"""The second lock of an env file, on the file itself: the side file may be removed, or the file have another name."""

import contextlib
import errno
import os
from pathlib import Path

from drill.envfile.osops import READ_FLAGS, OsLayer, said
from drill.errors import EnvFileRefused, LockHeld

_NO_LOCKS = frozenset({errno.ENOTSUP, errno.ENOSYS, errno.EINVAL, errno.EBADF, errno.ENOLCK})
"""What file systems say that lock nothing, or (NFS) not what is open to be read."""


class InodeLock:
    """Holds the env file that stands at ``path`` from construction to ``release``; ``LockHeld`` if another has it.

    A file system that locks nothing, or not what is only read, leaves the side file as the only lock. What stood there
    before a replace stays locked, too: by another mount it may still be found.
    """

    def __init__(self, ops: OsLayer, path: Path) -> None:
        self._ops = ops
        self._path = path
        self._fds: list[int] = []
        self.check()

    def check(self) -> None:
        """Hold what stands there now, which somebody may have replaced.

        Raises ``LockHeld`` if another drill holds it, ``EnvFileRefused`` if it is out of reach.
        """
        try:
            if not self._is_held():
                self._take()
        except OSError as error:
            raise EnvFileRefused(
                f"{self._path.name} cannot be locked ({said(error)}); the drill must be able to read it; nothing was "
                "changed"
            ) from None

    def renew(self) -> None:
        """Hold what a replace has put there, as far as that can be; whoever is faster is seen before the next write."""
        with contextlib.suppress(EnvFileRefused, LockHeld):
            self.check()

    def _is_held(self) -> bool:
        there = self._ops.lstat(self._path) if self._fds else None
        return there is not None and any(os.path.samestat(self._ops.fstat(fd), there) for fd in self._fds)

    def _take(self) -> None:
        fd = self._ops.open(self._path, READ_FLAGS)
        self._fds.append(fd)
        try:
            self._ops.flock(fd)
        except BlockingIOError:
            self._let_go(fd)
            raise LockHeld(
                f"{self._path.name} is held by another drill, by another name or beside a lock file that was removed; "
                "expected no other drill on this env file; wait for it to end, or end it"
            ) from None
        except OSError as error:
            self._let_go(fd)
            if error.errno not in _NO_LOCKS:
                raise

    def release(self) -> None:
        """Let go of the file; more than once is harmless."""
        for fd in [*self._fds]:
            self._let_go(fd)

    def _let_go(self, fd: int) -> None:
        self._fds.remove(fd)
        with contextlib.suppress(OSError):
            self._ops.close(fd)

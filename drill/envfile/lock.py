"""The lock of an env file: a side file that one drill at a time holds with ``flock``.

The side file is left in place on purpose: removing it would let one drill hold a lock on the removed file while another
locks a fresh one. The kernel releases the lock when the process ends, however it ends, so a leftover file
locks nobody out.
"""

import contextlib
import json
import os
from datetime import UTC, datetime
from pathlib import Path

from drill.envfile.osops import OsLayer, said, write_all
from drill.environment import environment_id
from drill.errors import EnvFileRefused, LockHeld
from drill.foreign import ForeignError, count, decode_object, moment

_FLAGS = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


class Lock:
    """Holds the lock from construction to ``release``; raises ``LockHeld`` at once if another process has it."""

    def __init__(self, ops: OsLayer, path: Path, env_id: str) -> None:
        self._ops = ops
        self._path = path
        self._env_id = env_id
        self._name = path.name
        self._fd = ops.open(path, _FLAGS, 0o600)
        try:
            self._take()
        except BaseException:
            self.release()
            raise

    def _take(self) -> None:
        try:
            self._ops.flock(self._fd)
        except BlockingIOError:
            raise LockHeld(
                f"{self._name} is held by {self._holder()}; expected no other drill on this env file;"
                " wait for it to end, or end it"
            ) from None
        since = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        self._ops.ftruncate(self._fd, 0)
        holder = {"pid": os.getpid(), "since": since, "env_id": self._env_id}
        write_all(self._ops, self._fd, json.dumps(holder).encode() + b"\n")

    def _holder(self) -> str:
        try:
            holder = decode_object(self._ops.read(self._fd, 200))
            return f"process {count(holder['pid'])} since {moment(holder['since']):%Y-%m-%dT%H:%M:%SZ}"
        except (OSError, ForeignError, KeyError):
            return "another process"

    def check(self) -> None:
        """Raise ``EnvFileRefused`` if the side file is not the locked one any more: a new one may be held."""
        try:
            mine, there = self._ops.fstat(self._fd), self._ops.lstat(self._path)
            same = (mine.st_dev, mine.st_ino) == (there.st_dev, there.st_ino)
        except OSError:
            same = False
        if not same:
            raise EnvFileRefused(
                f"{self._name} was removed or replaced while this drill held it; expected it to stay, as another drill "
                "may write now; this one writes nothing more; see that no other drill runs, then run again"
            )

    def release(self) -> None:
        """Release the lock; more than once is harmless.

        A failing close is not reported: the kernel lets go of the lock all the same, and nothing in it must last.
        """
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            with contextlib.suppress(OSError):
                self._ops.close(fd)


def lock_path(path: Path) -> Path:
    """Return the side file of the env file ``path``."""
    return path.with_name(f"{path.name}.lock")


def acquire(ops: OsLayer, path: Path, *, optional: bool) -> tuple[Lock | None, str]:
    """Lock the env file ``path``. Returns the lock, or with ``optional`` none and why it could not be had.

    ``LockHeld`` is raised in both cases.
    """
    side = lock_path(path)
    try:
        return Lock(ops, side, environment_id(path)), ""
    except OSError as error:
        problem = f"{side.name} cannot be locked ({said(error)}); expected a lock file that this user can write"
        if optional:
            return None, problem
        raise EnvFileRefused(f"{problem}; check the rights of the directory") from None

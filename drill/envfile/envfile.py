"""An env file under its lock: read, plan, apply, restore."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from drill.envfile.edit import EditPlan, plan_edit
from drill.envfile.failure import EnvWriteFailed
from drill.envfile.files import Snapshot, find, record_path, snapshot, sweep
from drill.envfile.flags import FLAGS
from drill.envfile.inode_lock import InodeLock
from drill.envfile.left import Left
from drill.envfile.lock import Lock, acquire
from drill.envfile.osops import OsLayer, exists, said
from drill.envfile.read import read_values
from drill.envfile.replace import IntentLog, back_up, replace
from drill.errors import EnvFileRefused
from drill.whose import objection


class EnvFile:
    """The service's env file, locked from ``open`` to ``close``.

    With ``read_only`` nothing is written but the lock file, and that only where it can be; ``writable_problem`` then
    says in one line what ``--apply`` would be refused for, empty if nothing.
    """

    def __init__(self, path: Path, ops: OsLayer, intents: IntentLog, *, read_only: bool) -> None:
        self.path = path
        self.writable_problem = ""
        self._ops = ops
        self._intents = intents
        self._read_only = read_only
        self._lock: Lock | None = None
        self._inode_lock: InodeLock | None = None
        self._original: Snapshot | None = None
        self._backed_up = False
        self._ours: list[bytes] = []
        """Contents this drill has written or tried to."""
        self._left: Left | None = None

    @classmethod
    def open(cls, path: Path, *, intents: IntentLog, read_only: bool = False, ops: OsLayer | None = None) -> "EnvFile":
        """Check and lock the file, sweep and recover what a killed drill left behind.

        Raises ``EnvFileRefused`` for a file that cannot be edited safely and ``LockHeld`` if another drill has it.
        """
        env_file = cls(Path(os.path.abspath(path)), ops or OsLayer(), intents, read_only=read_only)  # noqa: PTH100 - resolve() would follow the symlink that must be refused
        try:
            env_file._start()
        except BaseException:
            env_file.close()
            raise
        return env_file

    def _start(self) -> None:
        status = find(self._ops, self.path)
        self._lock, lock_problem = acquire(self._ops, self.path, optional=self._read_only)
        self._inode_lock = InodeLock(self._ops, self.path)
        try:
            self.writable_problem = _unwritable(self.path, status) or lock_problem
        except OSError as error:
            raise EnvFileRefused(
                f"{self.path.name} cannot be looked at ({said(error)}); check its file system; nothing was changed"
            ) from None
        if self.writable_problem and not self._read_only:
            raise EnvFileRefused(f"{self.writable_problem}; nothing was changed")
        try:
            if not self._read_only:
                sweep(self._ops, self.path)
            self._recover()
        except OSError as error:
            raise EnvFileRefused(
                f"what an earlier drill left beside {self.path.name} cannot be cleared ({said(error)})"
            ) from None

    def _recover(self) -> None:
        """Put back what an interrupted in-place write tore; rare, so its code is not even loaded without a record."""
        if not exists(self._ops, record_path(self.path)):
            return
        from drill.envfile.inplace import recover

        if recover(self._ops, self.path, read_only=self._read_only):
            self._intents.done("env_file.recover", file=self.path.name)

    def values(self) -> dict[str, str | None]:
        """Return what `read_values` returns of this file."""
        return read_values(self.path, self._ops)

    def plan(self, wanted: Mapping[str, str] = FLAGS) -> EditPlan:
        """Plan to set ``wanted``; raise ``EnvFileRefused`` if the file must not be edited."""
        found = snapshot(self._ops, self.path)
        self._left = self._left or Left.of(found)
        plan = plan_edit(found.data, wanted)
        if plan.refusal:
            raise EnvFileRefused(f"{self.path.name} is refused: {plan.refusal}; repair the file and run again")
        return plan

    def apply(self, plan: EditPlan) -> None:
        """Write ``plan``, all keys in one replace; nothing at all if it changes nothing.

        Raises ``EnvFileRefused`` if the file is no longer what was planned for, ``EnvWriteFailed`` if the system fails.
        """
        if plan.refusal:
            raise EnvFileRefused(f"{self.path.name} is refused: {plan.refusal}; nothing was written")
        current = snapshot(self._ops, self.path)
        if current.data != plan.old_bytes:
            raise EnvFileRefused(
                f"{self.path.name} was changed since it was planned; expected the same bytes; run again"
            )
        if (why := objection(self.path, current.status, service=True)) is not None:
            raise EnvFileRefused(f"{self.path.name} is refused: {why}; nothing was written")
        if plan.unchanged:
            self._left = Left.of(current, plan.keys)
        else:
            self._write(current, plan.new_bytes, plan.keys)

    @property
    def left(self) -> Left:
        """The file as this drill last left it: as it was found when first planned for, written or put back."""
        assert self._left is not None, "a drill plans before it looks back"
        return self._left

    def look(self) -> Snapshot:
        """Read the file once more, whoever has it now; other names of it do not matter to who only reads.

        Raises ``EnvFileRefused`` if it is gone, of another kind or unreadable.
        """
        return snapshot(self._ops, self.path, linked=True)

    def is_from_before(self, data: bytes) -> bool:
        """Whether these are the bytes from before this drill's first write."""
        return self._original is not None and data == self._original.data

    def restore(self) -> None:
        """Put back the bytes from before this drill's first write; nothing if nothing was written.

        Raises ``EnvFileRefused`` if someone else has changed the file since.
        """
        if self._original is None:
            return
        current = snapshot(self._ops, self.path)
        if current.data == self._original.data:
            self._left = Left.of(current)
            return
        if current.data not in self._ours:
            raise EnvFileRefused(
                f"{self.path.name} was changed by someone else; it is not restored; compare it with its .bak"
            )
        self._write(current, self._original.data)

    def hold(self) -> None:
        """Raise ``EnvFileRefused`` or ``LockHeld`` unless both locks are this drill's still."""
        if self._read_only or self._lock is None or self._inode_lock is None:
            raise EnvFileRefused(f"{self.path.name} was opened to be read only; nothing was written")
        self._lock.check()
        self._inode_lock.check()

    def _write(self, current: Snapshot, new: bytes, keys: Iterable[str] = ()) -> None:
        self.hold()
        # Noted before the write, so that a signal in the middle of it does not forget what to restore.
        self._original = self._original or current
        self._ours.append(new)
        if not self._backed_up:
            back_up(self._ops, self.path, self._original)
            self._backed_up = True
        try:
            self._left = Left.of(replace(self._ops, self.path, current, new, self._intents), keys)
        except EnvWriteFailed as failure:
            self._left = Left(new, None, Left.keys_with(keys)) if failure.changed else self._left
            raise
        finally:
            if self._inode_lock is not None:
                self._inode_lock.renew()

    def close(self) -> None:
        """Release the lock; more than once is harmless."""
        if self._inode_lock is not None:
            self._inode_lock.release()
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _unwritable(path: Path, status: os.stat_result) -> str:
    """Say what stands against a write, without writing; empty if nothing is known to."""
    user = os.geteuid()
    if os.statvfs(path).f_flag & os.ST_RDONLY or os.statvfs(path.parent).f_flag & os.ST_RDONLY:
        return f"{path.name} is on a read-only file system; expected one that can be written"
    if not os.access(path.parent, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids):
        return f"the directory of {path.name} cannot be written by this user; a replace makes a new file there"
    if user and status.st_uid != user:
        return f"{path.name} belongs to user {status.st_uid}, which user {user} cannot keep; run the drill as its owner"
    if user and status.st_gid not in {os.getegid(), *os.getgroups()}:
        return f"{path.name} belongs to group {status.st_gid}, which this user cannot keep; run it as a member"
    return ""

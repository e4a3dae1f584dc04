"""The replace of an env file, in the order of DESIGN.md section 6: at any crash the file is old or new."""

import errno
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from drill.envfile.backup import backup_path, make_backup
from drill.envfile.failure import EnvWriteFailed
from drill.envfile.files import Snapshot, create_like, discard, snapshot, temp_path
from drill.envfile.osops import OsLayer, fsync_directory, said
from drill.errors import EnvFileRefused

ACTION = "env_file.replace"


class IntentLog(Protocol):
    """Where the drill notes what it is about to do; an intent without a done is how a killed drill is found."""

    def intent(self, action: str, **facts: str | int) -> None:
        """Record ``action`` before it is done; durable when it returns."""

    def done(self, action: str, **facts: str | int) -> None:
        """Record that ``action`` came to its end."""


class _OnDisk(StrEnum):
    """What stands at the env file's path after a failure."""

    OLD = "not_written"
    NEW = "written"
    OTHER = "unknown"


class _Moved(Exception):  # noqa: N818 - control flow of this file
    """Someone else wrote the file between our reading and our rename."""


class _NotProven(Exception):  # noqa: N818 - control flow of this file
    """The file does not read back as written."""


def back_up(ops: OsLayer, path: Path, original: Snapshot) -> None:
    """Make the backup, durable before the file is touched; raise ``EnvWriteFailed`` if that fails."""
    try:
        make_backup(ops, path, original)
    except OSError as error:
        raise _not_begun(path, "backup", error) from None


def replace(ops: OsLayer, path: Path, old: Snapshot, new: bytes, intents: IntentLog) -> Snapshot:
    """Replace ``old`` by ``new`` and return what was read back.

    Raises ``EnvWriteFailed``, or ``EnvFileRefused`` if the file changed meanwhile.

    The facts recorded are sizes and the inode, which tells whether the rename took place. No digest: with a guessable
    secret in a small file, a digest is as good as the secret.
    """
    sizes = {"old_size": len(old.data), "new_size": len(new)}
    try:
        intents.intent(ACTION, file=path.name, backup=backup_path(path).name, inode=old.status.st_ino, **sizes)
    except OSError as error:
        raise _not_begun(path, "record of the intent", error) from None
    try:
        _swap(ops, path, old, new)
        written = _read_back(ops, path, new)
    except _Moved:
        _record_end(intents, path, _OnDisk.OLD)
        raise EnvFileRefused(
            f"{path.name} was changed by someone else just now; nothing was written; run again"
        ) from None
    except (OSError, _NotProven) as error:
        state = _on_disk(ops, path, old, new)
        _record_end(intents, path, state)
        raise _failed(path, state, error) from None
    if not _record_end(intents, path, _OnDisk.NEW):
        text = f"{path.name} is written, but that could not be recorded; check the disk"
        raise EnvWriteFailed(text, changed=True, written=True)
    return written


def _not_begun(path: Path, lacking: str, error: OSError) -> EnvWriteFailed:
    text = f"{path.name} was not written: no {lacking} could be made ({said(error)}); check disk and rights"
    return EnvWriteFailed(text, changed=False)


def _swap(ops: OsLayer, path: Path, old: Snapshot, new: bytes) -> None:
    temp = temp_path(path)
    create_like(ops, temp, new, old)
    try:
        _check_still(ops, path, old)
        renamed = _renamed(ops, temp, path)
    except BaseException:
        discard(ops, temp)
        raise
    if renamed:
        fsync_directory(ops, path.parent)
    else:
        from drill.envfile.inplace import write_in_place

        discard(ops, temp)
        write_in_place(ops, path, old, new)


def _renamed(ops: OsLayer, temp: Path, path: Path) -> bool:
    """Rename ``temp`` over the env file; return whether that can be: a mount point says ``EBUSY``."""
    try:
        ops.rename(temp, path)
    except OSError as error:
        if error.errno != errno.EBUSY:
            raise
        return False
    return True


def _check_still(ops: OsLayer, path: Path, old: Snapshot) -> None:
    if not old.is_still(ops.lstat(path)):
        raise _Moved


def _read_back(ops: OsLayer, path: Path, new: bytes) -> Snapshot:
    try:
        found = snapshot(ops, path)
    except EnvFileRefused:
        raise _NotProven from None
    if found.data != new:
        raise _NotProven
    return found


def _on_disk(ops: OsLayer, path: Path, old: Snapshot, new: bytes) -> _OnDisk:
    try:
        data = snapshot(ops, path).data
    except EnvFileRefused:
        return _OnDisk.OTHER
    return _OnDisk.NEW if data == new else _OnDisk.OLD if data == old.data else _OnDisk.OTHER


def _record_end(intents: IntentLog, path: Path, state: _OnDisk) -> bool:
    """Record how the replace ended; return whether that could be done: on a full disk it matters less than the end."""
    try:
        intents.done(ACTION, file=path.name, result=str(state))
    except OSError:
        return False
    return True


def _failed(path: Path, state: _OnDisk, error: OSError | _NotProven) -> EnvWriteFailed:
    seen = {
        _OnDisk.OLD: "was not written and is as before",
        _OnDisk.NEW: "is written, but not proven to last",
        _OnDisk.OTHER: "does not read back as old or new",
    }[state]
    why = f" ({said(error)})" if isinstance(error, OSError) else ""
    return EnvWriteFailed(
        f"{path.name} {seen}{why}; check the disk and who else writes the file; the bytes from before are in its .bak",
        changed=state is not _OnDisk.OLD,
        written=state is _OnDisk.NEW,
    )

"""Opening files that somebody may have planted: never through a link, never a FIFO or device, never waiting."""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from drill.whose import record_objection

_SAFE = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class NotPlain(OSError):  # noqa: N818 - it is an ``OSError`` for whoever handles those
    """What stands at a path is no regular file of one name, or not ours; ``strerror`` says what, in one line."""

    def __init__(self, seen: str) -> None:
        super().__init__(errno.EINVAL, seen)


def open_plain(path: Path, flags: int = os.O_RDONLY, mode: int = 0o600) -> int:
    """Return a descriptor of the regular file at ``path``. Raises ``OSError``, ``NotPlain`` for anything else.

    A file that is opened to be written must have one name only: another name may be another's file.
    """
    try:
        fd = os.open(path, flags | _SAFE, mode)
    except OSError:
        _look(path)
        raise
    try:
        _check(path.name, os.fstat(fd), written=bool(flags & (os.O_WRONLY | os.O_RDWR)))
    except BaseException:
        os.close(fd)
        raise
    os.set_blocking(fd, True)
    return fd


def _look(path: Path) -> None:
    """Say of what could not be opened that it is no plain file, where that is the reason."""
    with suppress(FileNotFoundError, NotADirectoryError, PermissionError):
        _check(path.name, path.lstat(), written=False)


def _check(name: str, status: os.stat_result, *, written: bool) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise NotPlain(f"{name} is {_kind(status.st_mode)}, expected a regular file; move it away")
    if written and status.st_nlink > 1:
        raise NotPlain(f"{name} has {status.st_nlink} hard links, expected one; move it away")


def _kind(mode: int) -> str:
    kinds = {stat.S_ISLNK: "a symlink", stat.S_ISFIFO: "a FIFO", stat.S_ISDIR: "a directory", stat.S_ISSOCK: "a socket"}
    return next((name for test, name in kinds.items() if test(mode)), "a device")


def check_record(path: Path, status: os.stat_result) -> None:
    """Raise `NotPlain`, which says whose it is, of a record that another user could have written."""
    if (found := record_objection(path, status)) is not None:
        raise NotPlain(f"{found.seen}: it is not obeyed; {found.remedy} or move it away")


def write_whole(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Put ``data`` at ``path`` by a rename, durable, whatever stood there: nothing that was planted is written to."""
    with held_directory(path.parent) as folder:
        draft = f".{path.name}.{os.urandom(8).hex()}.tmp"
        fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode, dir_fd=folder)
        try:
            with os.fdopen(fd, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.rename(draft, path.name, src_dir_fd=folder, dst_dir_fd=folder)
        except BaseException:
            with suppress(OSError):
                os.unlink(draft, dir_fd=folder)
            raise
        os.fsync(folder)


@contextmanager
def held_directory(folder: Path) -> Iterator[int]:
    """Yield a descriptor of ``folder``: what is done in it stays in it, wherever its name leads later."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield fd
    finally:
        os.close(fd)

"""Opening files that somebody may have planted: never through a link, never a FIFO or device, never waiting."""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from drill.whose import record_objection

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_SAFE = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class NotPlain(OSError):  # noqa: N818 - it is an ``OSError`` for whoever handles those
    """What stands at a path is no regular file of one name, or not ours; ``strerror`` says what, in one line."""

    def __init__(self, seen: str) -> None:
        super().__init__(errno.EINVAL, seen)


def open_plain(path: Path, flags: int = os.O_RDONLY, mode: int = 0o600, *, folder: int | None = None) -> int:
    """Return a descriptor of the regular file at ``path``. Raises ``OSError``, ``NotPlain`` for anything else.

    A file that is opened to be written must have one name only: another name may be another's file. ``folder`` is a
    descriptor of its directory (`held_directory`).
    """
    try:
        fd = os.open(path if folder is None else path.name, flags | _SAFE, mode, dir_fd=folder)
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
    kinds |= {stat.S_ISREG: "a file"}
    return next((name for test, name in kinds.items() if test(mode)), "a device")


def check_record(path: Path, status: os.stat_result) -> None:
    """Raise `NotPlain`, which says whose it is, of a record that another user could have written."""
    if (found := record_objection(path, status)) is not None:
        raise NotPlain(f"{found.seen}: it is not obeyed; {found.remedy} or move it away")


def write_whole(path: Path, data: bytes, mode: int = 0o600, *, inside: int = 0) -> None:
    """Put ``data`` at ``path`` by a rename, durable, whatever stood there: nothing that was planted is written to.

    The last ``inside`` directories of ``path`` are the drill's own (`held_directory`).
    """
    with held_directory(path.parent, inside) as folder, new_file(folder, path.name, mode) as file:
        file.write(data)


@contextmanager
def new_file(folder: int, name: str, mode: int = 0o600) -> Iterator[BinaryIO]:
    """Yield a file that takes the place of ``name`` in a held directory when it is whole and on the disk."""
    draft = f".{name}.{os.urandom(8).hex()}.tmp"
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode, dir_fd=folder)
    try:
        with os.fdopen(fd, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.rename(draft, name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        with suppress(OSError):
            os.unlink(draft, dir_fd=folder)
        raise
    os.fsync(folder)


@contextmanager
def held_directory(folder: Path, inside: int = 0) -> Iterator[int]:
    """Yield a descriptor of ``folder``, made if need be: what is done in it stays in it, wherever its name leads later.

    The last ``inside`` directories are the drill's own, in the artifacts: each is made 0700, and none is a symlink. The
    one before them, artifacts or reports, may be a symlink of somebody who may command the drill. Raises ``OSError``.
    """
    root, *own = [folder, *folder.parents][inside::-1]
    root.mkdir(parents=True, exist_ok=True)
    if root.is_symlink():
        check_record(root, root.lstat())
    fd = os.open(root, _DIRECTORY)
    try:
        for place in own:
            fd = _step_into(fd, place)
        yield fd
    finally:
        os.close(fd)


def _step_into(fd: int, place: Path) -> int:
    """Return a descriptor of a directory in the one of ``fd``, which is closed."""
    with suppress(FileExistsError):
        os.mkdir(place.name, 0o700, dir_fd=fd)
    try:
        inner = os.open(place.name, _DIRECTORY | os.O_NOFOLLOW, dir_fd=fd)
    except OSError:
        check_directory(place)
        raise
    os.close(fd)
    return inner


def check_directory(place: Path) -> None:
    """Raise `NotPlain` of a directory of the drill's own in whose place something else stands, such as a symlink."""
    with suppress(FileNotFoundError, NotADirectoryError, PermissionError):
        if not stat.S_ISDIR(mode := place.lstat().st_mode):
            raise NotPlain(f"{place.name} is {_kind(mode)}, expected a directory; move it away")

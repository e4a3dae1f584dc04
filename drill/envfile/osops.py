"""The one seam between the replace and the operating system, so that a test can fail any call of it."""

# ruff: noqa: D102, PTH104, PTH108, PTH208 - each method is the call of ``os`` that it is named after

import errno
import fcntl
import os
from pathlib import Path

READ_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
"""Without ``O_NONBLOCK``, opening a FIFO would wait for a writer."""
CREATE_FLAGS = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_CHUNK = 1 << 20


class OsLayer:
    """System calls under their own names; each method is one kind of call and raises ``OSError`` as ``os`` does."""

    def open(self, path: Path, flags: int, mode: int = 0o600) -> int:
        return os.open(path, flags, mode)

    def close(self, fd: int) -> None:
        os.close(fd)

    def read(self, fd: int, size: int) -> bytes:
        return os.read(fd, size)

    def pwrite(self, fd: int, data: bytes, offset: int) -> int:
        return os.pwrite(fd, data, offset)

    def ftruncate(self, fd: int, size: int) -> None:
        os.ftruncate(fd, size)

    def fsync(self, fd: int) -> None:
        os.fsync(fd)

    def fstat(self, fd: int) -> os.stat_result:
        return os.fstat(fd)

    def lstat(self, path: Path) -> os.stat_result:
        return os.lstat(path)

    def fchown(self, fd: int, uid: int, gid: int) -> None:
        os.fchown(fd, uid, gid)

    def fchmod(self, fd: int, mode: int) -> None:
        os.fchmod(fd, mode)

    def listxattr(self, fd: int) -> list[str]:
        return os.listxattr(fd)

    def getxattr(self, fd: int, name: str) -> bytes:
        return os.getxattr(fd, name)

    def setxattr(self, fd: int, name: str, value: bytes) -> None:
        os.setxattr(fd, name, value)

    def removexattr(self, fd: int, name: str) -> None:
        os.removexattr(fd, name)

    def rename(self, source: Path, target: Path) -> None:
        os.rename(source, target)

    def unlink(self, path: Path) -> None:
        os.unlink(path)

    def listdir(self, path: Path) -> list[str]:
        return os.listdir(path)

    def flock(self, fd: int) -> None:
        """Take the exclusive lock or raise ``BlockingIOError`` at once."""
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)


def exists(ops: OsLayer, path: Path) -> bool:
    """Whether anything, a dangling symlink included, stands at ``path``."""
    try:
        ops.lstat(path)
    except FileNotFoundError:
        return False
    return True


def read_all(ops: OsLayer, fd: int, limit: int) -> bytes:
    """Read to the end, or ``limit`` + 1 bytes, which tells the caller that there is more."""
    parts: list[bytes] = []
    left = limit + 1
    while left > 0 and (part := ops.read(fd, min(left, _CHUNK))):
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def write_all(ops: OsLayer, fd: int, data: bytes) -> None:
    """Write ``data`` from offset 0 on, however few bytes a call takes."""
    offset = 0
    while offset < len(data):
        written = ops.pwrite(fd, data[offset:], offset)
        if not written:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        offset += written


def fsync_directory(ops: OsLayer, directory: Path) -> None:
    """Make the names in ``directory`` durable."""
    fd = ops.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        ops.fsync(fd)
    finally:
        ops.close(fd)


def said(error: OSError) -> str:
    """Return the system's words for ``error``, without any path."""
    name = errno.errorcode.get(error.errno or 0, "?")
    return f"{name}, {os.strerror(error.errno or 0)}"

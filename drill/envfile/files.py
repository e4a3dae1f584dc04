"""Reading an env file with all that belongs to it, and making a new file just like it."""

import errno
import os
import re
import stat
from dataclasses import dataclass, field
from pathlib import Path

from drill.envfile.edit import MAX_BYTES
from drill.envfile.osops import CREATE_FLAGS, READ_FLAGS, OsLayer, read_all, said, write_all
from drill.errors import NOT_THERE, EnvFileRefused

_CONTENT_BOUND = frozenset({"security.ima", "security.evm"})
"""Attributes that sign the content: the kernel makes new ones for new bytes."""
_NO_XATTRS = frozenset({errno.ENOTSUP, errno.ENOSYS})


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One reading of the env file: bytes, status and extended attributes (ACLs are among them)."""

    data: bytes = field(repr=False)
    status: os.stat_result = field(repr=False)
    xattrs: dict[str, bytes] = field(repr=False)

    def is_still(self, status: os.stat_result) -> bool:
        """Whether ``status`` is of the same file, not written to since."""
        return _identity(status) == _identity(self.status)


def _identity(status: os.stat_result) -> tuple[int, ...]:
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_nlink)


def check_kind(name: str, status: os.stat_result, *, linked: bool = False) -> None:
    """Refuse what is not one plain file under one name; with ``linked``, under however many."""
    if stat.S_ISLNK(status.st_mode):
        raise EnvFileRefused(f"{name} is a symlink; expected a regular file; give the path of the file it points to")
    if not stat.S_ISREG(status.st_mode):
        raise EnvFileRefused(f"{name} is not a regular file; expected the service's env file; check --env-file")
    if status.st_nlink > 1 and not linked:
        raise EnvFileRefused(
            f"{name} has {status.st_nlink} hard links; expected one, as a replace parts them; copy it to its own file"
        )


def find(ops: OsLayer, path: Path, *, linked: bool = False) -> os.stat_result:
    """Return the status of the env file; refuse what is missing, out of reach or of the wrong kind."""
    try:
        status = ops.lstat(path)
    except FileNotFoundError:
        raise EnvFileRefused(f"{path.name} {NOT_THERE}; check --env-file") from None
    except OSError as error:
        raise EnvFileRefused(
            f"{path.name} cannot be looked at ({said(error)}); check --env-file and its rights"
        ) from None
    check_kind(path.name, status, linked=linked)
    return status


def snapshot(ops: OsLayer, path: Path, *, linked: bool = False) -> Snapshot:
    """Read the env file; refuse by the rules of ``find``, and what is too large or unreadable."""
    find(ops, path, linked=linked)
    try:
        fd = ops.open(path, READ_FLAGS)
        try:
            return _read(ops, fd, path.name, linked=linked)
        finally:
            ops.close(fd)
    except OSError as error:
        raise EnvFileRefused(f"{path.name} cannot be read ({said(error)}); the drill must be able to read it") from None


def _read(ops: OsLayer, fd: int, name: str, *, linked: bool) -> Snapshot:
    status = ops.fstat(fd)
    check_kind(name, status, linked=linked)
    data = read_all(ops, fd, MAX_BYTES)
    if len(data) > MAX_BYTES:
        raise EnvFileRefused(f"{name} has more than {MAX_BYTES} bytes; expected an env file; check --env-file")
    return Snapshot(data, status, _xattrs(ops, fd))


def _xattrs(ops: OsLayer, fd: int) -> dict[str, bytes]:
    try:
        return {name: ops.getxattr(fd, name) for name in ops.listxattr(fd) if name not in _CONTENT_BOUND}
    except OSError as error:
        if error.errno in _NO_XATTRS:
            return {}
        raise


def temp_path(path: Path) -> Path:
    """Return a fresh name for a temporary file beside ``path``."""
    return path.with_name(f"{path.name}.{os.urandom(8).hex()}.drill-tmp")


def record_path(path: Path) -> Path:
    """Return the place of the record of an in-place write of the env file ``path``."""
    return path.with_name(f"{path.name}.drill-inplace")


def create_like(ops: OsLayer, path: Path, data: bytes, model: Snapshot) -> None:
    """Create ``path`` with ``data`` and the owner, attributes and mode of ``model``, durable; leave nothing on failure.

    It is born 0600, so that at no moment anybody reads it who may not read the model.
    """
    fd = ops.open(path, CREATE_FLAGS, 0o600)
    try:
        try:
            write_all(ops, fd, data)
            _dress(ops, fd, model)
            ops.fsync(fd)
        finally:
            ops.close(fd)
    except BaseException:
        discard(ops, path)
        raise


def discard(ops: OsLayer, path: Path) -> None:
    """Remove a temporary file if that can be done; the next start sweeps what stays."""
    try:
        ops.unlink(path)
    except OSError:
        return


def _dress(ops: OsLayer, fd: int, model: Snapshot) -> None:
    """Give the file owner, attributes, mode. Mode comes last: the other two may change it."""
    status = ops.fstat(fd)
    wanted = (model.status.st_uid, model.status.st_gid)
    if (status.st_uid, status.st_gid) != wanted:
        ops.fchown(fd, *wanted)
    inherited = _xattrs(ops, fd)
    for name in inherited:
        # A default ACL of the directory would let more people in than the model does.
        if name.startswith("system.posix_acl") and name not in model.xattrs:
            ops.removexattr(fd, name)
    for name, value in model.xattrs.items():
        if inherited.get(name) != value:
            ops.setxattr(fd, name, value)
    ops.fchmod(fd, stat.S_IMODE(model.status.st_mode))


def sweep(ops: OsLayer, path: Path) -> None:
    """Remove temporary files a killed drill left beside ``path``; call it under the lock only."""
    ours = re.compile(rf"{re.escape(path.name)}\.[0-9a-f]{{16}}\.drill-tmp")
    for name in ops.listdir(path.parent):
        if ours.fullmatch(name):
            leftover = path.with_name(name)
            if stat.S_ISREG(ops.lstat(leftover).st_mode):
                discard(ops, leftover)

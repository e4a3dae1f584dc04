"""Which environment an env file is, by whatever name it is reached: what a shown path cannot tell.

An environment is the directory of its env file (device, inode, generation where the file system tells it) and the
file's name there, on this machine. So it is the same through a symlinked directory, a bind mount, a relative path and
after the directory was moved; a copy of the directory is another one. An env file that is a mount point by itself is
written in place and keeps its inode: it is known by that.
"""

import fcntl
import hashlib
import hmac
import os
from contextlib import suppress
from pathlib import Path

from drill.mounts import is_mount_point

DIGITS = 16
"""Hexadecimal digits of an identity: 64 bits, enough for all environments there are."""
_GETVERSION = 0x80087601
"""FS_IOC_GETVERSION of <linux/fs.h>: the generation of an inode, which is new when its number is used again."""
_MACHINE = (Path("/etc/machine-id"), Path("/var/lib/dbus/machine-id"))


def environment_id(path: Path) -> str:
    """Return the identity of the environment whose env file is at ``path``; empty if its directory cannot be found.

    It is a SHA-256, keyed with the id of this machine: neither path nor host nor inode can be read from it.
    """
    place = Path(os.path.abspath(path))  # noqa: PTH100 - as the env file itself is opened: the last name is not followed
    try:
        facts = _inode(place) if is_mount_point(place) else _inode(place.parent) + b"/" + os.fsencode(place.name)
    except OSError:
        return ""
    return hmac.new(_machine(), b"rollback-drill env file " + facts, hashlib.sha256).hexdigest()[:DIGITS]


def _inode(path: Path) -> bytes:
    status = path.stat()
    generation = bytearray(8)
    with suppress(OSError):  # the file system has none, or this user may not read the directory
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            fcntl.ioctl(descriptor, _GETVERSION, generation)
        finally:
            os.close(descriptor)
    return f"{status.st_dev}:{status.st_ino}:{generation.hex()}".encode()


def _machine() -> bytes:
    for path in _MACHINE:
        with suppress(OSError):
            return path.read_bytes().strip()
    return b""

"""What would stand in the way of ``--apply`` on this machine, found without writing: rights, attributes, space."""

import errno
import os
import shutil
import stat
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from drill.envfile.backup import backup_path
from drill.mounts import is_mount_point

MIB = 1 << 20
FREE_BYTES = {"env file": MIB, "artifacts": 64 * MIB, "reports": 8 * MIB}
"""What must be free: beside the env file for temporary file and backup; for events, journal and a quarantine; for a
report."""
_LONGEST_SUFFIX = len(".20260131T200000.123456Z-10.bak")
"""What an older backup's name is made longer by."""
_CAP_FOWNER = 3
"""Linux capability by which a sticky directory does not hold (linux/capability.h)."""
_FS_IOC_GETFLAGS = 0x80086601 if sys.maxsize > 2**32 else 0x80046601
_IMMUTABLE, _APPEND_ONLY = 0x10, 0x20
"""Attributes of ``chattr +i`` and ``+a`` (linux/fs.h)."""


@dataclass(frozen=True, slots=True)
class Needs:
    """What a drill with ``--apply`` writes and runs."""

    env_file: Path
    artifacts_dir: Path
    reports_dir: Path
    reload_command: Sequence[str]


def obstacles(needs: Needs) -> list[str]:
    """Return what ``--apply`` would fail at, one text each: what was seen, what is needed.

    Asked with the effective user's rights (``access(2)``); nothing is written. Quotas and rules of security modules
    beyond ``access(2)`` cannot be asked for.
    """
    found = (
        *_replace(needs.env_file),
        *_reload(needs.reload_command),
        *_directory("artifacts", needs.artifacts_dir),
        *_directory("reports", needs.reports_dir),
        *_space("env file", needs.env_file.parent),
    )
    return list(dict.fromkeys(found))


def _replace(env_file: Path) -> Iterator[str]:
    """Look for what keeps a file from being replaced beside what the env file's own opening has looked for."""
    directory, backup = env_file.parent, backup_path(env_file)
    if len(os.fsencode(env_file.name)) + _LONGEST_SUFFIX > os.pathconf(directory, "PC_NAME_MAX"):
        yield f"the name of {env_file.name} is too long for its backup's name; shorten it"
    for path in (env_file, backup):
        if not path.exists():
            continue
        if _is_sticky_for(directory, path):
            yield f"{path.name} belongs to somebody else in a directory with the sticky bit: it cannot be replaced"
        if names := _attributes(path):
            yield f"{path.name} is {names}: it cannot be replaced; take that off with chattr"
    if _attributes(directory):
        yield f"the directory of {env_file.name} is {_attributes(directory)}; take that off with chattr"
    if is_mount_point(env_file) and not _may(env_file, os.W_OK):
        yield f"{env_file.name} is a mount point, so it is written in place, which this user may not"


def _reload(command: Sequence[str]) -> Iterator[str]:
    if not command:
        return
    name, program = Path(command[0]).name, shutil.which(command[0])
    if program is None:
        yield f"reload command {name!r} is not there or not executable; check [service] reload_command"
    elif missing := _missing_interpreter(Path(program)):
        yield f"reload command {name!r} needs {missing}, which is not there or not executable"


def _missing_interpreter(program: Path) -> str:
    """Return the interpreter that a script's first line names, if it cannot be run; empty if all is well."""
    try:
        with program.open("rb") as file:
            first = file.readline(256)
    except OSError:
        return ""  # a program may be executable without being readable
    words = first[2:].decode("utf-8", "replace").split() if first.startswith(b"#!") else []
    if not words:
        return ""
    if shutil.which(words[0]) is None:
        return words[0]
    by_env = len(words) == 2 and Path(words[0]).name == "env"
    return words[1] if by_env and shutil.which(words[1]) is None else ""


def _directory(name: str, directory: Path) -> Iterator[str]:
    """Look whether files can be made in ``directory``, or the directory in the nearest one that is there."""
    there = next(path for path in (directory, *directory.absolute().parents) if path.exists())
    if not there.is_dir():
        yield f"the {name} directory cannot be made: {there.name} is a file"
    elif not _may(there, os.W_OK | os.X_OK) or _is_read_only(there):
        yield f"the {name} directory cannot be written by this user; give another with --{name}-dir"
    else:
        yield from _space(name, there)


def _space(name: str, directory: Path) -> Iterator[str]:
    status = os.statvfs(directory)
    free, needed = status.f_bavail * status.f_frsize, FREE_BYTES[name]
    if free < needed:
        yield f"{free // MIB} MiB are free for the {name}, {needed // MIB} are needed; make room"
    elif status.f_files and not status.f_favail:
        yield f"no inode is free for the {name}; remove files there"


def _may(path: Path, mode: int) -> bool:
    return os.access(path, mode, effective_ids=os.access in os.supports_effective_ids)


def _is_read_only(path: Path) -> bool:
    return bool(os.statvfs(path).f_flag & os.ST_RDONLY)


def _is_sticky_for(directory: Path, path: Path) -> bool:
    """Whether the sticky bit of ``directory`` keeps this user from renaming or replacing ``path`` (rename(2))."""
    holder = directory.stat()
    if not holder.st_mode & stat.S_ISVTX or _has_capability(_CAP_FOWNER):
        return False
    return os.geteuid() not in {holder.st_uid, path.lstat().st_uid}


def _has_capability(number: int) -> bool:
    try:
        lines = Path("/proc/self/status").read_text("ascii", "replace").splitlines()
        effective = next(line for line in lines if line.startswith("CapEff:"))
        return bool(int(effective.split()[1], 16) >> number & 1)
    except (OSError, StopIteration, ValueError, IndexError):
        return os.geteuid() == 0


def _attributes(path: Path) -> str:
    """Return which attributes keep ``path`` from being renamed; empty if none, or if the file system knows none."""
    import fcntl

    buffer = bytearray(8)
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return ""
    try:
        fcntl.ioctl(fd, _FS_IOC_GETFLAGS, buffer)
    except OSError as error:
        if error.errno in {errno.ENOTTY, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS, errno.EPERM, errno.EACCES}:
            return ""
        raise
    finally:
        os.close(fd)
    flags = int.from_bytes(buffer[:4], sys.byteorder)
    names = [name for bit, name in ((_IMMUTABLE, "immutable"), (_APPEND_ONLY, "append-only")) if flags & bit]
    return " and ".join(names)

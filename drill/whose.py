"""Whether a file may be obeyed: whether anybody but those who may command the drill could have written it.

Who may command it: root; the user it runs as; who called ``sudo``; and the owner of the drill's own code, who could
change the drill itself (a container that runs as root on a checkout of the host's user). ``DRILL_TRUSTED_DIRS`` of
the process environment names directories below which nothing is asked: a mounted volume that has other owners.
"""

import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

TRUSTED_DIRS = "DRILL_TRUSTED_DIRS"
_ACL = "system.posix_acl_access"
_GROUPS, _USERS = Path("/etc/group"), Path("/etc/passwd")
_MAX_LINKS = 40
_HANDLE = re.compile(r"[A-Za-z0-9._-]{1,32}")


@dataclass(frozen=True, slots=True)
class Objection:
    """Why a file may not be obeyed, and the command that would change that."""

    seen: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.seen}; {self.remedy}, or name its directory in {TRUSTED_DIRS} if that is meant"


def masters(environ: Mapping[str, str] = os.environ) -> frozenset[int]:
    """Return the numbers of the users who may command this drill."""
    found = {0, os.geteuid(), Path(__file__).stat().st_uid}
    caller = environ.get("SUDO_UID", "")
    if os.geteuid() == 0 and caller.isascii() and caller.isdigit():
        found.add(int(caller))
    return frozenset(found)


def objection(path: Path, status: os.stat_result, *, service: bool = False) -> Objection | None:
    """Return what speaks against obeying ``path``, whose open descriptor has ``status``; ``None`` if nothing does.

    With ``service`` it may be anybody's: the env file is the service's own. But it must lie where only the owner of its
    directory makes files: what is in a directory of many, such as ``/tmp``, anybody may have put there.
    """
    if _is_trusted(path):
        return None
    allowed = masters()
    if service:
        home = path.parent.stat()
        if _writers(path.parent, home, allowed | {home.st_uid}) is None:
            allowed |= {home.st_uid, status.st_uid}
    return _of_file(path, status, allowed) or next(_of_way(path, allowed), None)


def stranger(path: Path) -> str:
    """Say in one line whose the env file at ``path`` is, if not of somebody who may command the drill; else empty."""
    uid = path.lstat().st_uid
    if uid in masters() or _is_trusted(path):
        return ""
    return f"{path.name} belongs to {user_name(uid)}: its settings are read, a command is never taken from it"


def record_objection(path: Path, status: os.stat_result) -> Objection | None:
    """Return what speaks against obeying a record that a drill left among many; its directories are not asked."""
    return None if _is_trusted(path) else _of_file(path, status, masters())


def _is_trusted(path: Path) -> bool:
    named = [Path(text) for text in os.environ.get(TRUSTED_DIRS, "").split(os.pathsep)]
    here = path.parent.resolve()
    return any(one.is_absolute() and here.is_relative_to(one.resolve()) for one in named)


def _of_file(path: Path, status: os.stat_result, allowed: frozenset[int]) -> Objection | None:
    found = _owner(path, status, allowed)
    if found is None and not stat.S_ISLNK(status.st_mode):  # a link has every right, and means none of them
        found = _writers(path, status, allowed)
    if found is None and stat.S_ISREG(status.st_mode) and status.st_nlink > 1:
        return Objection(f"{path.name} has {status.st_nlink} hard links, expected one", "copy it to a file of its own")
    return found


def _of_way(path: Path, allowed: frozenset[int]) -> Iterator[Objection]:
    """Yield what is wrong on the way to ``path``: a directory or link that others could have put or can change."""
    for place in _way(path):
        status = place.lstat()
        found = _owner(place, status, allowed)
        if found is None and not stat.S_ISLNK(status.st_mode) and not status.st_mode & stat.S_ISVTX:
            found = _writers(place, status, allowed)
        if found is not None:
            yield Objection(f"{path.name} lies where others can put files: {found.seen}", found.remedy)


def _way(path: Path) -> Iterator[Path]:
    """Yield every directory and symlink that leads to ``path``, from the root on."""
    todo, here, links = list(reversed(path.absolute().parts[1:])), Path("/"), 0
    yield here
    while todo:
        part = todo.pop()
        if part == "..":
            here = here.parent
            continue
        following = here / part
        if following.is_symlink() and links < _MAX_LINKS:
            links += 1
            yield following
            target = following.readlink()
            here = Path("/") if target.is_absolute() else here
            todo += reversed(target.parts[1:] if target.is_absolute() else target.parts)
        elif todo:
            here = following
            yield here


def _owner(path: Path, status: os.stat_result, allowed: frozenset[int]) -> Objection | None:
    if status.st_uid in allowed:
        return None
    users = ", ".join(map(str, sorted(allowed)))
    seen = f"{path.name or '/'} belongs to user {status.st_uid}, expected one of {users}"
    return Objection(seen, f"look at it, then chown {os.geteuid()} it")


def _writers(path: Path, status: os.stat_result, allowed: frozenset[int]) -> Objection | None:
    mode, who = stat.S_IMODE(status.st_mode), ""
    if mode & stat.S_IWOTH:
        who = "everybody"
    elif mode & stat.S_IWGRP and (_has_acl(path) or not _is_private(status.st_gid, allowed)):
        who = f"group {status.st_gid}"
    if not who:
        return None
    return Objection(f"{path.name or '/'} can be written by {who} (mode {mode:04o})", "look at it, then chmod go-w it")


def _has_acl(path: Path) -> bool:
    """Whether the group's bits of ``path`` are the mask of an access list, which may name anybody."""
    try:
        return _ACL in os.listxattr(path)
    except OSError:
        return False


def _is_private(gid: int, allowed: frozenset[int]) -> bool:
    """Whether a group has no members but ``allowed``: distributions give each user a group, and a umask of 002.

    Only the local files are asked: a directory service may be as slow as the network it is on.
    """
    members, known = _members(gid)
    return members <= allowed if known else gid in allowed


@cache
def _members(gid: int) -> tuple[frozenset[int], bool]:
    """Return the users in a group (-1: one without an account here), and whether the group is a local one at all."""
    users = {fields[0]: (int(fields[2]), int(fields[3])) for fields in _table(_USERS, 4)}
    group = next((fields for fields in _table(_GROUPS, 4) if int(fields[2]) == gid), None)
    found = {uid for uid, primary in users.values() if primary == gid}
    if group is not None:
        found |= {users.get(name, (-1, -1))[0] for name in group[3].split(",") if name}
    return frozenset(found), group is not None


def user_name(uid: int) -> str:
    """Return a user as it may be shown; the name is the local files', no directory service is waited for."""
    name = next((fields[0] for fields in _table(_USERS, 4) if int(fields[2]) == uid), "")
    return f"user {name} (uid {uid})" if _HANDLE.fullmatch(name) else f"uid {uid}"


def _table(path: Path, fields: int) -> Iterator[list[str]]:
    try:
        lines = path.read_text("utf-8", "replace").splitlines()
    except OSError:
        return
    for line in lines:
        found = line.split(":")
        numbers = found[2:fields] if path == _USERS else found[2:3]
        if len(found) >= fields and all(number.isascii() and number.isdigit() for number in numbers):
            yield found

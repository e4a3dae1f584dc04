"""Is what this drill made of the env file still there: the bytes, the file itself, and if not, whose file it is now.

Flags that are proven in every process are lost at the next restart if somebody has put the old file back.
"""

import os
import stat
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from drill.context import Drill
from drill.envfile.envfile import EnvFile
from drill.envfile.files import Snapshot
from drill.envfile.left import Left, moved
from drill.errors import EnvFileRefused
from drill.record import Evidence, Scalar
from drill.verdict import Verdict
from drill.whose import user_name

STILL_S, POLL_S = 2.0, 0.2
"""How long, and how often, a file that is not as it should be is looked at: an editor may be in the middle of it."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """What one look has found: what is wrong with our keys, what cannot be said of them, and what is to be told."""

    bad: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    right: int = 0
    """How many of our keys read as they were left."""
    detail: dict[str, Scalar] = field(default_factory=dict)


def environment(drill: Drill) -> Evidence:
    """Judge the env file at the end of the observation window; of a dry-run, against how it began."""
    if drill.apply and not drill.judged and not drill.record.flags_written:
        return Evidence(Verdict.NOT_RUN, "the flags are not rolled back")
    if drill.judged:
        drill.observe()
    return _looked(drill)


def environment_again(drill: Drill) -> Evidence:
    """Judge once more at the end of the drill: against what the ladder has written, if there was one."""
    return _looked(drill)


def not_as_left(drill: Drill) -> str:
    """Say what somebody has made of the keys since this drill wrote them; empty: they read as they were left."""
    found = _looked(drill)
    return "" if found.verdict is Verdict.PASS else found.reason


def has_moved(drill: Drill) -> bool:
    """Whether the bytes are not those that this drill has left: a plan that was made of them holds no more."""
    try:
        return drill.env_file.look().data != drill.env_file.left.data
    except EnvFileRefused:
        return True


def _looked(drill: Drill) -> Evidence:
    deadline = time.monotonic() + STILL_S
    while (found := _judged(drill, _look(drill.env_file))).verdict is not Verdict.PASS:
        if time.monotonic() >= deadline:
            break
        time.sleep(POLL_S)
    return found


def _judged(drill: Drill, seen: _Seen) -> Evidence:
    name, keys = drill.env_file.path.name, len(drill.env_file.left.keys)
    what = _what(drill)
    empty = Evidence(Verdict.PASS, "", seen.right, ">=", keys, unit=" keys", detail=seen.detail)
    if not seen.bad and not seen.doubts:
        return empty.judged(Verdict.PASS, "; ".join((f"{name} reads {what}", *seen.remarks)))
    told = "; ".join((*seen.bad, *seen.doubts, *seen.remarks))
    if not drill.judges:
        return empty.judged(Verdict.INCONCLUSIVE, f"{name} does not read {what}: {told}; run the dry-run again")
    do = "the next restart takes what is there: stop or correct who writes it, then run the drill again"
    verdict = Verdict.FAIL if seen.bad else Verdict.INCONCLUSIVE
    return empty.judged(verdict, f"{name} does not read {what}: {told}; {do}")


def _what(drill: Drill) -> str:
    if drill.record.restored:
        return "as this drill put it back"
    return "as this drill wrote it" if drill.record.flags_written else "as when this drill began"


def _look(env_file: EnvFile) -> _Seen:
    left = env_file.left
    try:
        now = env_file.look()
    except EnvFileRefused as refusal:
        return _Seen(bad=(str(refusal).partition(";")[0], *_about_nothing(env_file.path)))
    found = moved(left, now.data)
    bad = list(found.changed)
    if bad and env_file.is_from_before(now.data):
        bad.append("it is the file from before this drill")
    remarks = [*_content(left, now), *_who(left, now), *_manners(left, now)]
    return _Seen(tuple(bad), found.doubts, tuple(remarks), len(left.keys) - len(found.changed), _facts(left, now))


def _content(left: Left, now: Snapshot) -> Iterator[str]:
    """Say how much of the content is what it was."""
    if now.data == left.data:
        yield f"the same {len(now.data)} bytes"
    elif not moved(left, now.data).changed:
        yield "other lines are not as they were"


def _who(left: Left, now: Snapshot) -> Iterator[str]:
    """Say who has changed the file, as far as a file tells: a replaced one has its maker for an owner."""
    if left.status is None:
        return
    when, whose = _clock(now.status.st_ctime), user_name(now.status.st_uid)
    if _place(left.status) != _place(now.status):
        written = _clock(now.status.st_mtime)
        yield f"replaced at {when} by a file of {whose}" + (f", written at {written}" if written != when else "")
    elif now.data != left.data or left.status.st_mtime_ns != now.status.st_mtime_ns:
        mode = stat.S_IMODE(now.status.st_mode)
        yield f"written to in place at {when}; it belongs to {whose} (mode {mode:04o})"


def _manners(left: Left, now: Snapshot) -> Iterator[str]:
    """Say what else is other than it was: rights, owner, names."""
    if now.status.st_nlink > 1:
        yield f"it has {now.status.st_nlink} hard links, and the next drill wants one"
    if left.status is None:
        return
    was, mode = stat.S_IMODE(left.status.st_mode), stat.S_IMODE(now.status.st_mode)
    if mode != was:
        yield f"mode {mode:04o}, was {was:04o}"
    if (now.status.st_uid, now.status.st_gid) != (left.status.st_uid, left.status.st_gid):
        yield (
            f"owner {now.status.st_uid}:{now.status.st_gid}, was {left.status.st_uid}:{left.status.st_gid}: "
            "see that the service can read it"
        )


def _about_nothing(path: Path) -> Iterable[str]:
    """Say what can be known of who took the file away, or put something else there."""
    try:
        status = path.lstat()
        return (f"put there at {_clock(status.st_ctime)} by {user_name(status.st_uid)}",)
    except OSError:
        pass
    try:
        return (f"its directory was last changed at {_clock(path.parent.stat().st_mtime)}",)
    except OSError:
        return ()


def _facts(left: Left, now: Snapshot) -> dict[str, Scalar]:
    """Return the identities: no digest, which is as good as a guessable secret in a small file."""
    facts: dict[str, Scalar] = {"bytes now": len(now.data), "bytes left": len(left.data)}
    facts |= {"inode now": now.status.st_ino, "owner now": user_name(now.status.st_uid)}
    if left.status is not None:
        facts |= {"inode left": left.status.st_ino, "same file": _place(left.status) == _place(now.status)}
    return facts


def _place(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _clock(seconds: float) -> str:
    """Return a moment, with its date where it is of another day."""
    try:
        moment = datetime.fromtimestamp(seconds, UTC)
        return f"{moment:%H:%M:%S} UTC" if moment.date() == datetime.now(UTC).date() else f"{moment:%Y-%m-%d %H:%M} UTC"
    except (OverflowError, ValueError, OSError):  # a file system may say anything
        return "an unknown time"

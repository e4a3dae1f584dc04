"""What the environment of a local process says of the flags: ``/proc/<pid>/environ`` of the process that listens.

It is the environment at exec: proof for a service that reads its process environment, or a file and has nothing else
there. A flag that is ON there wins over the file in most services, but not in those that read the file alone: what the
service does decides then.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from drill.checks.silence import short
from drill.context import Drill
from drill.observation import Window
from drill.proof.flags import Flag
from drill.proof.listeners import PROC, is_same, listeners
from drill.proof.spoken import rolled_back


@dataclass(frozen=True, slots=True)
class Environ:
    """What was read of one instance."""

    rolled_back: Mapping[Flag, bool] = field(default_factory=dict)
    """Flag -> whether its value is that of the rollback, in every process that listens."""
    note: str = ""
    """What was looked at, or why nothing could be; empty: the instance is not on this machine."""


def environs(drill: Drill, window: Window) -> dict[str, Environ]:
    """Return what the environments of the instances on this machine say. Nothing but the three flags is kept of them.

    A process is the instance only if it began when the instance's metrics say that it began: one that merely forwards
    a port has an environment of its own.
    """
    found = {}
    for url in drill.service.instances:
        key = url, _start_time(window, url)
        if key not in drill.environs:
            drill.environs[key] = _of(*key)
        found[url] = drill.environs[key]
    return found


def _start_time(window: Window, url: str) -> float | None:
    seen = window.last.snapshots.get(url)
    return seen.start_time if seen else None


def _of(url: str, start_time: float | None) -> Environ:
    known = listeners(url)
    if not known.pids:
        return Environ(note=f"{short(url)}: {known.problem}" if known.problem else "")
    if not any(is_same(pid, start_time) for pid in known.pids):
        return Environ(note=f"{short(url)}: the process that listens there is not the one that its metrics tell of")
    try:
        read = [_flags(pid) for pid in known.pids]
    except OSError:
        return Environ(note=f"{short(url)}: another user's process, its environment cannot be read")
    told = {flag: all(words) for flag in Flag if (words := _words(read, flag))}
    return Environ(told, f"{short(url)}: process {', '.join(map(str, known.pids))}")


def _words(read: list[dict[Flag, bool | None]], flag: Flag) -> list[bool]:
    """Return what all processes say of a flag; nothing where one says nothing and none contradicts."""
    words = [said for one in read if (said := one.get(flag)) is not None]
    return words if len(words) == len(read) or not all(words) else []


def _flags(pid: int) -> dict[Flag, bool | None]:
    raw = (PROC / str(pid) / "environ").read_bytes()
    pairs = dict(item.partition(b"=")[::2] for item in raw.split(b"\0"))
    return {
        flag: rolled_back(flag, value.decode("utf-8", "replace"))
        for flag in Flag
        if (value := pairs.get(flag.key.encode())) is not None
    }

"""A purge in a process of its own that is killed, by SIGKILL and by itself, at a given point.

``python -m tests.purge.victim DSN TABLE ROOT POINT NTH``: POINT is an event, a method of the target (killed before the
call) or ``after METHOD``, or ``confirm`` (killed before a part becomes the record of what is gone).
"""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from drill.events import EventLog
from drill.primary import FaissDir
from drill.purge import Purge, PurgeSettings
from drill.purge.quarantine import Quarantine
from drill.record import Scalar
from drill.target import Target, TargetSettings, open_target

SETTINGS = PurgeSettings(tenants=("a",), max_fraction=0.5, batch=5)


class Fuse:
    """Kills this process when it is reached for the nth time at its point."""

    def __init__(self, point: str, nth: int) -> None:
        self.point = point
        self.left = nth

    def reach(self, point: str) -> None:
        self.left -= point == self.point
        if not self.left:
            os.kill(os.getpid(), signal.SIGKILL)


class KilledTarget:
    """A target around whose calls the process may die."""

    def __init__(self, target: Target, fuse: Fuse) -> None:
        self._target = target
        self._fuse = fuse

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._target, name)

        def call(*args: Any) -> Any:
            self._fuse.reach(name)
            answer = real(*args)
            self._fuse.reach(f"after {name}")
            return answer

        return call


class KilledLog:
    """The event log of a drill; the process may die right after an event is on the disk."""

    def __init__(self, log: EventLog, fuse: Fuse) -> None:
        self._log = log
        self._fuse = fuse

    def event(self, kind: str, **facts: Scalar) -> None:
        self._log.event(kind, **facts)
        self._fuse.reach(kind)


def _watched(real: Callable[..., Any], fuse: Fuse, point: str) -> Callable[..., Any]:
    def call(*args: Any) -> Any:
        fuse.reach(point)
        answer = real(*args)
        fuse.reach(f"after {point}")
        return answer

    return call


def main(dsn: str, table: str, root: Path, point: str, nth: int) -> int:
    fuse = Fuse(point, nth)
    for name in ("put", "confirm", "settle"):
        setattr(Quarantine, name, _watched(getattr(Quarantine, name), fuse, name))

    def target() -> Any:
        return KilledTarget(open_target(TargetSettings(kind="pgvector", dsn=dsn, table=table), {}), fuse)

    work_dir = root / "drill"
    log = KilledLog(EventLog(work_dir), fuse)
    report = Purge(FaissDir(root / "faiss"), target, SETTINGS, work_dir, log).run()
    print(f"{report.status} {report.purged}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), sys.argv[4], int(sys.argv[5])))

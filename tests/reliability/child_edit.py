"""The edit of an env file as a drill makes it, in a process of its own: begin, intent, replace, done."""

import errno
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

import drill.envfile.inplace
from drill.envfile import EnvFile, plan_edit
from drill.envfile.osops import OsLayer
from drill.errors import DrillError
from drill.events import EventLog, events_path
from drill.record import DrillRecord
from tests.reliability.markers import section

# What is loaded only when it is used is loaded here, to be no part of the section that is swept.
assert drill.envfile.inplace
plan_edit(b"A=1\n")


class Mounted(OsLayer):
    """As in a container that has the env file alone mounted in: nothing can be renamed over it."""

    def rename(self, source: Path, target: Path) -> None:
        if target.name.endswith(".env"):
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))
        super().rename(source, target)


def edit(env_file: Path, artifacts: Path, drill_id: str, ops: OsLayer) -> str:
    """Set the flags of ``env_file``; return why events could not be kept, empty if they were."""
    record = DrillRecord(drill_id, env_file.name, "tester", apply=True, notes="sweep", started=datetime.now(UTC))
    events = EventLog(events_path(artifacts, drill_id).parent)
    events.start(record)
    with EnvFile.open(env_file, intents=events, ops=ops) as opened:
        opened.apply(opened.plan())
    # Not closed: that would say that the journal has its line, and this process writes none.
    return events.degraded


def main() -> int:
    """Run ``child_edit ENV_FILE ARTIFACTS DRILL_ID rename|mounted``."""
    env_file, artifacts, drill_id, way = sys.argv[1:]
    try:
        with section():
            degraded = edit(Path(env_file), Path(artifacts), drill_id, Mounted() if way == "mounted" else OsLayer())
    except DrillError as error:
        print(error, file=sys.stderr)
        return 1
    if degraded:
        print(f"events: {degraded}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

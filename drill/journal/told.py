"""What the events of a drill tell of its journal line: a line that others wrote in its name says something else."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from drill.foreign import ForeignError
from drill.journal.closing import record_of
from drill.journal.entry import GENESIS, JournalEntry
from drill.journal.log import dump
from drill.plain_file import check_directory
from drill.unfinished import DRILLS_DIR, EVENTS_FILE, LINE, START, Event, UnfinishedDrill, read_events
from drill.verdict import Result

_SAME = {"drill_id": "of another drill", "env_id": "of another environment", "apply": "of another mode (apply)"}


def digest_of(entry: JournalEntry) -> str:
    """Return the SHA-256 of a line that is in no chain yet: what its drill notes among its events."""
    return hashlib.sha256(dump({**entry, "prev_sha256": GENESIS}).encode()).hexdigest()


def objection_to(entry: JournalEntry, artifacts_dir: Path) -> str:
    """Return why the events of its drill do not tell what ``entry`` says, in a few words; empty if they do.

    Drill, environment and mode are the same; and so is the whole line where its digest was noted. Where it was not (a
    disk that was full by then, an earlier release), the result is not better than what the rows come to.
    """
    path = artifacts_dir / DRILLS_DIR / str(entry["drill_id"]) / EVENTS_FILE
    try:
        check_directory(path.parent.parent)
        check_directory(path.parent)
        events = read_events(path)
    except OSError as error:
        return f"its events cannot be read: {error.strerror or type(error).__name__}"
    if not events or events[0].kind != START:
        return "its events do not begin with a start"
    for name, other in _SAME.items():
        if (events[0].facts.get(name) or "") != (entry.get(name) or ""):
            return f"its events are {other}"
    noted = [event.text("sha256") for event in events if event.kind == LINE]
    if noted:
        return "" if noted[-1] == digest_of(entry) else "it is not the line that its events note"
    return "" if _may_be(entry, path, events) else "its events do not tell its result"


def _may_be(entry: JournalEntry, path: Path, events: Sequence[Event]) -> bool:
    found = UnfinishedDrill(str(entry["drill_id"]), path, tuple(events))
    try:
        record = record_of(found)
    except ForeignError:
        return False
    record.interrupted = ""
    if entry["result"] == Result.SUCCESS:
        return record.result is Result.SUCCESS
    return entry["result"] != Result.REFUSED or not record.flags_written

"""Reading events back: which drills were killed, and how far they had come."""

import fcntl
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from drill.record import Scalar

DRILLS_DIR = "drills"
EVENTS_FILE = "events.ndjson"
START = "start"
ROW = "row"
CLOSED = "closed"
INTENT = "intent"
DONE = "done"
ENV_REPLACE = "env_file.replace"
"""The action under which the env-file editor writes its intent and its done."""
RELOAD = "reload"
"""Written before the service is made to take the env file, and after it came back or did not."""
PURGE_DELETE = "purge_delete"
"""Written before a batch is deleted from the target."""
PURGE_DELETED = "purge_deleted"
"""Written after it, with the number of documents that are gone."""


@dataclass(frozen=True, slots=True)
class Event:
    """One line of ``events.ndjson``."""

    seq: int
    t: str
    kind: str
    facts: Mapping[str, Scalar] = field(default_factory=dict)

    def text(self, name: str, default: str = "") -> str:
        """Return a fact as text."""
        value = self.facts.get(name)
        return default if value is None else str(value)


def read_events(path: Path) -> list[Event]:
    """Return the readable events; a torn or foreign line is passed over."""
    events = (_parse(line) for line in path.read_bytes().split(b"\n"))
    return [event for event in events if event is not None]


def purged_documents(events: Iterable[Event]) -> int:
    """Return how many documents were deleted from the target for certain; the batch of a kill may be gone too."""
    return sum(int(event.facts.get("documents") or 0) for event in events if event.kind == PURGE_DELETED)


def _parse(line: bytes) -> Event | None:
    try:
        facts = json.loads(line)
        return Event(int(facts.pop("seq")), str(facts.pop("t")), str(facts.pop("kind")), facts)
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


@dataclass(frozen=True, slots=True)
class UnfinishedDrill:
    """A drill that was started, is not running any more and never got its journal line."""

    drill_id: str
    path: Path
    events: tuple[Event, ...]

    @property
    def flags_may_be_written(self) -> bool:
        """Whether a replace of the env file was begun: after the intent, nobody knows but the file itself."""
        return any(event.kind in {INTENT, DONE} and event.text("action") == ENV_REPLACE for event in self.events)

    @property
    def restarting(self) -> bool:
        """Whether it was killed in a reload: the service may still be coming back."""
        steps = [(event.kind, event.text("action")) for event in self.events if event.kind in {INTENT, DONE}]
        return steps[-1:] == [(INTENT, RELOAD)]


def find_unfinished(artifacts_dir: Path) -> list[UnfinishedDrill]:
    """Return the killed drills, oldest first. A drill that still runs holds its lock and is not among them."""
    try:
        paths = sorted(artifacts_dir.joinpath(DRILLS_DIR).glob(f"*/{EVENTS_FILE}"))
    except OSError:
        return []
    found = [drill for path in paths if not _ends_closed(path) if (drill := read_unfinished(path)) is not None]
    return [drill for drill in found if not is_running(drill.path)]


def read_unfinished(path: Path) -> UnfinishedDrill | None:
    """Return the drill whose events are at ``path``, or ``None`` if it never started or is closed."""
    try:
        events = read_events(path)
    except OSError:
        return None
    if not events or events[0].kind != START or any(event.kind == CLOSED for event in events):
        return None
    return UnfinishedDrill(events[0].text("drill_id", path.parent.name), path, tuple(events))


def is_running(path: Path) -> bool:
    """Return whether a live process holds the lock of ``path``.

    Only asked of files with a start event, which is written under the lock: asking never gets in a starter's way.
    """
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _ends_closed(path: Path) -> bool:
    """Look at the last event only: all drills ever run lie here, nearly all of them closed."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - 512))
            last = file.read().rstrip(b"\n").rpartition(b"\n")[2]
    except OSError:
        return True
    event = _parse(last)
    return event is not None and event.kind == CLOSED

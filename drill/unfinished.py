"""Reading events back: which drills were killed, and how far they had come."""

import errno
import fcntl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

from drill.foreign import ForeignError, count, decode_object, lines, opened, read_whole
from drill.printable import printable
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
LINE = "line"
"""Written before the journal line, with its digest: whoever enters a line later can tell that it is this one."""
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
        """Return a fact as text that is fit to be shown."""
        value = self.facts.get(name)
        return default if value is None else printable(value)


def read_events(path: Path) -> list[Event]:
    """Return the readable events; a torn or foreign line is passed over.

    Raises ``OSError`` if the file cannot be read: it is missing, no regular file, or larger than any drill's.
    """
    try:
        data = read_whole(path)
    except ForeignError as error:
        raise OSError(errno.EFBIG, str(error), str(path)) from None
    events = (_parse(line) for line in lines(BytesIO(data)))
    return [event for event in events if event is not None]


def purged_documents(events: Iterable[Event]) -> int:
    """Return how many documents were deleted from the target for certain; the batch of a kill may be gone too."""
    return sum(_count(event.facts.get("documents")) for event in events if event.kind == PURGE_DELETED)


def _count(value: Scalar) -> int:
    try:
        return count(value)
    except ForeignError:
        return 0


def _parse(line: bytes) -> Event | None:
    """Return the event of a line: an object of plain values with a number, a time and a kind, else ``None``."""
    try:
        facts = decode_object(line)
        seq, t, kind = count(facts.pop("seq")), facts.pop("t"), facts.pop("kind")
    except (ForeignError, KeyError):
        return None
    plain = all(value is None or isinstance(value, str | int | float) for value in facts.values())
    return Event(seq, t, kind, facts) if plain and isinstance(t, str) and isinstance(kind, str) else None


@dataclass(frozen=True, slots=True)
class UnfinishedDrill:
    """A drill that was started, is not running any more and never got its journal line."""

    drill_id: str
    path: Path
    events: tuple[Event, ...]

    @property
    def env_id(self) -> str:
        """Which environment it was for; empty if its events do not say."""
        return self.events[0].text("env_id") if self.events else ""

    @property
    def flags_may_be_written(self) -> bool:
        """Whether a replace of the env file was begun: after the intent, nobody knows but the file itself."""
        return any(event.kind in {INTENT, DONE} and event.text("action") == ENV_REPLACE for event in self.events)

    @property
    def restarting(self) -> bool:
        """Whether it was killed in a reload: the service may still be coming back."""
        steps = [(event.kind, event.text("action")) for event in self.events if event.kind in {INTENT, DONE}]
        return steps[-1:] == [(INTENT, RELOAD)]


def find_unfinished(artifacts_dir: Path, passed_over: list[str] | None = None) -> list[UnfinishedDrill]:
    """Return the killed drills, oldest first. A drill that still runs holds its lock and is not among them.

    ``passed_over`` takes a line for each one whose events are damaged or not ours.
    """
    try:
        paths = sorted(artifacts_dir.joinpath(DRILLS_DIR).glob(f"*/{EVENTS_FILE}"))
    except OSError:
        return []
    found = []
    for path in paths:
        try:
            if not _ends_closed(path) and (drill := _unfinished(path)) is not None and not is_running(path):
                found.append(drill)
        except (OSError, ForeignError) as error:
            if passed_over is not None:
                passed_over.append(named(path, error))
    return found


def named(path: Path, error: Exception) -> str:
    """Say in one line that the events at ``path`` were passed over, and why."""
    why = (error.strerror if isinstance(error, OSError) else str(error)) or type(error).__name__
    return printable(f"{path.parent.name}/{path.name} of an earlier drill was passed over ({why}); look at it, move it")


def read_unfinished(path: Path) -> UnfinishedDrill | None:
    """Return the drill whose events are at ``path``, or ``None`` if it never started or is closed."""
    try:
        return _unfinished(path)
    except (OSError, ForeignError):
        return None


def _unfinished(path: Path) -> UnfinishedDrill | None:
    """Return the drill; ``None``: closed, a purge's, or killed before its first event. Raises `ForeignError`."""
    events = read_events(path)
    if not events:
        if path.stat().st_size:
            raise ForeignError("no event in it")
        return None
    if events[0].kind != START or any(event.kind == CLOSED for event in events):
        return None
    drill_id = events[0].text("drill_id", path.parent.name)
    if drill_id != path.parent.name:
        raise ForeignError("the events of another drill")
    return UnfinishedDrill(drill_id, path, tuple(events))


def is_running(path: Path) -> bool:
    """Return whether a live process holds the lock of ``path``.

    Only asked of files with a start event, which is written under the lock: asking never gets in a starter's way.
    """
    with opened(path) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _ends_closed(path: Path) -> bool:
    """Look at the last event only: all drills ever run lie here, nearly all of them closed."""
    with opened(path) as file:
        file.seek(max(0, path.stat().st_size - 512))
        last = file.read(512).rstrip(b"\n").rpartition(b"\n")[2]
    event = _parse(last)
    return event is not None and event.kind == CLOSED

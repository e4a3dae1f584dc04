"""The events of one drill, on disk before each side effect: how a killed drill is found and finished."""

import contextlib
import fcntl
import json
import math
import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from drill.errors import LockHeld
from drill.plain_file import held_directory, open_plain
from drill.record import DrillRecord, Entry, Scalar
from drill.unfinished import CLOSED, DONE, DRILLS_DIR, EVENTS_FILE, INTENT, ROW, START, find_unfinished, read_events

__all__ = ["EventLog", "events_path", "find_unfinished", "fsync_dir", "read_events", "utc_text", "write_all"]


def events_path(artifacts_dir: Path, drill_id: str) -> Path:
    """Return where the events of a drill are kept."""
    return artifacts_dir / DRILLS_DIR / drill_id / EVENTS_FILE


def utc_text(moment: datetime) -> str:
    """Return ``moment`` as RFC 3339 in UTC with milliseconds and ``Z``."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _now() -> datetime:
    return datetime.now(UTC)


class EventLog:
    """Append-only events of a running drill; each is on the disk when the call returns.

    The file stays locked (``flock``) while the drill lives, so that nobody takes it for a killed one. A disk that is
    full or read-only does not stop a rollback: the log goes on without it and says so in ``degraded``.
    """

    def __init__(self, directory: Path, clock: Callable[[], datetime] = _now) -> None:
        """Open ``directory/events.ndjson`` (created 0700/0600) and lock it.

        Raises ``LockHeld`` if another process has it open for writing.
        """
        self.path = directory / EVENTS_FILE
        self.degraded = ""
        """Why events are not on the disk (an ``OSError`` in words); empty if they are."""
        self.kinds: set[str] = set()
        """The kinds of event that were written, or would have been."""
        self._clock = clock
        self._seq = 0
        self._torn = False
        self._fd = -1
        try:
            self._fd = _open_locked(self.path)
            self._continue_after_last()
        except OSError as error:
            self.degraded = error.strerror or type(error).__name__

    def start(self, record: DrillRecord) -> None:
        """Write the first event: everything a later run needs to write the journal line of this one."""
        self.event(
            START,
            drill_id=record.drill_id,
            operator=record.operator,
            env_file=record.env_file,
            env_id=record.env_id,
            apply=record.apply,
            notes=record.notes,
            started=utc_text(record.started),
        )

    def intent(self, action: str, **facts: Scalar) -> None:
        """Say that ``action`` is about to change something."""
        self._write(INTENT, {"action": action, **facts})

    def done(self, action: str, **facts: Scalar) -> None:
        """Say that ``action`` has been carried out."""
        self._write(DONE, {"action": action, **facts})

    def row(self, entry: Entry) -> None:
        """Keep a finished row, so that a drill killed later still tells what it had found."""
        evidence = entry.evidence
        facts: dict[str, Scalar] = {
            "id": entry.id,
            "outcome": str(entry.outcome),
            "verdict": str(evidence.verdict),
            "reason": evidence.reason,
            "value": evidence.value,
            "op": evidence.op,
            "threshold": evidence.threshold,
            "samples": evidence.samples,
            "window_s": evidence.window_s,
            "unit": evidence.unit,
            "duration_s": entry.duration_s,
            "required": entry.required,
            "proof": evidence.proof,
        }
        self._write(ROW, facts)

    def event(self, kind: str, **facts: Scalar) -> None:
        """Write any other event. ``facts`` are plain scalars; a ``Secret`` or a list is a ``TypeError``."""
        self._write(kind, facts)

    def close(self) -> None:
        """Write the last event (the journal line is written) and let go of the lock; safe to call twice."""
        if self._fd >= 0:
            self._write(CLOSED, {})
            fd, self._fd = self._fd, -1
            with contextlib.suppress(OSError):  # the last event was fsynced: a failing close takes nothing back
                os.close(fd)

    def _write(self, kind: str, facts: Mapping[str, Scalar]) -> None:
        line = _line(self._seq, utc_text(self._clock()), kind, facts)
        self._seq += 1
        self.kinds.add(kind)
        if self._fd < 0:
            return
        try:
            write_all(self._fd, b"\n" + line if self._torn else line)
            self._torn = False
            os.fsync(self._fd)
        except OSError as error:
            self._torn = True
            self.degraded = self.degraded or error.strerror or type(error).__name__

    def _continue_after_last(self) -> None:
        events = read_events(self.path)
        self._seq = events[-1].seq + 1 if events else 0
        size = self.path.stat().st_size
        if size:
            with self.path.open("rb") as file:
                file.seek(size - 1)
                self._torn = file.read(1) != b"\n"


def write_all(fd: int, data: bytes) -> None:
    """Write ``data`` in one call; go on after a short write, which a full disk or a signal can cause.

    Under the lock nobody writes between the parts. If the rest does not fit, ``OSError`` leaves a torn line behind:
    the next writer closes it with a newline.
    """
    while data:
        data = data[os.write(fd, data) :]


def fsync_dir(directory: Path) -> None:
    """Make a new name in ``directory`` survive a power cut."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _open_locked(path: Path) -> int:
    new = not path.exists()
    with held_directory(path.parent, inside=2) as folder:
        fd = open_plain(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, folder=folder)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        raise LockHeld(f"{EVENTS_FILE} of this drill is in use by a running drill; wait for it to end") from None
    if new:
        fsync_dir(path.parent)
        fsync_dir(path.parent.parent)
    return fd


def _line(seq: int, moment: str, kind: str, facts: Mapping[str, Scalar]) -> bytes:
    head: dict[str, Scalar] = {"seq": seq, "t": moment, "kind": kind}
    if taken := head.keys() & facts.keys():
        raise TypeError(f"event facts must not be named {', '.join(sorted(taken))}: the event has its own")
    event = head | {name: _plain(name, value) for name, value in facts.items()}
    return json.dumps(event, ensure_ascii=True, allow_nan=False).encode() + b"\n"


def _plain(name: str, value: object) -> Scalar:
    """Return ``value`` as JSON can hold it; numbers that JSON lacks become their names."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, str):
        return str(value)
    raise TypeError(f"event fact {name!r} is a {type(value).__name__}; events hold texts, numbers, booleans and None")

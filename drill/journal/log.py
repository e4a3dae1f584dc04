"""Appending to the journal: one write under a lock, on the disk before it returns, somewhere else if it must."""

import contextlib
import json
import os
import sys
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from drill.events import fsync_dir, write_all
from drill.journal.entry import GENESIS, JournalEntry
from drill.journal.lock import locked
from drill.journal.tail import read_tail

JOURNAL_FILE = "rollback_drill_log.ndjson"


def journal_path(artifacts_dir: Path) -> Path:
    """Return where the journal lies."""
    return artifacts_dir / JOURNAL_FILE


@dataclass(frozen=True, slots=True)
class Appended:
    """Where an entry went."""

    line: str
    path: Path | None
    """The file that holds it; ``None`` if no place was writable and standard error is all there is."""
    problem: str = ""
    """Why it is not in the journal, in one line; empty if it is."""


def journal_head(path: Path) -> str:
    """Return the SHA-256 of the journal's last line: what the next line's ``prev_sha256`` will be.

    ``GENESIS`` if there is no journal yet or it cannot be read.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return GENESIS
    try:
        return read_tail(fd).sha256
    finally:
        os.close(fd)


def append(path: Path, entry: JournalEntry) -> str:
    """Append ``entry`` to the journal at ``path`` and return its line; ``prev_sha256`` is set under the lock.

    Raises ``OSError`` if the line is not on the disk in full.
    """
    with locked(path) as fd:
        return append_locked(fd, entry)


def append_locked(fd: int, entry: JournalEntry) -> str:
    """Append under a lock that the caller holds (see ``locked``): newline for a torn tail, line, newline, fsync."""
    tail = read_tail(fd)
    line = _dump({**entry, "prev_sha256": tail.sha256})
    write_all(fd, (("\n" if tail.torn else "") + line + "\n").encode())
    os.fsync(fd)
    return line


def append_or_rescue(
    path: Path, entry: JournalEntry, environ: Mapping[str, str] = os.environ, stderr: TextIO | None = None
) -> Appended:
    """Append ``entry``; if the journal cannot be written, print it and keep it in the first writable place.

    The places: beside the journal, the user's state directory, the temporary directory. Each rescued entry is a file
    of its own, so that ``cat rescued >> journal`` brings it back. Never raises ``OSError``: the rollback has been done
    and its exit code must get out.
    """
    try:
        return Appended(append(path, entry), path)
    except OSError as error:
        why = error.strerror or str(error)
    line = _dump({**entry, "prev_sha256": GENESIS})
    with contextlib.suppress(OSError, ValueError):
        print(line, file=stderr or sys.stderr, flush=True)
    rescued = _rescue(_places(path, environ), f"rollback_drill_log.{entry['drill_id']}.ndjson", line)
    return Appended(line, rescued, f"the journal {path.name} could not be written ({why})")


def _rescue(places: Iterable[Path], name: str, line: str) -> Path | None:
    for place in places:
        with contextlib.suppress(OSError):
            return _write_new(place / name, line)
    return None


def _write_new(path: Path, line: str) -> Path:
    """Write a file that nobody can have put there before us: the last place is a directory that all may write."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        write_all(fd, line.encode() + b"\n")
        os.fsync(fd)
    except OSError:
        path.unlink()
        raise
    finally:
        os.close(fd)
    fsync_dir(path.parent)
    return path


def _places(path: Path, environ: Mapping[str, str]) -> Iterable[Path]:
    yield path.parent
    state = environ.get("XDG_STATE_HOME", "")
    home = environ.get("HOME", "")
    if state or home:
        yield (Path(state) if state else Path(home, ".local", "state")) / "rollback-drill"
    yield Path(tempfile.gettempdir())


def _dump(entry: Mapping[str, object]) -> str:
    return json.dumps(entry, ensure_ascii=True, allow_nan=False)

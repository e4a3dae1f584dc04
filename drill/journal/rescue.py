"""The line of a drill whose journal cannot be written: kept elsewhere, and entered by a later drill, once."""

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from drill.events import fsync_dir, write_all
from drill.foreign import MAX_LINE, ForeignError, decode_object, read_whole
from drill.journal.entry import GENESIS, JournalEntry
from drill.journal.lock import locked
from drill.journal.log import append, append_locked, dump, has_line


@dataclass(frozen=True, slots=True)
class Appended:
    """Where an entry went."""

    line: str
    path: Path | None
    """The file that holds it; ``None`` if no place was writable and standard error is all there is."""
    problem: str = ""
    """Why it is not in the journal, in one line; empty if it is."""
    passed_over: tuple[str, ...] = ()
    """What earlier drills left and could not be entered, a line each."""


def append_or_rescue(
    path: Path, entry: JournalEntry, environ: Mapping[str, str] = os.environ, stderr: TextIO | None = None
) -> Appended:
    """Append ``entry``; if the journal cannot be written, print it and keep it in the first writable place.

    The places: beside the journal, the user's state directory, the temporary directory. Each rescued entry is a file
    of its own; `adopt_rescued` brings it back. An entry that was written but not fsynced is rescued too: nobody knows
    whether the disk will keep it. Never raises ``OSError``: the rollback has been done and its exit code must get out.
    """
    try:
        return Appended(append(path, entry), path)
    except OSError as error:
        why = error.strerror or str(error)
    line = dump({**entry, "prev_sha256": GENESIS})
    with contextlib.suppress(OSError, ValueError):
        print(line, file=stderr or sys.stderr, flush=True)
    rescued = _rescue(_places(path, environ), f"{path.stem}.{entry['drill_id']}{path.suffix}", line)
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


def adopt_rescued(path: Path) -> list[str]:
    """Enter the rescued lines that lie beside the journal at ``path``, and return their drills' ids.

    One that the journal has already is not entered again: neither after a kill between entering and removing, nor
    when the disk kept a line whose fsync had failed. Raises ``OSError`` if the journal cannot be written; what is
    rescued then stays where it is.
    """
    found = [(file, entry) for file in path.parent.glob(f"{path.stem}.*{path.suffix}") if (entry := _rescued(file))]
    if not found:
        return []
    with locked(path) as fd:
        for file, entry in sorted(found, key=lambda pair: str(pair[1]["timestamp"])):
            if has_line(path, str(entry["drill_id"])):
                os.fsync(fd)
            else:
                append_locked(fd, entry)
            file.unlink()
    return [str(entry["drill_id"]) for _, entry in found]


def _rescued(file: Path) -> JournalEntry | None:
    """Return the entry of a rescued file; ``None`` for any other file, as a journal that somebody rotated."""
    from drill.journal.schema import schema_errors

    try:
        entry: JournalEntry = decode_object(read_whole(file, MAX_LINE))
    except (OSError, ForeignError):
        return None
    own_name = file.name.endswith(f".{entry.get('drill_id')}{file.suffix}")
    return entry if own_name and not schema_errors(entry) else None

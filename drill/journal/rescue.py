"""The line of a drill whose journal cannot be written: kept elsewhere, and entered by a later drill, once."""

import contextlib
import os
import re
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from drill.events import write_all
from drill.foreign import MAX_LINE, ForeignError, decode_object, read_whole
from drill.journal.entry import GENESIS, JournalEntry
from drill.journal.lock import locked
from drill.journal.log import append, append_locked, dump, has_line
from drill.journal.told import objection_to
from drill.plain_file import held_directory
from drill.printable import printable

_NAMED = re.compile(r"\.\d{8}T\d{6}Z-[0-9a-f]{6}\.[^.]+\Z")
"""How the file of a rescued line is named: after its drill."""


@dataclass(frozen=True, slots=True)
class Appended:
    """Where an entry went."""

    line: str
    path: Path | None
    """The file that holds it; ``None`` if no place was writable and standard error is all there is."""
    problem: str = ""
    """Why it is not in the journal, in one line; empty if it is."""


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
    with held_directory(path.parent) as folder:
        fd = os.open(path.name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=folder)
        try:
            write_all(fd, line.encode() + b"\n")
            os.fsync(fd)
        except OSError:
            os.unlink(path.name, dir_fd=folder)
            raise
        finally:
            os.close(fd)
        os.fsync(folder)
    return path


def _places(path: Path, environ: Mapping[str, str]) -> Iterable[Path]:
    yield path.parent
    state = environ.get("XDG_STATE_HOME", "")
    home = environ.get("HOME", "")
    if state or home:
        yield (Path(state) if state else Path(home, ".local", "state")) / "rollback-drill"
    yield Path(tempfile.gettempdir())


def adopt_rescued(path: Path, passed_over: list[str] | None = None) -> list[str]:
    """Enter the rescued lines that lie beside the journal at ``path``, and return their drills' ids.

    Only a line that its drill's own events tell, too (`told`); others stay where they are, and ``passed_over`` takes a
    line for each. One that the journal has already is not entered again: neither after a kill between entering and
    removing, nor when the disk kept a line whose fsync had failed. Raises ``OSError`` if the journal cannot be written;
    what is rescued then stays where it is.
    """
    found, lost = [], [] if passed_over is None else passed_over
    for file in sorted(path.parent.glob(f"{path.stem}.*{path.suffix}")):
        try:
            entry = read_rescued(file)
            why = objection_to(entry, path.parent)
        except (OSError, ForeignError) as error:
            if not _NAMED.search(file.name):  # no rescued line, but a journal that somebody rotated
                continue
            why = (error.strerror if isinstance(error, OSError) else str(error)) or type(error).__name__
        if why:
            lost.append(_not_entered(file, why))
        else:
            found.append((file, entry))
    return enter(path, found)


def enter(path: Path, found: Sequence[tuple[Path, JournalEntry]]) -> list[str]:
    """Append the entries that the journal at ``path`` lacks, remove their files and return their drills' ids."""
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


def read_rescued(file: Path) -> JournalEntry:
    """Return the entry of a rescued file. Raises ``OSError`` and `ForeignError` for any other file, and why."""
    from drill.journal.schema import schema_errors

    entry: JournalEntry = decode_object(read_whole(file, MAX_LINE))
    if wrong := schema_errors(entry):
        raise ForeignError(f"no journal line: {wrong[0].partition(':')[0]}")
    if not file.name.endswith(f".{entry['drill_id']}{file.suffix}"):
        raise ForeignError("the line of another drill")
    return entry


def _not_entered(file: Path, why: str) -> str:
    """Say in one line that a rescued line was left where it is, and how it comes into the journal all the same."""
    return printable(
        f"{file.name} was not entered into the journal ({why}); look at it: move it away, or enter it with "
        "python -m drill journal enter"
    )

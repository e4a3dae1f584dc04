"""Appending to the journal: one write under a lock, on the disk before it returns."""

import json
import os
from collections.abc import Mapping
from pathlib import Path

from drill.events import write_all
from drill.foreign import lines, opened
from drill.journal.entry import GENESIS, JournalEntry
from drill.journal.lock import locked
from drill.journal.read import entry_of
from drill.journal.tail import read_tail
from drill.plain_file import open_plain

JOURNAL_FILE = "rollback_drill_log.ndjson"


def journal_path(artifacts_dir: Path) -> Path:
    """Return where the journal lies."""
    return artifacts_dir / JOURNAL_FILE


def journal_head(path: Path) -> str:
    """Return the SHA-256 of the journal's last line: what the next line's ``prev_sha256`` will be.

    ``GENESIS`` if there is no journal yet or it cannot be read.
    """
    try:
        fd = open_plain(path)
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
    line = dump({**entry, "prev_sha256": tail.sha256})
    write_all(fd, (("\n" if tail.torn else "") + line + "\n").encode())
    os.fsync(fd)
    return line


def has_line(path: Path, drill_id: str) -> bool:
    """Return whether the journal at ``path`` has the whole line of a drill; a torn one does not count.

    Raises ``OSError`` if it cannot be read.
    """
    needle = f'"drill_id": {json.dumps(drill_id)}'.encode()
    with opened(path) as file:
        return any(needle in line and _is_of(line, drill_id) for line in lines(file))


def _is_of(line: bytes, drill_id: str) -> bool:
    entry = entry_of(line)
    return entry is not None and entry["drill_id"] == drill_id


def dump(entry: Mapping[str, object]) -> str:
    """Return ``entry`` as a line of the journal, without its newline."""
    return json.dumps(entry, ensure_ascii=True, allow_nan=False)

"""The journal as a table for the terminal."""

from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from drill.foreign import lines as whole_lines
from drill.foreign import opened
from drill.journal.read import entry_of
from drill.printable import printable

_COLUMNS = ("timestamp", "result", "mode", "env_file", "operator", "took", "safe after", "proven by", "notes")
_FLAGS = {"disable_dual_write": "dual-write", "disable_shadow_read": "shadow-read", "force_faiss": "backend"}


def last_lines(path: Path, count: int) -> list[str]:
    """Return the last ``count`` entries of the journal as they stand there (ASCII), oldest first.

    Torn lines are passed over. Raises ``OSError`` if the file cannot be read.
    """
    with opened(path) as file:
        last = deque(whole_lines(file), maxlen=max(count * 2, count + 16))
    texts = [line.decode("ascii", "replace") for line in last]
    return [text for text in texts if entry_of(text) is not None][-count:] if count > 0 else []


def table(lines: list[str]) -> Iterator[str]:
    """Yield the lines of a table with one row per entry; control characters never reach the terminal."""
    rows = [_COLUMNS, *(_cells(entry) for line in lines if (entry := entry_of(line)) is not None)]
    widths = [max(len(row[place]) for row in rows) for place in range(len(_COLUMNS))]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _cells(entry: dict[str, Any]) -> tuple[str, ...]:
    return (
        printable(entry.get("timestamp")),
        printable(entry.get("result")),
        "apply" if entry.get("apply") is True else "dry-run",
        printable(entry.get("env_file")),
        printable(entry.get("operator")),
        _seconds(entry.get("duration_s")),
        _seconds(entry.get("time_to_safety_s")),
        _proofs(entry.get("steps")),
        printable(entry.get("notes")),
    )


def _proofs(steps: object) -> str:
    """Return what the proof of each flag rests on: one word where it is the same for all."""
    rows = [step for step in steps if isinstance(step, dict)] if isinstance(steps, list) else []
    proven = [step for step in rows if step.get("id") in _FLAGS and "proof" in step]
    found = {_FLAGS[step["id"]]: printable(step["proof"]) for step in proven}
    if len(found) == len(_FLAGS) and len(set(found.values())) == 1:
        return next(iter(found.values()))
    return ", ".join(f"{flag} {proof}" for flag, proof in found.items()) or "-"


def _seconds(value: object) -> str:
    return f"{value:.1f} s" if isinstance(value, int | float) else "-"

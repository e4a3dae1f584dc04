"""What an earlier drill or somebody else left, decoded in one place: bounded in size, depth, numbers and dates.

Files are opened without waiting, and only regular ones are read. What is out of bounds or of another kind is a
`ForeignError`, a ``ValueError``: it costs the item, never the drill that reads it.
"""

import json
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from drill.plain_file import check_record, open_plain

MAX_BYTES = 64 << 20
"""Largest file that is held in memory: ten times the events of a purge of ten million documents."""
MAX_LINE = 1 << 20
"""Longest line that is held in memory; none of ours comes near it, a NUL-filled tail may be gigabytes."""
MAX_DEPTH = 32
"""Levels of nesting; ours have four."""
MAX_DIGITS = 18
"""Of a whole number: what 64 bits hold."""


class ForeignError(ValueError):
    """An item is damaged, out of bounds or not ours; the message says which, and quotes nothing of it."""


def decode(text: bytes | str) -> Any:
    """Return what one JSON text says; ``None`` stands for NaN, infinity and whole numbers beyond 64 bits.

    Raises `ForeignError`: not JSON, or too deep.
    """
    try:
        value = json.loads(text, parse_int=_whole, parse_float=_finite, parse_constant=_no_number)
    except RecursionError:
        raise ForeignError("nested too deep") from None
    except ValueError:
        raise ForeignError("not JSON") from None
    if not _shallow(value):
        raise ForeignError("nested too deep")
    return value


def decode_object(text: bytes | str) -> dict[str, Any]:
    """Return the JSON object of ``text``. Raises `ForeignError`."""
    value = decode(text)
    if not isinstance(value, dict):
        raise ForeignError("not a JSON object")
    return value


def moment(value: object) -> datetime:
    """Return a date with its zone, in UTC. Raises `ForeignError`: no date, no zone, or outside 1970 to 2999."""
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) else None
        if found is not None and found.tzinfo is not None and 1970 <= (found := found.astimezone(UTC)).year < 3000:
            return found
    except (ValueError, OverflowError):
        pass
    raise ForeignError("a date that is none, or has no zone")


def count(value: object, most: int = 10**15) -> int:
    """Return a whole number from 0 to ``most``. Raises `ForeignError`."""
    if type(value) is int and 0 <= value <= most:
        return value
    raise ForeignError("a count that is none")


def number(value: object, most: float = 1e15) -> float:
    """Return a number from 0 to ``most``. Raises `ForeignError`."""
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= most:
        return float(value)
    raise ForeignError("a number that is none, or out of range")


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Open a regular file for reading. Raises ``OSError`` for any other kind, without waiting for its other end."""
    with open(path, "rb", opener=_open) as file:
        yield file


def read_whole(path: Path, most: int = MAX_BYTES) -> bytes:
    """Return the bytes of a regular file of a drill's own.

    Raises ``OSError``, also for one that another user could have written, and `ForeignError` if there are more than
    ``most``.
    """
    with opened(path) as file:
        check_record(path, os.fstat(file.fileno()))
        data = file.read(most + 1)
    if len(data) > most:
        raise ForeignError(f"more than {most} bytes")
    return data


def lines(file: BinaryIO) -> Iterator[bytes]:
    """Yield each line without its newline, in bounded memory: an overlong one as an empty line, which says nothing."""
    while piece := file.readline(MAX_LINE):
        if len(piece) < MAX_LINE or piece.endswith(b"\n"):
            yield piece.removesuffix(b"\n")
            continue
        while piece and not piece.endswith(b"\n"):
            piece = file.readline(MAX_LINE)
        yield b""


def _open(path: str, flags: int) -> int:
    return open_plain(Path(path), flags)


def _whole(text: str) -> int | None:
    return None if len(text) > MAX_DIGITS + text.startswith("-") else int(text)


def _finite(text: str) -> float | None:
    value = float(text)
    return value if math.isfinite(value) else None


def _no_number(_name: str) -> None:
    return None


def _shallow(value: object) -> bool:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [inner for outer in level for inner in _inside(outer)]
        if not level:
            return True
    return False


def _inside(value: object) -> list[object]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []

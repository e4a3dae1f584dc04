"""Filling in ``${NAME}`` and ``${NAME:-default}`` as python-dotenv does, in bounded time and memory.

python-dotenv's own expression takes time with the square of a value's length, and forty lines that each double the one
above ask for a terabyte.
"""

import re
from collections.abc import Iterable, Iterator, Mapping

MAX_VALUE = 128 * 1024
"""The longest text that Linux hands to a process in one variable; what would be longer stays as it is written."""
MAX_TOGETHER = 4 * 1024 * 1024
"""How much text is filled in for a whole file."""
_STOP = re.compile(r"[}:]")


def interpolate(pairs: Iterable[tuple[str, str | None]]) -> dict[str, str | None]:
    """Return the values with references filled in from the statements above each.

    python-dotenv does the same with the process environment added, which belongs to this process and not to the
    service's, and is therefore left out.
    """
    resolved: dict[str, str | None] = {}
    left = MAX_TOGETHER
    for key, value in pairs:
        filled = value
        if value is not None and "${" in value:
            filled = _filled(value, resolved, min(left, MAX_VALUE))
            left -= len(filled)
        resolved[key] = filled
    return resolved


def _filled(value: str, known: Mapping[str, str | None], limit: int) -> str:
    """Return ``value`` filled in; as it is where that would be longer than ``limit``, or than nothing but itself."""
    parts: list[str] = []
    left = limit
    for text, name in _pieces(value):
        part = text if name is None else known.get(name, text) or ""
        left -= len(part)
        if left < 0:
            return value
        parts.append(part)
    return "".join(parts)


def _pieces(value: str) -> Iterator[tuple[str, str | None]]:
    """Yield literal texts with no name, and references with their default and name; every place is looked at once."""
    cursor = place = 0
    stop = close = -1
    while (start := value.find("${", place)) >= 0:
        if stop < start + 2:
            found = _STOP.search(value, start + 2)
            if found is None:
                break
            stop = found.start()
        end, default = stop, ""
        if value[stop] == ":":
            if not value.startswith(":-", stop):
                place = start + 2
                continue
            if close < stop and (close := value.find("}", stop)) < 0:
                break
            end, default = close, value[stop + 2 : close]
        yield value[cursor:start], None
        yield default, value[start + 2 : stop]
        cursor = place = end + 1
    yield value[cursor:], None

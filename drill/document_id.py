"""Document ids: a text on this side, whatever type of JSON they have where they are kept.

The number 7 and the text "7" are both ``7`` here. A side that holds both under one tenant holds one id twice, and such
a side is never purged.
"""

import math
import re

WHOLE = re.compile(r"0|-?[1-9][0-9]{0,299}", re.ASCII)
"""Of so few digits that it has a place among floating point numbers."""
EXACT = 1 << 53
"""From here on a floating point number has no fractions, and not every whole number."""
INT64 = range(-(1 << 63), 1 << 63)


def id_text(value: object) -> str:
    """Return a JSON value as an id; empty if it cannot be one (null, an empty text, a list, an object).

    A whole number is the same whether it is kept as 7 or 7.0: some databases know no other numbers.
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return _of_float(value)
    return value if isinstance(value, str) else ""


def as_whole(key: str) -> int | None:
    """Return the whole number of 64 bits that would be written exactly as ``key``; None if there is none."""
    number = int(key) if WHOLE.fullmatch(key) else None
    return number if number is not None and number in INT64 else None


def beyond_64_bits(key: str) -> float | None:
    """Return about the whole number that is written as ``key`` where it is too large for 64 bits; else None."""
    number = int(key) if WHOLE.fullmatch(key) else 0
    return None if number in INT64 else float(number)


def as_number(key: str) -> float | None:
    """Return the floating point number whose id is ``key``; None if there is none."""
    try:
        number = float(key)
    except ValueError:
        return None
    return number if id_text(number) == key else None


def _of_float(value: float) -> str:
    if not math.isfinite(value):
        return ""
    return str(int(value)) if value.is_integer() and abs(value) < EXACT else repr(value)

"""Journal lines read back: of the shape that is relied on, or none."""

from typing import Any

from drill.foreign import ForeignError, decode_object

_TEXTS = ("drill_id", "env_file")


def entry_of(line: bytes | str) -> dict[str, Any] | None:
    """Return the entry of a line; ``None`` for one that is torn, damaged or not ours.

    What is returned names its drill and env file, and its steps and checks are objects with an id. What else is wrong
    with a line, `journal verify --schema` says.
    """
    try:
        entry = decode_object(line)
    except ForeignError:
        return None
    if not all(isinstance(entry.get(key), str) for key in _TEXTS):
        return None
    return {**entry, "steps": _rows(entry.get("steps")), "checks": _rows(entry.get("checks"))}


def _rows(value: object) -> list[dict[str, Any]]:
    """Return the rows that are objects with an id: an odd one costs itself."""
    rows = value if isinstance(value, list) else []
    return [row for row in rows if isinstance(row, dict) and isinstance(row.get("id"), str)]

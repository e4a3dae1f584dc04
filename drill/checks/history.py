"""What the journal says of the last successful drill of the same env file."""

from io import BytesIO
from pathlib import Path
from typing import Any

from drill.foreign import ForeignError, lines, number, opened
from drill.journal.read import entry_of
from drill.verdict import Result

MAX_TAIL_BYTES = 4 * 1024 * 1024
"""How far back the journal is searched; about a thousand drills."""
LONGEST_MS = 3_600_000.0
"""A latency above an hour was never measured: its line is passed over."""


def last_success(journal: Path, env_id: str) -> dict[str, float]:
    """Return P50 and P95 in milliseconds of the last successful ``--apply`` drill of ``env_id``, if any.

    A line that does not say which environment it is of, as those of earlier releases, is of none.
    """
    if not env_id:
        return {}
    for line in reversed(_tail(journal)):
        entry = entry_of(line)
        if entry is None or (entry.get("result"), entry.get("apply"), entry.get("env_id")) != (
            Result.SUCCESS,
            True,
            env_id,
        ):
            continue
        try:
            return _measured(entry)
        except ForeignError:
            continue
    return {}


def _measured(entry: dict[str, Any]) -> dict[str, float]:
    """Return P50 and P95. Raises `ForeignError` if one is none that can have been measured."""
    values = {check["id"]: check.get("value") for check in entry["checks"]}
    named = {"P50": values.get("post.primary_latency"), "P95": values.get("slo.latency")}
    return {name: number(value, LONGEST_MS) for name, value in named.items() if value is not None}


def _tail(journal: Path) -> list[bytes]:
    try:
        with opened(journal) as file:
            file.seek(max(0, file.seek(0, 2) - MAX_TAIL_BYTES))
            return list(lines(BytesIO(file.read(MAX_TAIL_BYTES))))
    except OSError:
        return []

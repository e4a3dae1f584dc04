"""What the journal says of the last successful drill of the same env file."""

import json
from pathlib import Path

MAX_TAIL_BYTES = 4 * 1024 * 1024
"""How far back the journal is searched; about a thousand drills."""


def last_success(journal: Path, env_file: str) -> dict[str, float]:
    """Return P50 and P95 in milliseconds of the last successful ``--apply`` drill of ``env_file``, if any."""
    for line in reversed(_tail(journal)):
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict) and (entry.get("result"), entry.get("apply"), entry.get("env_file")) == (
            "success",
            True,
            env_file,
        ):
            values = {
                check.get("id"): check.get("value") for check in entry.get("checks", ()) if isinstance(check, dict)
            }
            named = {"P50": values.get("post.primary_latency"), "P95": values.get("slo.latency")}
            return {name: float(value) for name, value in named.items() if isinstance(value, int | float)}
    return {}


def _tail(journal: Path) -> list[bytes]:
    try:
        with journal.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - MAX_TAIL_BYTES))
            return file.read().splitlines()
    except OSError:
        return []

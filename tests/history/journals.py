"""Journals of many drills, made from records as a drill makes them."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

from drill.journal.entry import GENESIS, journal_entry
from drill.verdict import Result
from tests.evidence.records import green, with_result

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
"""When the page is built."""


@dataclass(frozen=True)
class Ago:
    """A drill that was started so many days before ``NOW``."""

    days: float
    env_file: str = ".env.staging"
    apply: bool = True
    result: Result = Result.SUCCESS
    notes: str = "INC-4711"
    safety_s: float | None = 8.7
    p95_ms: float | None = 212.0
    env_id: str = ""


def drill_id(drill: Ago) -> str:
    """Return the id of a drill: it ends with how many days ago it was."""
    return f"d-{drill.days:g}"


def entry(drill: Ago) -> dict[str, Any]:
    """Return the journal entry of a drill, unchained."""
    record = with_result(drill.result) if drill.apply else green(apply=False)
    record.drill_id = drill_id(drill)
    record.apply = drill.apply
    record.started = NOW - timedelta(days=drill.days)
    record.env_file, record.env_id, record.notes = drill.env_file, drill.env_id, drill.notes
    record.report = f"reports/{record.drill_id}.html"
    record.time_to_safety_s = drill.safety_s if drill.apply else None
    latency = record.entries["slo.latency"]
    latency.evidence = replace(latency.evidence, value=drill.p95_ms if drill.apply else None)
    return dict(journal_entry(record, result=drill.result))


def write_entries(path: Path, entries: Iterable[dict[str, Any]]) -> Path:
    """Write a journal whose lines are chained."""
    head = GENESIS
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        for one in entries:
            line = json.dumps({**one, "prev_sha256": head})
            head = sha256(line.encode()).hexdigest()
            file.write(line + "\n")
    return path


def write_journal(path: Path, *drills: Ago) -> Path:
    """Write the journal of ``drills``, in this order."""
    return write_entries(path, map(entry, drills))


def many(count: int) -> Iterable[dict[str, Any]]:
    """Yield so many entries, one every two hours, of three env files and with all results."""
    kinds = [entry(Ago(1, env, result=result)) for env in (".env.a", ".env.b", ".env.c") for result in Result]
    for number in range(count):
        at = NOW - timedelta(hours=2 * (count - number))
        one = dict(kinds[number % len(kinds)])
        one |= {"timestamp": f"{at:%Y-%m-%dT%H:%M:%SZ}", "drill_id": f"{at:%Y%m%dT%H%M%SZ}-{number:06x}"}
        one |= {"report": f"reports/{one['drill_id']}.html", "time_to_safety_s": 5 + number % 97 / 10}
        yield one

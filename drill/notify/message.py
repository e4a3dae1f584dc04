"""What others are told of a drill: ids, verdicts and numbers, in words and as fields, and no sentence of a check.

The reasons of checks quote what other machines said. They stand in the report, which is searched for secrets; what
leaves this machine does without them.
"""

from datetime import UTC, datetime

from drill.open_rows import open_rows
from drill.record import DrillRecord, Scalar
from drill.report.text import seconds

Json = dict[str, object]


def mode(record: DrillRecord) -> str:
    """Return what the drill was allowed to do."""
    return "apply" if record.apply else "dry-run"


def sentence(record: DrillRecord, exit_code: int) -> str:
    """Return the drill in one line of plain text."""
    rows = ", ".join(f"{row.id} {row.evidence.verdict}" for row in open_rows(record)) if not record.refused else ""
    numbers = [
        f"{name} {seconds(value)}"
        for name, value in (("time to safety", record.time_to_safety_s), ("downtime", record.downtime_s))
        if value is not None
    ]
    head = (
        f"Rollback drill ({mode(record)}) of {record.env_file} by {record.operator}: {record.result}, exit {exit_code}"
    )
    return "; ".join(filter(None, (head, rows, *numbers, f"reason: {record.notes}")))


def fields(record: DrillRecord, exit_code: int) -> Json:
    """Return the drill as fields; names and units are those of the journal."""
    plain: dict[str, Scalar] = {
        "drill_id": record.drill_id,
        "timestamp": record.started.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "operator": record.operator,
        "env_file": record.env_file,
        "apply": record.apply,
        "result": str(record.result),
        "exit_code": exit_code,
        "duration_s": record.duration_s,
        "time_to_safety_s": record.time_to_safety_s,
        "downtime_s": record.downtime_s,
        "restored": record.restored,
        "report": record.report,
        "notes": record.notes,
    }
    rows = [{"id": row.id, "verdict": str(row.evidence.verdict)} for row in open_rows(record)]
    return {**plain, "not_proven": rows}


def milliseconds(moment: datetime) -> int:
    """Return ``moment`` as Grafana counts: milliseconds since the epoch."""
    return round(moment.timestamp() * 1000)

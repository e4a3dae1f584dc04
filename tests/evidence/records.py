"""Records of drills with every result, for the tests of journal and report."""

from datetime import UTC, datetime
from pathlib import Path

from drill.events import EventLog
from drill.record import DrillRecord, Evidence, PurgeCounts
from drill.verdict import Outcome, Result, Verdict

ENV_ID = "5e1f0c3a9b7d2468"
FLAGS_BEFORE: dict[str, str | None] = {
    "FF_RETRIEVAL_DUAL_WRITE": "ON",
    "FF_RETRIEVAL_SHADOW_READ": None,
    "RETRIEVAL_BACKEND": "pgvector",
}


def green(drill_id: str = "20251021T145000Z-3f9a1c", *, apply: bool = True) -> DrillRecord:
    """Return a drill in which every required row passed."""
    record = DrillRecord(
        drill_id=drill_id,
        env_file=".env.staging",
        env_id=ENV_ID,
        operator="alice",
        apply=apply,
        notes="INC-4711 pgvector latency, rollback",
        started=datetime(2025, 10, 21, 14, 50, 0, 987654, tzinfo=UTC),
        duration_s=74.25,
        changes={"FF_RETRIEVAL_DUAL_WRITE": "OFF", "FF_RETRIEVAL_SHADOW_READ": "OFF", "RETRIEVAL_BACKEND": "faiss"},
        flags_written=apply,
        time_to_safety_s=8.7 if apply else None,
        downtime_s=0.0,
        purge=PurgeCounts(37, 12, 3, 49 if apply else 0),
        facts={"probes_sent": 742, "availability": 0.9986},
    )
    for row in record.entries.values():
        row.evidence = Evidence(Verdict.PASS, f"seen on both instances: {row.id}")
        row.duration_s = 0.42
        if row.is_step:
            row.outcome = Outcome.APPLIED if apply else Outcome.WOULD_CHANGE
        if row.id == "preflight.rehearsal" and apply:
            row.evidence, row.required = Evidence(Verdict.NOT_RUN, "only a dry-run rehearses"), False
        if row.id.startswith("reopen."):
            row.evidence, row.required = Evidence(Verdict.NOT_RUN, "re-opening was not asked for"), False
    record.entries["slo.latency"].evidence = Evidence(
        Verdict.PASS, "P50 and P95 within the objective", 212.0, "<=", 500, 3120, 30.0, "ms", {"p50_ms": 83.2}
    )
    return record


def leave_events(artifacts: Path, record: DrillRecord) -> EventLog:
    """Leave the events of a drill that came to its end, but for the last one; they are still open."""
    events = EventLog(artifacts / "drills" / record.drill_id)
    events.start(record)
    for entry in record.entries.values():
        events.row(entry)
    return events


def with_result(result: Result) -> DrillRecord:
    """Return a drill that ends with ``result``."""
    record = green()
    latency = record.entries["slo.latency"]
    if result is Result.FAILURE:
        latency.evidence = Evidence(Verdict.FAIL, "P95 is above the objective", 612.4, "<=", 500, 3120, 30.0, "ms")
    if result is Result.INCONCLUSIVE:
        latency.evidence = Evidence(Verdict.INCONCLUSIVE, "too few samples", None, "<=", 500, 2, 2.0, "ms")
    if result is Result.REFUSED:
        record.refused = "another drill holds the lock of .env.staging; wait for it to end"
        record.flags_written = False
    if result is Result.INTERRUPTED:
        record.interrupted = "SIGTERM"
    assert record.result is result
    return record

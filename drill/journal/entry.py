"""From the record of a drill to its journal line: fields, order and types of DESIGN.md section 9."""

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TypeAlias

from drill.record import CHECK_IDS, STEP_IDS, DrillRecord, Entry, Evidence, PurgeCounts, Scalar
from drill.verdict import EXIT_CODES, Outcome, Result, worst

SCHEMA_VERSION = 1
GENESIS = "0" * 64
"""The ``prev_sha256`` of the first line of a journal."""

Json: TypeAlias = "Scalar | Sequence[Json] | Mapping[str, Json]"
JournalEntry = dict[str, Json]

_WEIGHT = (
    Outcome.NOT_RUN,
    Outcome.NO_CHANGE,
    Outcome.WOULD_CHANGE,
    Outcome.APPLIED,
    Outcome.REFUSED,
    Outcome.ERROR,
)


def journal_entry(record: DrillRecord, prev_sha256: str | None = None, result: Result | None = None) -> JournalEntry:
    """Return the line of ``record`` as a mapping, ready for ``json.dumps``.

    ``prev_sha256`` is set again under the lock by the journal's ``append``. ``result`` overrides what the record
    says by itself: a killed drill is ``interrupted`` whatever it had found.
    """
    outcome = result or record.result
    return {
        "timestamp": _timestamp(record.started),
        "operator": record.operator,
        "env_file": record.env_file,
        "apply": record.apply,
        "result": str(outcome),
        "duration_s": _seconds(record.duration_s),
        "changes": dict(record.changes),
        "notes": record.notes,
        "schema": SCHEMA_VERSION,
        "drill_id": record.drill_id,
        **({"env_id": record.env_id} if record.env_id else {}),
        "exit_code": EXIT_CODES[outcome],
        "steps": [_step(step_entry(record, name)) for name in STEP_IDS],
        "checks": [_check(record.entries[name]) for name in CHECK_IDS],
        "time_to_safety_s": _seconds_or_none(record.time_to_safety_s),
        "downtime_s": _seconds_or_none(record.downtime_s),
        "purge": _purge(record.purge),
        "restored": record.restored,
        "report": record.report,
        "prev_sha256": prev_sha256 or GENESIS,
    }


def step_entry(record: DrillRecord, step_id: str) -> Entry:
    """Return the row of a step; ``preflight`` and ``reopen`` are made of their checks."""
    if step_id == "preflight":
        return record.preflight_entry()
    return _reopen(record) if step_id == "reopen" else record.entries[step_id]


def _reopen(record: DrillRecord) -> Entry:
    rungs = [row for row in record.entries.values() if row.id.startswith("reopen.")]
    reason = "; ".join(f"{row.id}: {row.evidence.reason}" for row in rungs)
    evidence = Evidence(worst(row.evidence.verdict for row in rungs), reason)
    outcome = max((row.outcome for row in rungs), key=_WEIGHT.index)
    return Entry("reopen", evidence, outcome, sum(row.duration_s for row in rungs))


def _step(entry: Entry) -> dict[str, Scalar]:
    return {
        "id": entry.id,
        "outcome": str(entry.outcome),
        "verdict": str(entry.evidence.verdict),
        "duration_s": _seconds(entry.duration_s),
        "reason": _reason(entry.evidence),
        **_proof(entry.evidence),
    }


def _check(entry: Entry) -> dict[str, Scalar]:
    evidence = entry.evidence
    return {
        "id": entry.id,
        "verdict": str(evidence.verdict),
        "value": _finite(evidence.value),
        "op": evidence.op,
        "threshold": _finite(evidence.threshold),
        "samples": evidence.samples,
        "window_s": _seconds_or_none(evidence.window_s),
        "reason": _reason(evidence),
        **_proof(evidence),
    }


def _reason(evidence: Evidence) -> str:
    return evidence.reason or "no reason was given"


def _proof(evidence: Evidence) -> dict[str, Scalar]:
    """Return what the proof of a flag rests on, for the rows that prove one."""
    return {"proof": evidence.proof} if evidence.proof else {}


def _purge(counts: PurgeCounts) -> dict[str, Scalar]:
    return {
        "orphans": counts.orphans,
        "stale": counts.stale,
        "missing": counts.missing,
        "purged": counts.purged,
        "deferred": counts.deferred,
    }


def _timestamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _seconds(value: float) -> float:
    """Round to milliseconds; a duration that is no number is 0: clocks are not evidence."""
    return round(float(value), 3) if math.isfinite(value) else 0.0


def _seconds_or_none(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else round(float(value), 3)


def _finite(value: Scalar) -> Scalar:
    """JSON has no NaN: such a measurement stays visible as its name."""
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value

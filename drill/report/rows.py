"""The rows of a report's main table: steps and checks in the order of the runbook, in words."""

from collections.abc import Iterable
from dataclasses import dataclass

from drill.record import RUNBOOK_ORDER, DrillRecord, Entry, Scalar
from drill.report.text import scalar, seconds
from drill.verdict import Verdict

TITLES = {
    "preflight.env_file": "The env file and the plan",
    "preflight.service": "The service is up",
    "preflight.metrics": "The metrics are there and fresh",
    "preflight.faiss": "There is a FAISS to fall back to",
    "preflight.window": "The firing window is open",
    "preflight.rehearsal": "The service comes up on the new env file",
    "disable_dual_write": "Dual-write off",
    "purge_delta": "Purge the delta on the target",
    "disable_shadow_read": "Shadow-read off",
    "force_faiss": "Backend is FAISS",
    "smoke.search": "Smoke: search",
    "smoke.embed": "Smoke: embed",
    "smoke.chat": "Smoke: chat",
    "slo.latency": "SLO: latency P50 and P95",
    "slo.errors": "SLO: error rate",
    "slo.alerts": "SLO: no new alert",
    "post.endpoints": "Every retrieval endpoint answers",
    "post.primary_latency": "Primary latency is stable",
    "post.target_errors": "No network error to the target",
    "post.circuit_open": "Circuit breaker and outbox are quiet",
    "post.shadow_silent": "Every shadow metric is silent",
    "post.backend": "Still FAISS on every instance",
    "post.environment": "The env file is as it was left",
    "post.faiss": "FAISS still holds its documents",
    "reopen.shadow_read": "Re-open: shadow-read",
    "reopen.dual_write": "Re-open: dual-write",
}

_GROUPS = {"preflight": "Before", "smoke": "Smoke tests", "slo": "Objectives", "post": "After", "reopen": "Re-open"}
VERDICT_WORDS = {
    Verdict.PASS: "pass",
    Verdict.NOT_RUN: "not run",
    Verdict.INCONCLUSIVE: "inconclusive",
    Verdict.ERROR: "error",
    Verdict.FAIL: "fail",
}
QUERY = "query"
"""The fact that holds the query behind a value."""


@dataclass(frozen=True, slots=True)
class Row:
    """One step or check as the table shows it."""

    id: str
    title: str
    group: str
    is_step: bool
    required: bool
    verdict: str
    verdict_word: str
    rank: int
    """Badness of the verdict."""
    outcome: str
    reason: str
    measured: str
    limit: str
    samples: str
    window: str
    duration: str
    query: str
    detail: tuple[tuple[str, str], ...]
    sort: tuple[Scalar, ...]
    """Value, samples, window and duration as numbers, as far as they are."""

    @property
    def open(self) -> bool:
        """Whether it is required, and not proven."""
        return self.required and self.verdict != Verdict.PASS


def rows_of(record: DrillRecord) -> tuple[Row, ...]:
    """Return every row of the record."""
    return tuple(_row(record.entries[name]) for name in RUNBOOK_ORDER)


def not_proven(rows: Iterable[Row]) -> tuple[Row, ...]:
    """Return what did not pass: what is required first, the worst first."""
    return tuple(
        sorted((row for row in rows if row.verdict != Verdict.PASS), key=lambda row: (not row.required, -row.rank))
    )


def together(rows: Iterable[Row]) -> tuple[tuple[Row, ...], ...]:
    """Return ``rows`` with those that were not run, and for the same reason, in one group; in order."""
    groups: dict[tuple[bool, str], list[Row]] = {}
    for row in rows:
        name = row.reason if row.verdict == Verdict.NOT_RUN else row.id
        groups.setdefault((row.required, name), []).append(row)
    return tuple(map(tuple, groups.values()))


def _row(entry: Entry) -> Row:
    evidence = entry.evidence
    numbers = (evidence.value, evidence.samples, evidence.window_s, entry.duration_s or None)
    return Row(
        id=entry.id,
        title=TITLES.get(entry.id, entry.id),
        group="Rollback" if entry.is_step else _GROUPS[entry.id.partition(".")[0]],
        is_step=entry.is_step,
        required=entry.required,
        verdict=str(evidence.verdict),
        verdict_word=VERDICT_WORDS[evidence.verdict],
        rank=list(VERDICT_WORDS).index(evidence.verdict),
        outcome=str(entry.outcome).replace("_", " ") if entry.is_step else "",
        reason=evidence.reason,
        measured=with_unit(evidence.value, evidence.unit),
        limit=f"{evidence.op} {with_unit(evidence.threshold, evidence.unit)}".strip(),
        samples="" if evidence.samples is None else f"{evidence.samples:,}",
        window="" if evidence.window_s is None else seconds(evidence.window_s),
        duration=seconds(entry.duration_s) if entry.duration_s else "",
        query=str(evidence.detail.get(QUERY, "")),
        detail=tuple((name, scalar(value)) for name, value in evidence.detail.items() if name != QUERY),
        sort=tuple(number if isinstance(number, int | float) else None for number in numbers),
    )


def with_unit(value: Scalar, unit: str) -> str:
    """Return a value with its unit, or nothing."""
    return "" if value is None else f"{scalar(value)} {unit.strip()}".strip()

"""What the report shows, in words and ready-made texts: the template only lays it out."""

from collections.abc import Mapping
from dataclasses import dataclass

from drill.record import RUNBOOK_ORDER, DrillRecord, Entry, Scalar
from drill.verdict import Result, Verdict

TITLES = {
    "preflight.env_file": "The env file and the plan",
    "preflight.service": "The service is up",
    "preflight.metrics": "The metrics are there and fresh",
    "preflight.faiss": "There is a FAISS to fall back to",
    "preflight.window": "The firing window is open",
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
    outcome: str
    reason: str
    measured: str
    limit: str
    samples: str
    window: str
    duration: str
    detail: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Flag:
    """One flag before and after."""

    key: str
    before: str
    after: str
    changes: bool


@dataclass(frozen=True, slots=True)
class Page:
    """The whole report."""

    record: DrillRecord
    result: str
    headline: str
    subline: str
    mode: str
    mode_note: str
    started: str
    duration: str
    time_to_safety: str
    downtime: str
    proven: int
    needed: int
    not_proven: tuple[Row, ...]
    flags: tuple[Flag, ...]
    rows: tuple[Row, ...]
    facts: tuple[tuple[str, str], ...]


def view(record: DrillRecord, flags_before: Mapping[str, str | None]) -> Page:
    """Return everything the template needs."""
    rows = tuple(_row(record.entries[name]) for name in RUNBOOK_ORDER)
    needed = [row for row in rows if row.required]
    headline, subline = _headline(record)
    return Page(
        record=record,
        result=str(record.result),
        headline=headline,
        subline=subline,
        mode="APPLY" if record.apply else "DRY-RUN",
        mode_note=_mode_note(record),
        started=record.started.astimezone().strftime("%Y-%m-%d %H:%M:%S %Z"),
        duration=seconds(record.duration_s),
        time_to_safety=_time_to_safety(record),
        downtime="not measured" if record.downtime_s is None else seconds(record.downtime_s),
        proven=sum(row.verdict == Verdict.PASS for row in needed),
        needed=len(needed),
        not_proven=tuple(sorted((row for row in rows if row.verdict != Verdict.PASS), key=_urgency)),
        flags=_flags(record, flags_before),
        rows=rows,
        facts=tuple((name.replace("_", " "), scalar(value)) for name, value in record.facts.items()),
    )


def _headline(record: DrillRecord) -> tuple[str, str]:
    if record.restored:
        return "Failed, and put back", "The service did not come back with the new env; the previous env was restored."
    return {
        Result.SUCCESS: (
            ("Rolled back and proven", "Every required step and check passed.")
            if record.apply
            else ("Ready to roll back", "Every prerequisite holds. Nothing was changed.")
        ),
        Result.FAILURE: (
            "A step or check failed",
            "Something was measured and is bad: the red rows say what, and what was required.",
        ),
        Result.INCONCLUSIVE: ("Not proven", "Nothing bad was measured, but required proof is missing."),
        Result.REFUSED: ("Refused, nothing changed", record.refused),
        Result.INTERRUPTED: ("Interrupted", f"Changes were applied and the run did not finish ({record.interrupted})."),
    }[record.result]


def _urgency(row: Row) -> tuple[bool, int]:
    return not row.required, -Verdict(row.verdict).rank


def _time_to_safety(record: DrillRecord) -> str:
    if record.time_to_safety_s is not None:
        return seconds(record.time_to_safety_s)
    return "not reached" if record.apply else "not in a dry-run"


def _mode_note(record: DrillRecord) -> str:
    if not record.apply:
        return "rehearsal: the env file was read, never written"
    return "for real: the env file was written" if record.flags_written else "for real, but nothing was written"


def _flags(record: DrillRecord, before: Mapping[str, str | None]) -> tuple[Flag, ...]:
    keys = dict.fromkeys([*before, *record.changes])
    return tuple(_flag(key, before.get(key), record.changes.get(key), known=key in before) for key in keys)


def _flag(key: str, before: str | None, after: str | None, *, known: bool) -> Flag:
    shown = "unknown" if not known else "(absent)" if before is None else before or "(empty)"
    return Flag(key, shown, shown if after is None else after, changes=after is not None and after != before)


def _row(entry: Entry) -> Row:
    evidence = entry.evidence
    return Row(
        id=entry.id,
        title=TITLES.get(entry.id, entry.id),
        group="Rollback" if entry.is_step else _GROUPS[entry.id.partition(".")[0]],
        is_step=entry.is_step,
        required=entry.required,
        verdict=str(evidence.verdict),
        verdict_word=VERDICT_WORDS[evidence.verdict],
        outcome=str(entry.outcome).replace("_", " ") if entry.is_step else "",
        reason=evidence.reason,
        measured=_with_unit(evidence.value, evidence.unit),
        limit=f"{evidence.op} {_with_unit(evidence.threshold, evidence.unit)}".strip(),
        samples="" if evidence.samples is None else f"{evidence.samples:,}",
        window="" if evidence.window_s is None else seconds(evidence.window_s),
        duration=seconds(entry.duration_s) if entry.duration_s else "",
        detail=tuple((name, scalar(value)) for name, value in evidence.detail.items()),
    )


def _with_unit(value: Scalar, unit: str) -> str:
    return "" if value is None else f"{scalar(value)} {unit}".strip()


def scalar(value: Scalar) -> str:
    """Return a measured value for reading: four significant digits, words for booleans and nothing."""
    if value is None:
        return "unknown"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return value


def seconds(value: float) -> str:
    """Return a duration for reading: ``340 ms``, ``12.3 s``, ``4 min 05 s``."""
    if value == 0:
        return "0 s"
    if value < 0.001:
        return "< 1 ms"
    if value < 1:
        return f"{value * 1000:.0f} ms"
    if value < 59.95:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest:02d} s"

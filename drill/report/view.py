"""What the report shows, in words and ready-made texts: the template only lays it out."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from drill.record import DrillRecord, RungRecord
from drill.report.answers import Answer, Headline, answers, headline
from drill.report.before_after import Comparison, compare
from drill.report.material import Material, RawTest
from drill.report.plots import Plot, draw_plots
from drill.report.rows import VERDICT_WORDS, Row, not_proven, rows_of, together
from drill.report.text import scalar, seconds
from drill.verdict import Verdict

__all__ = ["Flag", "Page", "scalar", "seconds", "view"]


@dataclass(frozen=True, slots=True)
class Flag:
    """One flag before and after."""

    key: str
    before: str
    after: str
    changes: bool


@dataclass(frozen=True, slots=True)
class Rung:
    """One rung of step 7."""

    name: str
    changes: str
    verdict: str
    verdict_word: str
    reason: str
    held: str


@dataclass(frozen=True, slots=True)
class Page:
    """The whole report."""

    record: DrillRecord
    title: str
    result: str
    headline: Headline
    answers: tuple[Answer, ...]
    mode: str
    mode_note: str
    started: str
    duration: str
    proven: int
    needed: int
    not_proven: tuple[tuple[Row, ...], ...]
    """In groups of one verdict and reason."""
    plots: Mapping[str, Plot]
    why_no_plots: str
    comparisons: tuple[Comparison, ...]
    flags: tuple[Flag, ...]
    alerts: Row
    purge: Row
    quarantine: str
    rows: tuple[Row, ...]
    verdicts: tuple[tuple[str, str, int], ...]
    """Name, word and count of each verdict that occurs."""
    findings: tuple[str, ...]
    """Findings to begin with: what was looked at and is not green."""
    facts: tuple[tuple[str, str], ...]
    rungs: tuple[Rung, ...]
    undo: tuple[str, ...]
    journal_head: str
    tests: tuple[RawTest, ...]
    generator: str


def view(material: Material) -> Page:
    """Return everything the template needs."""
    record, timeline = material.record, material.timeline
    rows = rows_of(record)
    unproven = not_proven(rows)
    open_rows = [row for row in unproven if row.required]
    named = {row.id: row for row in rows}
    counted = Counter(row.verdict for row in rows)
    return Page(
        record=record,
        title=title(record),
        result=str(record.result),
        headline=headline(record, open_rows),
        answers=answers(record, open_rows, timeline),
        mode="APPLY" if record.apply else "DRY-RUN",
        mode_note=_mode_note(record),
        started=record.started.astimezone().strftime("%Y-%m-%d %H:%M:%S %Z"),
        duration=seconds(record.duration_s),
        proven=sum(row.required and row.verdict == Verdict.PASS for row in rows),
        needed=sum(row.required for row in rows),
        not_proven=together(unproven),
        plots=draw_plots(timeline) if timeline else {},
        why_no_plots=_why_no_plots(record),
        comparisons=compare(record.baseline, timeline.slo) if timeline else (),
        flags=_flags(record, material.flags_before),
        alerts=named["slo.alerts"],
        purge=named["purge_delta"],
        quarantine=str(record.entries["purge_delta"].evidence.detail.get("quarantine") or ""),
        rows=rows,
        verdicts=tuple((str(one), word, counted[str(one)]) for one, word in VERDICT_WORDS.items() if counted[str(one)]),
        findings=tuple(f"{row.title}: {row.reason}" for row in open_rows if row.verdict != Verdict.NOT_RUN),
        facts=tuple((name.replace("_", " "), scalar(value)) for name, value in record.facts.items()),
        rungs=tuple(map(_rung, record.rungs)),
        undo=material.undo,
        journal_head=material.journal_head,
        tests=material.tests,
        generator=material.generator,
    )


def title(record: DrillRecord) -> str:
    """Return the page's title as plain text: what a browser tab and a list of files must tell apart."""
    mode = "apply" if record.apply else "dry-run"
    return f"Rollback drill, {mode}: {record.result}, {record.env_file}"


def _mode_note(record: DrillRecord) -> str:
    if not record.apply:
        return "A rehearsal. The env file was read, never written."
    if record.restored:
        return "For real: the env file was written, and put back."
    return "For real: the env file was written." if record.flags_written else "For real, but nothing was written."


def _why_no_plots(record: DrillRecord) -> str:
    if record.refused:
        return "Not measured: the drill was refused before it had anything to observe."
    if not record.apply:
        return "Nothing to show: a rehearsal changes nothing, so there is no after."
    return "Not measured: the drill ended before there was anything to observe."


def _flags(record: DrillRecord, before: Mapping[str, str | None]) -> tuple[Flag, ...]:
    keys = dict.fromkeys([*before, *record.changes])
    return tuple(_flag(key, before.get(key), record.changes.get(key), known=key in before) for key in keys)


def _rung(rung: RungRecord) -> Rung:
    changes = ", ".join(f"{key}={value}" for key, value in rung.changes.items())
    verdict = rung.evidence.verdict
    return Rung(rung.name, changes, str(verdict), VERDICT_WORDS[verdict], rung.evidence.reason, seconds(rung.seconds))


def _flag(key: str, before: str | None, after: str | None, *, known: bool) -> Flag:
    shown = "unknown" if not known else "(absent)" if before is None else before or "(empty)"
    return Flag(key, shown, shown if after is None else after, changes=after is not None and after != before)

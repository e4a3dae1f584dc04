"""Writing the line of a drill that was killed and cannot write its own any more."""

import contextlib
from collections.abc import Mapping
from pathlib import Path

from drill.events import EventLog
from drill.foreign import ForeignError, moment
from drill.journal.entry import JournalEntry, journal_entry
from drill.journal.lock import locked
from drill.journal.log import append_locked, has_line, journal_path
from drill.record import DrillRecord, Evidence, Scalar
from drill.unfinished import ROW, UnfinishedDrill, find_unfinished, named, purged_documents, read_unfinished
from drill.verdict import Outcome, Result, Verdict

FLAGS = ("FF_RETRIEVAL_DUAL_WRITE", "FF_RETRIEVAL_SHADOW_READ", "RETRIEVAL_BACKEND")


def close_unfinished(artifacts_dir: Path, passed_over: list[str] | None = None) -> list[JournalEntry]:
    """Write the missing lines of killed drills and return them.

    All are ``interrupted`` with exit code 12, whether or not a flag had been written: DESIGN.md section 4 gives that
    code to what a later run records for a killed one, and after a kill only the env file knows how far it came.
    Rows that were finished before the kill keep their evidence. Exactly one line is written even if two sessions come
    at once, or if the drill died between its line and its ``closed`` event: all is looked at again under the
    journal's lock.

    Events that are damaged or not ours get no line: ``passed_over`` names them. Raises ``OSError`` if the journal
    cannot be written; the drills then stay unfinished for the next run.
    """
    lost = [] if passed_over is None else passed_over
    found = find_unfinished(artifacts_dir, lost)
    if not found:
        return []
    path = journal_path(artifacts_dir)
    with locked(path) as fd:
        return [entry for drill in found if (entry := _close(fd, path, drill, lost)) is not None]


def _close(fd: int, journal: Path, found: UnfinishedDrill, passed_over: list[str]) -> JournalEntry | None:
    drill = read_unfinished(found.path)
    if drill is None:
        return None
    entry = None
    if not has_line(journal, drill.drill_id):
        try:
            entry = _entry(drill)
        except ForeignError as error:
            passed_over.append(named(drill.path, error))
            return None
        append_locked(fd, entry)
    EventLog(drill.path.parent).close()
    return entry


def _entry(drill: UnfinishedDrill) -> JournalEntry:
    """Return the line of a killed drill. Raises `ForeignError` if what its events say makes none."""
    from drill.journal.schema import schema_errors

    entry = journal_entry(record_of(drill), result=Result.INTERRUPTED)
    if wrong := schema_errors(entry):
        raise ForeignError(f"its events make no journal line: {wrong[0].partition(':')[0]}")
    return entry


def record_of(drill: UnfinishedDrill) -> DrillRecord:
    """Return as much of the record of a killed drill as its events tell. Raises `ForeignError`: no date in them."""
    start, last = drill.events[0], drill.events[-1]
    started = moment(start.facts.get("started", start.t))
    record = DrillRecord(
        drill_id=drill.drill_id,
        env_file=start.text("env_file"),
        env_id=start.text("env_id"),
        operator=start.text("operator"),
        apply=start.facts.get("apply") is True,
        notes=start.text("notes"),
        started=started,
        duration_s=max(0.0, (moment(last.t) - started).total_seconds()),
        interrupted="killed",
        flags_written=drill.flags_may_be_written,
    )
    for event in drill.events:
        if event.kind == ROW:
            _take_row(record, event.facts)
        record.restored |= event.kind == "restored"
        record.changes |= {name: event.text(name) for name in FLAGS if name in event.facts}
    record.purge.purged = purged_documents(drill.events)
    return record


def _take_row(record: DrillRecord, facts: Mapping[str, Scalar]) -> None:
    """Put a finished row back; one written by another version of the drill is left ``not_run``."""
    row = record.entries.get(str(facts.get("id")))
    if row is None:
        return
    with contextlib.suppress(ValueError):
        outcome, verdict = Outcome(str(facts.get("outcome"))), Verdict(str(facts.get("verdict")))
        row.outcome, row.evidence = outcome, _evidence(verdict, facts)
        row.duration_s = _number(facts.get("duration_s")) or 0.0
        row.required = facts.get("required") is not False


def _evidence(verdict: Verdict, facts: Mapping[str, Scalar]) -> Evidence:
    samples = facts.get("samples")
    return Evidence(
        verdict,
        reason=str(facts.get("reason") or ""),
        value=facts.get("value"),
        op=str(facts.get("op") or ""),
        threshold=facts.get("threshold"),
        samples=samples if isinstance(samples, int) else None,
        window_s=_number(facts.get("window_s")),
        unit=str(facts.get("unit") or ""),
        proof=str(facts.get("proof") or ""),
    )


def _number(value: Scalar) -> float | None:
    return float(value) if isinstance(value, int | float) else None

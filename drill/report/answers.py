"""The first screen: what happened in one sentence, and the four questions that everybody has."""

from collections.abc import Sequence
from dataclasses import dataclass

from drill.open_rows import could_not_prove
from drill.record import DrillRecord
from drill.report.rows import Row
from drill.report.text import of, percent, seconds
from drill.report.timeline import Timeline
from drill.stats import quantile
from drill.verdict import Result, Verdict

FLAG_STEPS = ("disable_dual_write", "disable_shadow_read", "force_faiss")
MAX_NAMED = 3
PROVEN = "every instance answers from FAISS only, and users are served well"


@dataclass(frozen=True, slots=True)
class Answer:
    """A question, its answer in a few words and why; ``tone`` is ``good``, ``bad``, ``open`` or empty."""

    question: str
    answer: str
    note: str
    tone: str


@dataclass(frozen=True, slots=True)
class Headline:
    """What happened: a few words, a sentence, and what to do next."""

    text: str
    story: str
    next: str


def headline(record: DrillRecord, open_rows: Sequence[Row]) -> Headline:
    """Say what became of the drill. ``open_rows``: what is required and not proven, the worst first."""
    if record.restored:
        return Headline(
            "Not rolled back: the service did not come up with the new env file",
            "The previous env file was put back and the service reloaded with it.",
            "Find out why the service does not start with these flags, then run the drill again.",
        )
    worst = f"{open_rows[0].title}: {open_rows[0].reason}" if open_rows else ""
    return {
        Result.SUCCESS: _success,
        Result.FAILURE: _failure,
        Result.INCONCLUSIVE: _inconclusive,
        Result.REFUSED: _refused,
        Result.INTERRUPTED: _interrupted,
    }[record.result](record, worst)


def _success(record: DrillRecord, _worst: str) -> Headline:
    if not record.apply:
        lacking = f"; {could_not_prove(record)}" if record.unprovable else ""
        return Headline(
            "Ready to roll back",
            "A rehearsal: every prerequisite holds, and nothing was changed.",
            f"To roll back for real, run the same command with --apply{lacking}.",
        )
    if record.rungs:
        return Headline(
            f"Rolled back, proven, and re-opened up to {record.rungs[-1].name}",
            "Every required step and check passed, and every rung of the re-opening held.",
            "Keep the journal head below, and watch the target.",
        )
    return Headline(
        "Rolled back to FAISS, and proven",
        "Every required step and check passed on measured evidence.",
        "Keep the journal head below. Re-open step by step when the target is well again.",
    )


def _failure(record: DrillRecord, worst: str) -> Headline:
    if not record.apply:
        return Headline("Not ready to roll back", worst, "Nothing was changed. Mend what is red, then rehearse again.")
    if not record.flags_written:
        return Headline("A check failed", worst, "The env file was not written. Look at the red rows below.")
    text = "On FAISS, but something is wrong" if _flags_proven(record) else "The rollback did not take hold"
    follow = record.next_step or "The red rows below say what was measured and what was required."
    return Headline(text, worst, follow[:1].upper() + follow[1:])


def _inconclusive(record: DrillRecord, worst: str) -> Headline:
    text = "Rolled back, but not proven" if record.flags_written else "Not proven"
    follow = "Nothing bad was measured. Supply the missing evidence named below, and run the drill again."
    return Headline(text, worst, follow)


def _refused(record: DrillRecord, _worst: str) -> Headline:
    return Headline("Nothing was changed", record.refused, "Mend that, and run the drill again.")


def _interrupted(record: DrillRecord, _worst: str) -> Headline:
    story = f"{record.interrupted} ended the drill after the flags were written, before it could prove them."
    return Headline(
        "The rollback was cut off half-way", story, "Run the same command again: it proves what this drill could not."
    )


def answers(record: DrillRecord, open_rows: Sequence[Row], timeline: Timeline | None) -> tuple[Answer, ...]:
    """Return the four answers, in the order in which they are asked."""
    return (_safe(record, open_rows), _since(record), _felt(record, timeline), _missing(record, open_rows))


def _safe(record: DrillRecord, open_rows: Sequence[Row]) -> Answer:
    question = "Are we safe?"
    if not record.apply:
        return Answer(question, "Nothing was changed", "a rehearsal: the service is as it was before", "")
    if record.restored or (not record.flags_written and record.result is not Result.SUCCESS):
        what = "the previous env file is back in force" if record.restored else "the env file was not written"
        return Answer(question, "No, not rolled back", what, "bad")
    if record.result is Result.SUCCESS:
        how = "FAISS only was proven on every instance; then every rung held" if record.rungs else PROVEN
        return Answer(question, "Yes", how, "good")
    worst = [row for row in open_rows if row.verdict == open_rows[0].verdict]
    named = _names(worst)
    if _flags_proven(record):
        tone = "bad" if record.result is Result.FAILURE else "open"
        return Answer(question, "On FAISS, with a doubt" if tone == "open" else "On FAISS, but not well", named, tone)
    if record.result is Result.FAILURE:
        return Answer(question, "No", named, "bad")
    return Answer(question, "Not known", "the flags are on disk; that the service obeys them is not proven", "open")


def _since(record: DrillRecord) -> Answer:
    question = "Since when?"
    safety = record.time_to_safety_s
    if safety is not None:
        note = f"from flags on disk to FAISS proven; drill started {record.started.astimezone():%H:%M:%S %Z}"
        if not _flags_proven(record):
            return Answer(
                question,
                "Not reached",
                f"searches come from FAISS {seconds(safety)} after the flags were on disk",
                "bad",
            )
        return Answer(question, f"After {seconds(safety)}", note, "good" if record.result is Result.SUCCESS else "")
    if not record.apply:
        return Answer(question, "Not in a rehearsal", "time to safety is measured with --apply", "")
    if record.result is Result.SUCCESS:
        return Answer(question, "Already before", "the flags were rolled back when this drill began", "good")
    return Answer(question, "Not reached", "FAISS only was not proven on every instance", "open")


def _felt(record: DrillRecord, timeline: Timeline | None) -> Answer:
    question = "What did users feel?"
    samples = timeline.samples if timeline else ()
    if not samples:
        return Answer(question, "Not measured", "the continuous probe had not begun", "open" if record.apply else "")
    failed = sum(not sample.ok for sample in samples)
    good = sorted(sample.latency_s * 1000 for sample in samples if sample.ok)
    p95 = f", P95 {quantile(good, 0.95):.0f} ms" if good else ""
    share = percent(1 - failed / len(samples))
    note = f"{share} of {of(len(samples), 'probe')} answered{p95}"
    down = record.downtime_s
    if down is None:
        return Answer(question, "Nothing new", f"as it is today: {note}", "")
    return Answer(question, f"{seconds(down)} downtime" if down else "No downtime", note, "open" if failed else "good")


def _missing(record: DrillRecord, open_rows: Sequence[Row]) -> Answer:
    question = "What is not proven?"
    needed = sum(row.required for row in record.entries.values())
    if not open_rows:
        return Answer(question, "Nothing required", f"{needed} of {needed} required rows are proven", "good")
    tone = "bad" if any(row.verdict == Verdict.FAIL for row in open_rows) else "open"
    return Answer(question, f"{len(open_rows)} of {needed} required", _names(open_rows), tone)


def _flags_proven(record: DrillRecord) -> bool:
    return all(record.entries[step].evidence.verdict is Verdict.PASS for step in FLAG_STEPS)


def _names(rows: Sequence[Row]) -> str:
    more = [f"and {len(rows) - MAX_NAMED} more"] if len(rows) > MAX_NAMED else []
    return ", ".join([*(f"{row.title} ({row.verdict_word})" for row in rows[:MAX_NAMED]), *more])

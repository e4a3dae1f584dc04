"""GitHub Actions: rows that are not green as annotations, and the drill as the step's summary.

https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands
"""

import re
from collections.abc import Mapping
from pathlib import Path

from drill.notify.message import mode, sentence
from drill.open_rows import open_rows
from drill.record import DrillRecord, Entry
from drill.report.rows import TITLES, VERDICT_WORDS
from drill.report.text import seconds
from drill.verdict import Verdict

MAX_ANNOTATIONS = 10
"""GitHub shows ten errors and ten warnings of a step; what comes after them is in its summary."""
_DATA = {"%": "%25", "\r": "%0D", "\n": "%0A"}
_PROPERTY = {**_DATA, ":": "%3A", ",": "%2C"}


def annotations(record: DrillRecord, exit_code: int) -> list[str]:
    """Return the workflow commands to print, each on a line of its own."""
    if record.refused:
        return [_command("error", "Rollback drill: refused", record.refused)]
    rows = open_rows(record)
    if not rows:
        return [_command("notice", f"Rollback drill: {record.result}", sentence(record, exit_code))]
    errors = [_annotation("error", row) for row in rows if _is_bad(row)]
    warnings = [_annotation("warning", row) for row in rows if not _is_bad(row)]
    return errors[:MAX_ANNOTATIONS] + warnings[:MAX_ANNOTATIONS]


def step_summary(record: DrillRecord, exit_code: int) -> str:
    """Return the drill in Markdown; every text is escaped, so that it can neither link, load nor break a table."""
    facts = {
        "Env file": record.env_file,
        "Operator": record.operator,
        "Reason": record.notes,
        "Time to safety": _seconds(record.time_to_safety_s),
        "User-visible downtime": _seconds(record.downtime_s),
        "Duration": seconds(record.duration_s),
        "Exit code": str(exit_code),
        "Report": Path(record.report).name or "none",
        **({"Refused": record.refused} if record.refused else {}),
    }
    lines = [f"## Rollback drill: {record.result} ({mode(record)})", "", "| | |", "|---|---|"]
    lines += [f"| {name} | {_text(value)} |" for name, value in facts.items()]
    rows = open_rows(record)
    needed = sum(row.required for row in record.entries.values())
    lines += ["", f"{needed - len(rows)} of {needed} required steps and checks passed.", ""]
    if rows:
        lines += ["| Verdict | Step or check | Why |", "|---|---|---|", *map(_row, rows), ""]
    return "\n".join(lines) + "\n"


def append_summary(record: DrillRecord, exit_code: int, environ: Mapping[str, str]) -> str:
    """Append the summary to ``$GITHUB_STEP_SUMMARY``; return the problem in one line, empty if there was none."""
    path = environ.get("GITHUB_STEP_SUMMARY", "")
    if not path:
        return ""
    try:
        with Path(path).open("a", encoding="utf-8", errors="replace") as file:
            file.write(step_summary(record, exit_code))
    except OSError as error:
        return f"no step summary: GITHUB_STEP_SUMMARY could not be written ({error.strerror or type(error).__name__})"
    return ""


def _is_bad(row: Entry) -> bool:
    return row.evidence.verdict in {Verdict.FAIL, Verdict.ERROR}


def _annotation(kind: str, row: Entry) -> str:
    return _command(kind, f"{row.id}: {row.evidence.verdict}", row.evidence.line())


def _command(kind: str, title: str, text: str) -> str:
    return f"::{kind} title={_escape(title, _PROPERTY)}::{_escape(text, _DATA)}"


def _escape(text: str, table: Mapping[str, str]) -> str:
    return "".join(table.get(char, char) for char in text)


def _row(row: Entry) -> str:
    title = f"{TITLES.get(row.id, row.id)} ({row.id})"
    cells = (VERDICT_WORDS[row.evidence.verdict], title, row.evidence.reason)
    return f"| {' | '.join(map(_text, cells))} |"


def _text(text: str) -> str:
    """Escape all ASCII punctuation (CommonMark 2.4) and keep to one line."""
    return re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", " ".join(text.split()))


def _seconds(value: float | None) -> str:
    return "not measured" if value is None else seconds(value)

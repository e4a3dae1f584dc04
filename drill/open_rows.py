"""What is required and not green, in words: what was seen to be bad apart from what is merely not proven."""

from drill.record import DrillRecord, Entry
from drill.verdict import Verdict

FORETOLD = "would be red after --apply"
"""How the reason of a row begins that a dry-run has judged in advance."""
_WORDS = {
    Verdict.FAIL: "measured and bad",
    Verdict.ERROR: "could not be measured",
    Verdict.INCONCLUSIVE: "not proven",
    Verdict.NOT_RUN: "not run",
}


def open_rows(record: DrillRecord) -> list[Entry]:
    """Return the required rows that are not green, worst first."""
    rows = [row for row in record.entries.values() if row.required and row.evidence.verdict is not Verdict.PASS]
    return sorted(rows, key=lambda row: -row.evidence.verdict.rank)


def could_not_prove(record: DrillRecord) -> str:
    """Say what a dry-run knows that ``--apply`` could not prove; empty if it knows of nothing."""
    return f"what it could not prove: {'; '.join(record.unprovable)}" if record.unprovable else ""


def what_is_open(record: DrillRecord) -> str:
    """Return the ids of those rows, each under what was found out about it; empty if all is green."""
    groups: dict[str, list[str]] = {}
    for row in sorted(open_rows(record), key=lambda row: list(_WORDS).index(row.evidence.verdict)):
        foretold = row.evidence.verdict is Verdict.FAIL and row.evidence.reason.startswith(FORETOLD)
        groups.setdefault(FORETOLD if foretold else _WORDS[row.evidence.verdict], []).append(row.id)
    return "; ".join(f"{words}: {', '.join(ids)}" for words, ids in groups.items())

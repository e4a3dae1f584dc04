"""Building ``reports/index.html`` from the journal, whole or not at all."""

import math
from datetime import UTC, datetime
from pathlib import Path

from drill.history.past import EnvHistory, History, read_history
from drill.plain_file import write_whole

HISTORY_FILE = "index.html"
MAX_BYTES_AT_END = 64 * 1024 * 1024
"""How long a journal is read at the end of a drill: about 13,000 drills, two seconds."""


def build(journal: Path, reports_dir: Path, max_age_days: float, now: datetime | None = None) -> tuple[Path, History]:
    """Write the page of all drills into ``reports_dir``; return its path and what it tells.

    Raises ``OSError`` if the journal cannot be read or the page cannot be written; an earlier page then stays.
    """
    from drill.history.page import render_history

    history = read_history(journal)
    reports = {path.name for path in reports_dir.glob("*.html")}
    page = reports_dir / HISTORY_FILE
    write_whole(page, render_history(history, reports, max_age_days, now or datetime.now(UTC)).encode(), 0o666)
    return page, history


def build_at_end(journal: Path, reports_dir: Path, max_age_days: float) -> str:
    """Build the page at the end of a drill and return one line for the terminal; never raises, never takes long."""
    again = "build it with: python -m drill history"
    try:
        if journal.stat().st_size > MAX_BYTES_AT_END:
            return f"history: the journal is too long to read it all at the end of a drill; {again}"
        page, _ = build(journal, reports_dir, max_age_days)
    except OSError as error:
        return f"history: {HISTORY_FILE} could not be written ({error.strerror or type(error).__name__}); {again}"
    except Exception as error:  # noqa: BLE001 - a page about past drills is no reason to lose the end of this one
        return f"history: {HISTORY_FILE} could not be built ({type(error).__name__}); please report it"
    return f"history: {page}"


def warnings(history: History, max_age_days: float, now: datetime | None = None) -> list[str]:
    """Return what somebody should look into, a line each."""
    moment = now or datetime.now(UTC)
    found = [_overdue(env, max_age_days, moment) for env in history.stale(max_age_days, moment)]
    if history.chain.broken_total:
        found.append("the journal's chain is broken: python -m drill journal verify")
    return found


def _overdue(env: EnvHistory, max_age_days: float, now: datetime) -> str:
    days = env.age_days(now)
    seen = "no successful drill yet" if math.isinf(days) else f"last successful drill {math.floor(days)} days ago"
    return f"{env.name!a}: {seen}, limit {max_age_days:g} days: rehearse the rollback"

"""Ending a drill: what users felt, the search for leaks, the journal line. Every part is isolated from the others."""

import json
import shlex
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from drill.context import Drill
from drill.journal.closing import close_unfinished
from drill.journal.entry import JournalEntry, journal_entry
from drill.journal.log import journal_path
from drill.journal.rescue import Appended, adopt_rescued, append_or_rescue
from drill.journal.told import digest_of
from drill.launch import Launch
from drill.plans import make_plan, save_plan
from drill.record import DrillRecord, Entry, Evidence, Scalar
from drill.unfinished import LINE, PURGE_DELETE, purged_documents, read_events
from drill.verdict import Result, Verdict
from drill.whose import stranger

if TYPE_CHECKING:
    from drill.leaks import Search

_NOTHING: Mapping[str, str] = {}
MOST_NAMED = 5
"""Damaged or foreign leavings of earlier drills that are named one by one."""
Look = Callable[[Drill], Evidence | None]
"""Judges a row once more; ``None`` where nothing has changed."""


def close_measurements(started: Launch, began: float) -> None:
    """Stop probing and put what the probes saw into the record. ``began``: monotonic start of the drill."""
    record = started.record
    if started.drill is not None and started.drill.probing:
        started.drill.prober.stop()
    if started.drill is not None and not record.interrupted:
        _look_once_more(started.drill)
        _foresee(started.drill)
    if started.drill is not None and started.drill.probing:
        _availability(started.drill)
        from drill.baseline import baseline_of

        record.baseline = baseline_of(started.drill)
    if started.drill is not None:
        _load(started.drill)
    record.duration_s = round(time.monotonic() - began, 3)
    _say_what_is_not_searched(started)


def late_warnings(started: Launch) -> list[str]:
    """Add to the plan's row who misreads the env file, for which the flags did not wait; return a line for each.

    The first says whose the env file is, if it is somebody else's.
    """
    drill, row = started.drill, started.record.entries["preflight.env_file"]
    if drill is None:
        return []
    whose = [line] if (line := stranger(drill.env_file.path)) else []
    if whose:
        started.record.facts["whose env file"] = line
    if not drill.apply or drill.plan.unchanged:
        return whose
    numbered = {f"warning {number}": text for number, text in enumerate(drill.plan.warnings, 1)}
    row.evidence = replace(row.evidence, detail={**row.evidence.detail, **numbered})
    return [*whose, *(f"{drill.env_file.path.name}: {text}" for text in numbered.values())]


def _look_once_more(drill: Drill) -> None:
    """Judge again what may have changed between its row and the end of the drill."""
    from drill.checks.environment_kept import environment_again
    from drill.checks.faiss_kept import faiss_again
    from drill.proof.late import look_again

    _again(drill, "post.faiss", faiss_again)
    look_again(drill)
    _again(drill, "post.environment", environment_again)  # the last: whatever takes time is over by now


def _again(drill: Drill, row: str, look: Look) -> None:
    """Judge a row again; its verdict only gets worse."""
    from drill.leaks.of_drill import withheld

    entry = drill.record.entries[row]
    if entry.evidence.verdict is Verdict.NOT_RUN:
        return
    try:
        found = look(drill)
    except Exception as error:  # noqa: BLE001 - the report and the journal line are written whatever becomes of a look
        found = Evidence(Verdict.ERROR, f"the drill itself failed: {type(error).__name__}; please report it")
    if found is not None and (found.verdict.rank > entry.evidence.verdict.rank or _news(found, entry)):
        reason = f"at the end of the drill: {found.reason}"
        entry.evidence = withheld(found.judged(found.verdict, reason), drill.leaks)
        drill.events.row(entry)


def _foresee(drill: Drill) -> None:
    """Note what ``--apply`` could not prove: a rehearsal that says nothing of it would promise too much."""
    from drill.foresight import unprovable

    with suppress(Exception):  # advice is no reason to lose the end of the drill
        drill.record.unprovable = unprovable(drill)


def _news(found: Evidence, entry: Entry) -> bool:
    """Whether a row that stays green has more to tell: the env file was written again, by the ladder or by others."""
    green = found.verdict is entry.evidence.verdict is Verdict.PASS
    return green and entry.id == "post.environment" and found.reason != entry.evidence.reason


def _say_what_is_not_searched(started: Launch) -> None:
    from drill.leaks.of_drill import searched

    if count := searched(started.config, started.env_values, started.record).passed_over:
        started.record.facts["secrets too short or too common to be searched for"] = count


_APART = {"limited": "not answered: the service limits the drill", "not measured": "not measured: the drill was late"}


def _availability(drill: Drill) -> None:
    """State what the probes felt, and what they could not: what the service limited is no downtime."""
    from drill.availability import availability, downtime_s
    from drill.limits import Apart

    results = drill.prober.results()
    if not results:
        return
    since = drill.written_at if drill.written_at is not None else results[0].due
    after = [result for result in results if result.due >= since]
    if after and (drill.judged or drill.written_at is not None):
        drill.record.downtime_s = round(downtime_s(after), 3)
    drill.record.facts |= {
        "probes sent": sum(result.apart is not Apart.UNMEASURED for result in results),
        "probes failed since the flags were written": sum(result.failed for result in after),
        "availability": availability(after),
    }
    for apart in Apart:
        if count := sum(result.apart is apart for result in results):
            drill.record.facts[f"probes {_APART[apart]}"] = count


def _load(drill: Drill) -> None:
    """State what was sent to the service, of what was announced, and what kept the drill from sending it."""
    if "limiter" not in drill.__dict__:
        return
    limiter = drill.limiter
    told: dict[str, Scalar] = {
        "requests sent to the service": f"{limiter.sent()} of {limiter.announced} announced",
        "requests that the service limited": limiter.limited(),
        "requests that were not sent": limiter.withheld,
        "seconds that the drill itself stood still": round(drill.heartbeat.lost_s(0.0)),
    }
    drill.record.facts |= {name: value for name, value in told.items() if value}


def keep_plan(started: Launch) -> tuple[Path, ...]:
    """Store what was seen and is to be done as a plan; return its file, none if there is nothing to plan.

    A dry-run makes a plan for a later ``--apply --plan``; an ``--apply`` keeps its own, as part of the evidence.
    """
    from drill.checks.environment_kept import has_moved

    drill, record = started.drill, started.record
    if drill is None or record.refused or drill.plan.unchanged or (not record.apply and has_moved(drill)):
        return ()
    counts = record.purge
    known = {"orphans": counts.orphans, "stale": counts.stale, "missing": counts.missing}
    delta = {name: count for name, count in known.items() if count is not None}
    changes = {change.key: change.after for change in drill.plan.changes}
    plan = make_plan(
        record.drill_id,
        record.env_file,
        drill.plan.old_bytes,
        changes,
        drill.config.service.urls,
        delta if len(delta) == len(known) else None,
        apply=record.apply,
        env_id=record.env_id,
    )
    try:
        path = save_plan(started.options.artifacts_dir, plan)
    except OSError:
        return ()  # a plan is a convenience: the next --apply makes its own
    if not record.apply and record.result is Result.SUCCESS:  # a red rehearsal is no plan to offer
        record.plan = plan.id
    return (path,)


def close_early(started: Launch, cause: str) -> None:
    """Note that a drill did not come to its end, and what the events tell of a purge that was cut short."""
    record = started.record
    if record.refused:
        return
    record.interrupted = record.interrupted or cause
    record.purge_begun = PURGE_DELETE in started.events.kinds
    with suppress(OSError):
        record.purge.purged = max(record.purge.purged, purged_documents(read_events(started.events.path)))


def search_leaks(started: Launch, artifacts: Iterable[Path], pages: Mapping[str, str] = _NOTHING) -> list[str]:
    """Search all that this drill has written for secrets, ``pages`` that it will write, and its journal line.

    Return one line per hit, naming the file and the key; a hit fails the drill.
    """
    search = _search(started)
    try:
        found = [str(leak) for leak in search.in_files([*artifacts, *_own_files(started)])]
    except OSError as error:
        found = [f"an artifact could not be searched for secrets ({error.strerror})"]
    found += [f"{page} would hold the value of {name}" for page, text in pages.items() for name in search.in_text(text)]
    found += [f"the journal line held the value of {name}: withheld" for name in search.in_text(_line(started))]
    _fail(started, found)
    return found


def _search(started: Launch) -> "Search":
    from drill.leaks import Search
    from drill.leaks.of_drill import searched

    return Search.of(searched(started.config, started.env_values, started.record))


def _own_files(started: Launch) -> list[Path]:
    """Return the directory with the drill's events, plan and quarantine, if it could be made."""
    folder = started.events.path.parent
    return [folder] if folder.is_dir() else []


def _line(started: Launch) -> str:
    return json.dumps(journal_entry(started.record), ensure_ascii=False)


def _fail(started: Launch, found: list[str]) -> None:
    row = started.record.entries["preflight.env_file"]
    if found:
        row.evidence = Evidence(Verdict.FAIL, f"a secret leaked: {'; '.join(found)}")


def clean_entry(started: Launch) -> JournalEntry:
    """Return this drill's journal entry without any secret; one that would have held a secret is a failed drill's."""
    from drill.leaks.of_drill import without_secrets

    search = _search(started)
    names = search.in_text(_line(started))
    if not names:
        return journal_entry(started.record)
    if started.record.entries["preflight.env_file"].evidence.verdict is not Verdict.FAIL:
        _fail(started, [f"the journal line held the value of {', '.join(names)}: withheld"])
    clean: JournalEntry = without_secrets(journal_entry(started.record), search)
    return clean


def write_journal(started: Launch) -> Appended:
    """Append this drill's line; where that cannot be, it goes to standard error and to the first writable place."""
    entry = clean_entry(started)
    started.events.event(LINE, sha256=digest_of(entry))
    written = append_or_rescue(journal_path(started.options.artifacts_dir), entry)
    started.events.close()
    return written


def enter_earlier(started: Launch) -> list[str]:
    """Enter the lines that earlier drills could not write; return what was passed over, a line each.

    The record holds it, too, for the report. Whatever earlier drills, or others in their name, have left: it never
    raises, and this drill's line gets written.
    """
    path, passed_over = journal_path(started.options.artifacts_dir), list[str]()
    try:
        adopt_rescued(path, passed_over)
        close_unfinished(path.parent, passed_over)
    except OSError:  # the journal cannot be written: what is missing in it stays for a later run
        pass
    except Exception as defect:  # noqa: BLE001 - the rollback is done: its own line and exit code must get out
        passed_over.append(f"lines of earlier drills could not be entered ({type(defect).__name__})")
    if (more := len(passed_over) - MOST_NAMED) > 0:
        passed_over[MOST_NAMED:] = [f"{more} more of earlier drills were passed over"]
    started.record.facts |= {f"passed over ({number})": text for number, text in enumerate(passed_over, 1)}
    return passed_over


def undo_hints(record: DrillRecord) -> tuple[str, ...]:
    """Say how what this drill did is undone."""
    if not record.flags_written or record.restored:
        return ("Nothing to undo: this drill left the env file as it was.",)
    name = record.env_file
    backup, original = shlex.quote(f"{name}.bak"), shlex.quote(name)
    hints = [f"Put the previous env file back: cp -p -- {backup} {original}, then reload the service."]
    if record.purge.purged:
        hints.append(
            f"Purged documents are kept, with their vectors, in artifacts/drills/{record.drill_id}/quarantine/."
        )
    return tuple(hints)

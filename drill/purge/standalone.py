"""A purge outside a drill: the same configuration, lock, events and directory, and no line in the journal of drills."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from drill.config_load import find_config, load_config
from drill.context import Drill
from drill.envfile import EnvFile
from drill.envfile.read import read_own_values
from drill.errors import Refused, UsageError
from drill.events import EventLog, events_path
from drill.journal.log import journal_path
from drill.launch import Options, new_record
from drill.purge.kept import PURGE_END, PURGE_START
from drill.record import DrillRecord
from drill.verdict import Result


@dataclass(frozen=True, slots=True)
class Request:
    """The command line of a stand-alone purge. ``action``: plan, run or undo."""

    action: str
    env_file: Path
    drill_config: Path | None
    artifacts: Path
    operator: str
    time_budget_s: float | None = None


@contextmanager
def standalone(request: Request, environ: Mapping[str, str] = os.environ) -> Iterator[Drill]:
    """Open a drill that only purges; a plan needs the lock only where it can be had, as a rehearsal does.

    Raises UsageError for a wrong configuration and Refused (env file broken, lock held), both before anything is done.
    """
    values = read_own_values(request.env_file)
    path = find_config(request.drill_config, request.env_file, Path.cwd())
    config = load_config(path, request.env_file, values, environ)
    if request.time_budget_s is not None:
        config = replace(config, purge=replace(config.purge, time_budget_s=request.time_budget_s))
    record = new_record(_options(request))
    with (
        _events(request, record) as events,
        EnvFile.open(request.env_file, intents=events, read_only=request.action == "plan") as env_file,
    ):
        yield Drill(
            config=config,
            record=record,
            events=events,
            env_file=env_file,
            env_values=values,
            plan=env_file.plan(),
            work_dir=events.path.parent,
            purge_mode="auto",
            journal=journal_path(request.artifacts),
            selected=frozenset(),
        )


@contextmanager
def _events(request: Request, record: DrillRecord) -> Iterator[EventLog]:
    """Open the events; a refusal is their end, and of a wrong command line nothing is left.

    Both only as long as nothing was begun: what may have deleted something stays, to be found and finished.
    """
    events = EventLog(events_path(request.artifacts, record.drill_id).parent)
    facts = {"env_file": record.env_file, "env_id": record.env_id, "operator": record.operator}
    events.event(PURGE_START, drill_id=record.drill_id, action=request.action, **facts)
    try:
        yield events
    except UsageError:
        if events.kinds == {PURGE_START}:
            _discard(events)
        raise
    except Refused:
        if events.kinds == {PURGE_START}:
            events.event(PURGE_END, status=str(Result.REFUSED), purged=0)
        raise
    finally:
        events.close()


def _discard(events: EventLog) -> None:
    events.close()
    events.path.unlink(missing_ok=True)
    for folder in events.path.parents[:2]:
        with suppress(OSError):  # not empty: others' events
            folder.rmdir()


def _options(request: Request) -> Options:
    return Options(
        env_file=request.env_file,
        apply=request.action != "plan",
        operator=request.operator,
        notes=f"purge {request.action}",
        drill_config=request.drill_config,
        purge="auto",
        artifacts_dir=request.artifacts,
        reports_dir=Path("reports"),
        root=Path.cwd(),
        selected=frozenset(),
    )

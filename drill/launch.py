"""Starting a drill: from the options of the command line to a drill that is ready for its first row."""

import os
import secrets as random_tokens
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from drill.config import Config
from drill.config_load import find_config, load_config
from drill.context import Drill
from drill.envfile import EnvFile
from drill.envfile.read import read_own_values
from drill.environment import environment_id
from drill.errors import Refused, UsageError
from drill.events import EventLog, events_path
from drill.journal.log import journal_path
from drill.plans import load_plan
from drill.printable import printable
from drill.record import CHECK_IDS, DrillRecord


@dataclass(frozen=True, slots=True)
class Options:
    """The command line, checked."""

    env_file: Path
    apply: bool
    operator: str
    notes: str
    drill_config: Path | None
    purge: str
    artifacts_dir: Path
    reports_dir: Path
    root: Path
    selected: frozenset[str]
    reopen: bool = False
    plan_id: str = ""
    replay_outbox: bool = False


@dataclass(slots=True)
class Launch:
    """A drill that has a record and an event log; ``drill`` is ``None`` if it was refused at once."""

    options: Options
    record: DrillRecord
    events: EventLog
    drill: Drill | None
    config: Config
    """The built-in defaults if the env file could not even be read."""
    env_values: Mapping[str, str | None] = field(repr=False)


def launch(options: Options, environ: Mapping[str, str] = os.environ) -> Launch:
    """Read the env file and the configuration, and open the drill.

    Raises `UsageError` for a wrong configuration, with nothing written. A `Refused` does not escape: it ends the drill
    that was meant, and stands in its record.
    """
    refusal = ""
    config = Config()
    values: Mapping[str, str | None] = {}
    try:
        values = read_own_values(options.env_file)
    except Refused as problem:
        refusal = str(problem)
    else:
        path = find_config(options.drill_config, options.env_file, options.root)
        config = load_config(path, options.env_file, values, environ)
    if options.replay_outbox and not config.service.outbox_replay_command:
        raise UsageError("--replay-outbox: [service] outbox_replay_command names no command; set it")
    held = load_plan(options.artifacts_dir, options.plan_id) if options.plan_id else None
    record = new_record(options)
    events = EventLog(events_path(options.artifacts_dir, record.drill_id).parent)
    events.start(record)
    started = Launch(options, record, events, None, config, values)
    if refusal:
        record.refused = refusal
        return started
    try:
        started.drill = _open(options, config, values, record, events)
        started.drill.held_plan = held
    except Refused as problem:
        record.refused = str(problem)
    return started


def _open(
    options: Options, config: Config, values: Mapping[str, str | None], record: DrillRecord, events: EventLog
) -> Drill:
    env_file = EnvFile.open(options.env_file, intents=events, read_only=not options.apply)
    plan = env_file.plan()
    if not options.apply:  # with --apply, what is set is noted when it is
        record.changes = {change.key: change.after for change in plan.changes}
    drill = Drill(
        config=config,
        record=record,
        events=events,
        env_file=env_file,
        env_values=values,
        plan=plan,
        work_dir=events.path.parent,
        purge_mode=options.purge,
        journal=journal_path(options.artifacts_dir),
        reports_dir=options.reports_dir,
        selected=options.selected,
        reopen=options.reopen,
        replay_outbox=options.replay_outbox,
    )
    for row in CHECK_IDS:
        record.entries[row].required = _required(row, drill)
    record.entries["purge_delta"].required = options.purge != "off"
    return drill


def _required(row: str, drill: Drill) -> bool:
    """Whether a check must be green for a success (DESIGN.md sections 3 to 5).

    A dry-run that would change something cannot judge the rolled-back state: only its prerequisites are required, and
    that the env file stays as it was.
    """
    if row.startswith("reopen."):
        return drill.reopen
    if row == "smoke.chat" and not drill.config.service.chat_path:
        return False
    if row == "slo.alerts" and not drill.config.slo.alerts:
        return False
    if row == "post.faiss" and not drill.config.primary.path:
        return False
    if row == "preflight.rehearsal":
        return bool(drill.config.rehearsal.command) and not drill.apply
    return row.startswith("preflight.") or row == "post.environment" or drill.apply or drill.plan.unchanged


def new_record(options: Options) -> DrillRecord:
    """Return the empty record of a drill that begins now, with an id of its own."""
    now = datetime.now(UTC)
    return DrillRecord(
        drill_id=f"{now:%Y%m%dT%H%M%SZ}-{random_tokens.token_hex(3)}",
        env_file=shown_path(options.env_file),
        operator=options.operator,
        apply=options.apply,
        notes=options.notes,
        started=now,
        env_id=environment_id(options.env_file),
    )


def shown_path(path: Path) -> str:
    """Return a path as the journal may show it: relative to the working directory, or the bare name."""
    try:
        return printable(path.absolute().relative_to(Path.cwd()))
    except ValueError:
        return printable(path.name)

"""What earlier drills and purges have left beside their events: quarantines, plans, and how they ended."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from drill.foreign import opened
from drill.purge.plan_file import PLAN_DIR, PLAN_FILE, KeptPlan, read_plan
from drill.purge.quarantine import PENDING, part_paths
from drill.unfinished import DRILLS_DIR, EVENTS_FILE, START, Event, is_running, read_events

PURGE_START = "purge_start"
"""First event of a stand-alone purge. It is not a drill's ``start``: a purge gets no line in the journal of drills."""
PURGE_END = "purge_end"
QUARANTINE_DIR = "quarantine"


@dataclass(frozen=True, slots=True)
class Kept:
    """One directory ``drills/<id>``: which env file it belongs to and what is left there."""

    folder: Path
    kind: str
    """``drill``, or what a stand-alone purge did: ``plan``, ``run``, ``undo``."""
    env_file: str
    """Only shown."""
    env_id: str
    """Which environment; empty for one of an earlier release: it is shown and never acted on."""
    ended: Event | None
    """How a stand-alone purge ended; ``None``: a drill, or it was killed."""

    @property
    def quarantine(self) -> Path:
        """Where its purged documents are."""
        return self.folder / QUARANTINE_DIR

    @property
    def plan(self) -> KeptPlan | None:
        """Its kept plan."""
        return read_plan(self.folder / PLAN_DIR)

    @property
    def plan_path(self) -> Path:
        """Where its plan's counts are, if it keeps one."""
        return self.folder / PLAN_DIR / PLAN_FILE

    @property
    def pending(self) -> int:
        """Parts whose delete was not seen to have happened."""
        return sum(path.name.endswith(PENDING) for path in part_paths(self.quarantine))

    def documents(self) -> int:
        """Return the number of documents in the quarantine. Raises OSError."""
        from pyarrow import ArrowException, parquet

        total = 0
        for path in part_paths(self.quarantine):
            try:
                with opened(path) as file:
                    total += parquet.read_metadata(file).num_rows
            except (ArrowException, ValueError) as error:
                raise OSError(f"{path.name} is damaged") from error
        return total


def kept(artifacts: Path) -> Iterator[Kept]:
    """Yield every drill and purge that has left events, oldest first."""
    for path in sorted(artifacts.joinpath(DRILLS_DIR).glob(f"*/{EVENTS_FILE}")):
        try:
            events = read_events(path)
        except OSError:
            continue
        if events and events[0].kind in {START, PURGE_START}:
            kind = events[0].text("action", "drill") if events[0].kind == PURGE_START else "drill"
            ended = next((event for event in events if event.kind == PURGE_END), None)
            yield Kept(path.parent, kind, events[0].text("env_file"), events[0].text("env_id"), ended)


def pending_elsewhere(work_dir: Path, env_id: str) -> list[Path]:
    """Return the quarantines of killed drills and purges of ``env_id`` in which a delete was not confirmed."""
    others = (found for found in kept(work_dir.parent.parent) if found.folder != work_dir)
    mine = (found for found in others if env_id and found.env_id == env_id and found.pending)
    return [found.quarantine for found in mine if not runs(found)]


def runs(found: Kept) -> bool:
    """Whether its drill or purge is at work; one that cannot be asked is taken to be."""
    try:
        return is_running(found.folder / EVENTS_FILE)
    except OSError:
        return True

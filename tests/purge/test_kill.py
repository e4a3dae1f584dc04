"""kill -9, for real: a purge in a process of its own dies at every boundary of every batch, and a rerun finishes."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from drill.purge import PurgeStatus, undo
from drill.purge.quarantine import PENDING, part_paths
from tests.purge.world import World

ROOT = Path(__file__).resolve().parents[2]
BATCHES = 3
POINTS = (
    "purge_quarantine",  # announced, nothing written yet
    "after put",  # the part is on the disk, its delete is not announced
    "purge_delete",
    "after delete",  # deleted, and nobody has noted it
    "after present",
    "after confirm",  # noted in the quarantine, not in the events
    "purge_deleted",
)
SAMPLE = {("after put", 1), ("after delete", 2), ("after confirm", 3)}
ONCE = [("purge_plan", 1), ("after counts", 1), ("after scan", 1), ("after counts", 2), ("after describe", 1)]
SWEEP = [*((point, nth) for point in POINTS for nth in range(1, BATCHES + 1)), *ONCE]


def kill(world: World, point: str, nth: int) -> None:
    """Run a purge that dies at ``point``."""
    where = [world.dsn, world.table, str(world.root), point, str(nth)]
    command = [sys.executable, "-m", "tests.purge.victim", *where]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == -signal.SIGKILL, done


@pytest.mark.parametrize(
    ("point", "nth"),
    [pytest.param(*one, marks=() if one in SAMPLE else pytest.mark.long) for one in SWEEP],
    ids=lambda value: str(value).replace(" ", "-"),
)
def test_killed_then_rerun_ends_at_zero_and_undo_brings_everything_back(world: World, point: str, nth: int) -> None:
    """No delta is left, quarantine = deleted (both counted), and undo restores the same bytes."""
    seeded = world.seed()
    before = world.dump()
    kill(world, point, nth)
    report = world.purge().run()
    assert report.left == 0, report
    assert report.status in {PurgeStatus.PURGED, PurgeStatus.NOTHING_TO_PURGE}
    went = {(row[1], row[4]) for row in before} - {(row[1], row[4]) for row in world.dump()}
    kept = [row.pair for row in world.quarantined()]
    assert (len(went), len(kept), set(kept)) == (seeded, seeded, went)
    assert not [path for path in part_paths(world.root / "drill" / "quarantine") if path.name.endswith(PENDING)]
    restore(world, seeded)
    assert world.dump() == before


def restore(world: World, seeded: int) -> None:
    target = world.target()
    report = undo(world.root / "drill" / "quarantine", target)
    target.close()
    assert (report.restored, report.kept, report.failed) == (seeded, 0, 0)


@pytest.mark.parametrize("second", [pytest.param("after settle", marks=pytest.mark.long), "after confirm"])
def test_killed_again_while_the_rerun_settles(world: World, second: str) -> None:
    """A kill of the rerun itself loses nothing, either."""
    seeded = world.seed()
    kill(world, "after delete", 2)
    kill(world, second, 1)
    assert world.purge().run().left == 0
    assert len(world.quarantined()) == seeded
    restore(world, seeded)

"""What somebody planted in the artifacts or reports leads to no other file, and nobody waits for it."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from drill.checks.history import last_success
from drill.events import EventLog
from drill.foreign import read_whole
from drill.history.write import build
from drill.journal.entry import GENESIS, journal_entry
from drill.journal.log import append, journal_head, journal_path
from drill.journal.rescue import adopt_rescued
from drill.plain_file import NotPlain, open_plain, write_whole
from drill.plans import load_plan, make_plan, save_plan
from drill.unfinished import find_unfinished
from tests.evidence.records import green

VICTIM = b"somebody else's\n"
ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """A file that must keep its bytes."""
    path = tmp_path / "victim"
    path.write_bytes(VICTIM)
    path.chmod(0o600)
    return path


def plant(kind: str, path: Path, victim: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    plants: dict[str, Callable[[], object]] = {
        "symlink": lambda: path.symlink_to(victim),
        "hard link": lambda: os.link(victim, path),
        "FIFO": lambda: os.mkfifo(path),
        "device": lambda: path.symlink_to("/dev/zero"),
        "directory": path.mkdir,
    }
    plants[kind]()


KINDS = pytest.mark.parametrize("kind", ["symlink", "hard link", "FIFO", "device", "directory"])


@KINDS
def test_the_journal_is_written_to_no_other_file(tmp_path: Path, victim: Path, kind: str) -> None:
    """The line is refused in words, so that it is rescued; a look at it neither fails nor hangs."""
    path = journal_path(tmp_path / "artifacts")
    plant(kind, path, victim)
    with pytest.raises(NotPlain, match=r"^\[Errno 22\] rollback_drill_log\.ndjson (is|has) [^\n]*move it away"):
        append(path, journal_entry(green()))
    assert victim.read_bytes() == VICTIM
    if kind != "hard link":
        assert journal_head(path) == GENESIS
        assert last_success(path, ".env") == {}


@KINDS
def test_events_go_to_no_other_file(tmp_path: Path, victim: Path, kind: str) -> None:
    """The drill goes on without its events, and says why."""
    folder = tmp_path / "artifacts" / "drills" / "one"
    plant(kind, folder / "events.ndjson", victim)
    events = EventLog(folder)
    events.start(green())
    events.close()
    assert "events.ndjson" in events.degraded
    assert victim.read_bytes() == VICTIM


@pytest.mark.parametrize("level", ["drills", "drills/one"])
def test_a_directory_that_is_a_link_takes_no_events(tmp_path: Path, level: str) -> None:
    """Nothing is made where it leads to."""
    (tmp_path / "elsewhere").mkdir()
    link = tmp_path / "artifacts" / level
    link.parent.mkdir(parents=True)
    link.symlink_to(tmp_path / "elsewhere")
    assert "symlink" in EventLog(tmp_path / "artifacts" / "drills" / "one").degraded
    assert list((tmp_path / "elsewhere").rglob("*.ndjson")) == []


@KINDS
def test_planted_records_of_earlier_drills_hang_nobody(tmp_path: Path, victim: Path, kind: str) -> None:
    """A drill that was truly killed is still found beside them, which is the control."""
    artifacts = tmp_path / "artifacts"
    plant(kind, artifacts / "drills" / "one" / "events.ndjson", victim)
    plant(kind, artifacts / "rollback_drill_log.planted.ndjson", tmp_path / "victim")
    killed = EventLog(artifacts / "drills" / "two")
    killed.start(green("two"))
    os.close(killed._fd)
    assert [drill.drill_id for drill in find_unfinished(artifacts)] == ["two"]
    assert adopt_rescued(journal_path(artifacts)) == []


@KINDS
def test_pages_and_plans_overwrite_nothing_that_is_planted(tmp_path: Path, victim: Path, kind: str) -> None:
    """A link at the place is replaced, not followed; a directory stays, and that is an error."""
    place = tmp_path / "page"
    plant(kind, place, victim)
    if kind == "directory":
        with pytest.raises(OSError, match="directory"):
            write_whole(place, b"new")
    else:
        write_whole(place, b"new")
        assert read_whole(place) == b"new"
        assert place.is_symlink() is False
    assert victim.read_bytes() == VICTIM
    assert sorted(path.name for path in tmp_path.iterdir()) == ["page", "victim"]


def test_drafts_have_names_that_nobody_can_foresee(tmp_path: Path, victim: Path) -> None:
    """Links at the names that used to be taken lead nowhere any more."""
    journal = tmp_path / "journal"
    append(journal, journal_entry(green()))
    reports, plans = tmp_path / "reports", tmp_path / "plans"
    reports.mkdir()
    plans.mkdir()
    (reports / f".index.html.{os.getpid()}.draft").symlink_to(victim)
    (plans / "p1.new").symlink_to(victim)
    build(journal, reports, 90)
    save_plan(tmp_path, make_plan("p1", ".env", b"A=1", {}, [], None, apply=False, env_id="e"))
    assert load_plan(tmp_path, "p1").env_file == ".env"
    assert (reports / "index.html").stat().st_size > len(VICTIM)
    assert victim.read_bytes() == VICTIM


@ROOT_ONLY
def test_a_record_of_somebody_else_is_not_obeyed(tmp_path: Path) -> None:
    """Owner and place of the record are named; one's own is obeyed, which is the control."""
    killed = EventLog(tmp_path / "drills" / "two")
    killed.start(green("two"))
    os.close(killed._fd)
    assert len(find_unfinished(tmp_path)) == 1
    os.chown(killed.path, 12345, 12345)
    assert find_unfinished(tmp_path) == []
    with pytest.raises(NotPlain, match=r"events\.ndjson belongs to user 12345[^\n]*not obeyed"):
        read_whole(killed.path)
    os.chown(killed.path, 0, 0)
    killed.path.chmod(0o666)
    with pytest.raises(NotPlain, match="everybody"):
        read_whole(killed.path)


def test_what_is_missing_is_missing(tmp_path: Path) -> None:
    """A file that is not there is no planted one."""
    with pytest.raises(FileNotFoundError):
        open_plain(tmp_path / "none")

"""Whatever stands where the drill writes: nothing else is written to, nobody waits, and what was refused says so."""

import io
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from drill.events import EventLog
from drill.history.write import build, build_at_end
from drill.journal.entry import GENESIS, journal_entry
from drill.journal.log import append, dump, journal_path
from drill.journal.rescue import append_or_rescue
from drill.last_words import LOG, last_words
from drill.leaks import Search
from drill.plain_file import write_whole
from drill.plans import make_plan, save_plan
from drill.purge.owner import Owner, write_owner
from drill.purge.quarantine import Quarantine
from drill.target.base import Row
from tests.evidence.records import green

VICTIM = b"somebody else's\n"
OWNER = Owner("e", ".env", "t", "pgvector")
ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")


@dataclass(frozen=True)
class World:
    """A directory of artifacts and one of reports, a file and a directory of others that must stay as they are."""

    home: Path

    @property
    def artifacts(self) -> Path:
        return self.home / "artifacts"

    @property
    def reports(self) -> Path:
        return self.home / "reports"

    @property
    def drill(self) -> Path:
        return self.artifacts / "drills" / "one"

    def check_kept(self) -> None:
        assert (self.home / "victim").read_bytes() == VICTIM
        assert [path.name for path in (self.home / "elsewhere").rglob("*")] == ["theirs"]


@pytest.fixture
def world(tmp_path: Path) -> World:
    (tmp_path / "victim").write_bytes(VICTIM)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "theirs").touch()
    return World(tmp_path)


Work = Callable[[World], object]


def events(world: World) -> None:
    log = EventLog(world.drill)
    log.start(green("one"))
    log.close()
    if log.degraded:
        raise OSError(log.degraded)


def plan(world: World) -> None:
    save_plan(world.artifacts, make_plan("one", ".env", b"A=1", {}, [], None, apply=False, env_id="e"))


def said(world: World) -> None:
    if "more:" not in last_words(b"it broke\n", Search({}), world.drill / LOG):
        raise OSError(f"{LOG} is not kept")


def part(world: World) -> None:
    quarantine = Quarantine(world.drill / "quarantine")
    quarantine.open()
    quarantine.put("default", [Row("1", "h", None, "{}")])
    quarantine.write_manifest({}, "digest")


def whose(name: str) -> Work:
    return lambda world: write_owner(world.drill / name, OWNER)


def line(world: World) -> None:
    append(journal_path(world.artifacts), journal_entry(green("one")))


def rescue(world: World) -> None:
    journal_path(world.artifacts).mkdir(parents=True, exist_ok=True)
    found = append_or_rescue(journal_path(world.artifacts), journal_entry(green("one")), {"HOME": ""}, io.StringIO())
    if found.path is None or found.path.parent != world.artifacts:
        if found.path is not None:
            found.path.unlink()
        raise OSError(found.problem)


def history(world: World) -> None:
    journal = world.home / "journal"
    journal.write_text(dump({**journal_entry(green("one")), "prev_sha256": GENESIS}) + "\n")
    build(journal, world.reports, 90)


def report(world: World) -> None:
    write_whole(world.reports / "one.html", b"<html>", 0o666)


WRITTEN: dict[str, Work] = {
    "artifacts/drills/one/events.ndjson": events,
    "artifacts/drills/one/commands.log": said,
    "artifacts/drills/one/quarantine/manifest.json": part,
    "artifacts/drills/one/quarantine/owner.json": whose("quarantine"),
    "artifacts/drills/one/plan/owner.json": whose("plan"),
    "artifacts/plans/one.json": plan,
    "artifacts/rollback_drill_log.ndjson": line,
    "artifacts/rollback_drill_log.one.ndjson": rescue,
    "reports/index.html": history,
    "reports/one.html": report,
}
"""What is written in a drill, and by what."""
DIRECTORIES = sorted(
    {(str(place), path) for path in WRITTEN for place in list(Path(path).parents)[:-2] if place.name != "reports"}
)
"""Every directory of the drill's own on the way to it, with what is written in it."""


def in_place_of(kind: str, path: Path, world: World) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    plants: dict[str, Callable[[], object]] = {
        "symlink": lambda: path.symlink_to(world.home / "victim"),
        "symlink to a directory": lambda: path.symlink_to(world.home / "elsewhere"),
        "symlink to nothing": lambda: path.symlink_to(world.home / "elsewhere" / "new"),
        "hard link": lambda: os.link(world.home / "victim", path),
        "FIFO": lambda: os.mkfifo(path),
        "device": lambda: path.symlink_to("/dev/zero"),
        "directory": path.mkdir,
        "file": path.touch,
    }
    plants[kind]()


@pytest.mark.parametrize("where", WRITTEN)
def test_all_of_it_is_written_where_nothing_is_planted(world: World, where: str) -> None:
    """The control: it stands at the very place where things are planted below."""
    WRITTEN[where](world)
    assert (world.home / where).is_file()
    world.check_kept()


@pytest.mark.parametrize("where", WRITTEN)
@pytest.mark.parametrize("kind", ["symlink", "symlink to nothing", "hard link", "FIFO", "device", "directory"])
def test_what_is_planted_in_the_place_of_a_file_is_replaced_or_refused(world: World, where: str, kind: str) -> None:
    """A plain file of its own stands there afterwards, or what writes it fails; a command's words are not kept then."""
    path = world.home / where
    in_place_of(kind, path, world)
    refusal = ""
    try:
        WRITTEN[where](world)
    except OSError as error:
        refusal = error.strerror or str(error)
    plain = path.is_file() and not path.is_symlink() and path.stat().st_nlink == 1
    assert plain is not bool(refusal)
    world.check_kept()


@pytest.mark.parametrize(("where", "path"), DIRECTORIES)
@pytest.mark.parametrize("kind", ["symlink to a directory", "symlink to nothing", "FIFO", "device", "file"])
def test_a_directory_of_the_drills_own_is_nothing_else(world: World, where: str, path: str, kind: str) -> None:
    """Nothing is made where a link leads to."""
    in_place_of(kind, world.home / where, world)
    with pytest.raises(OSError, match=r"expected a directory; move it away|is not kept"):
        WRITTEN[path](world)
    world.check_kept()


@ROOT_ONLY
@pytest.mark.parametrize(("name", "path"), [("artifacts", "artifacts/plans/one.json"), ("reports", "reports/one.html")])
def test_artifacts_and_reports_may_be_links_of_whoever_may_command_the_drill(
    world: World, name: str, path: str
) -> None:
    """A link of somebody else leads nowhere, and the line says whose it is."""
    (world.home / "disk").mkdir()
    (world.home / name).symlink_to(world.home / "disk")
    WRITTEN[path](world)
    assert (world.home / path).is_file()
    os.lchown(world.home / name, 12345, 12345)
    with pytest.raises(OSError, match=f"{name} belongs to user 12345"):
        WRITTEN[path](world)


@ROOT_ONLY
def test_the_line_of_the_history_says_why_there_is_no_page(world: World) -> None:
    """One line, as for any other trouble with it."""
    line(world)
    world.reports.symlink_to(world.home / "elsewhere")
    os.lchown(world.reports, 12345, 12345)
    told = build_at_end(journal_path(world.artifacts), world.reports, 90)
    assert "could not be written (reports belongs to user 12345" in told
    world.check_kept()

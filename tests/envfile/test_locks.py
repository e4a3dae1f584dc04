"""Two drills never write one env file, whatever becomes of the lock file and by whatever name it is opened."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from drill.envfile import EnvFile
from drill.envfile.lock import lock_path
from drill.errors import EnvFileRefused, LockHeld
from tests.reliability.test_bind_mount import namespace_problem

from .support import PLAIN, PLAIN_AFTER, MemoryLog

ROOT = Path(__file__).resolve().parents[2]
MOUNTED = pytest.mark.skipif(bool(problem := namespace_problem()), reason=problem or "namespaces work")
ALIASES = [
    "itself",
    "link to the directory",
    "dots",
    pytest.param("mount of the directory", marks=MOUNTED),
    pytest.param("mount of the file", marks=MOUNTED),
]


@dataclass
class Other:
    """A drill in a process of its own."""

    process: subprocess.Popen[str]

    def does(self, act: str) -> str:
        """Have it do something and return what it says."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{act}\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()


@contextmanager
def other_drill(path: Path, alias: str = "itself") -> Iterator[Other]:
    """Start a drill that finds the env file ``path`` under another name."""
    mount: list[str] = []
    elsewhere = path.parent.with_name(f"elsewhere-{os.urandom(4).hex()}")
    place = elsewhere / path.name
    if alias == "itself":
        place = path
    elif alias == "dots":
        place = path.parent / ".." / path.parent.name / path.name
    elif alias == "link to the directory":
        elsewhere.symlink_to(path.parent)
    else:
        elsewhere.mkdir()
        what = (path.parent, elsewhere)
        if alias == "mount of the file":
            place.touch()
            what = (path, place)
        mount = ["unshare", "-rm", "sh", "-c", 'mount --bind "$0" "$1" && shift && exec "$@"', *map(str, what)]
    command = [*mount, sys.executable, "-m", "tests.envfile.other_drill", str(place)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield Other(process)
        assert process.stdin is not None
        process.stdin.close()


def test_a_second_drill_is_kept_out_though_the_lock_file_was_removed(path: Path, log: MemoryLog) -> None:
    """Before the first one's write and after it: the file that stands there is locked itself."""
    with EnvFile.open(path, intents=log) as first:
        plan = first.plan()
        for _ in range(2):
            lock_path(path).unlink()
            for read_only in (True, False):
                with pytest.raises(LockHeld, match="lock file that was removed"):
                    EnvFile.open(path, intents=log, read_only=read_only)
            with pytest.raises(EnvFileRefused, match="removed or replaced"):
                first.apply(plan)
    assert path.read_bytes() == PLAIN
    EnvFile.open(path, intents=log).close()


def test_what_was_written_is_locked_too(path: Path, log: MemoryLog) -> None:
    """A replace puts another file at the path; the first drill does not restore beside a lock file that is gone."""
    with EnvFile.open(path, intents=log) as first:
        first.apply(first.plan())
        lock_path(path).unlink()
        with pytest.raises(LockHeld):
            EnvFile.open(path, intents=log)
        with pytest.raises(EnvFileRefused, match="removed or replaced"):
            first.restore()
    assert path.read_bytes() == PLAIN_AFTER


def test_another_name_of_the_directory_is_the_same_file(path: Path, log: MemoryLog) -> None:
    """A link to the directory leads to the same lock file; without it, to the same locked env file."""
    other = path.parent.with_name("other")
    other.symlink_to(path.parent)
    with EnvFile.open(path, intents=log):
        with pytest.raises(LockHeld):
            EnvFile.open(other / path.name, intents=log)
        lock_path(path).unlink()
        with pytest.raises(LockHeld):
            EnvFile.open(other / path.name, intents=log)


@pytest.mark.parametrize("removed", [False, True], ids=["", "lock-file-removed"])
@pytest.mark.parametrize("alias", ALIASES)
def test_two_processes_never_both_write(path: Path, alias: str, removed: bool) -> None:
    """The second is kept out before the first one's write and after it; without its lock file the first is stopped."""
    with other_drill(path) as first:
        assert first.does("open") == "ok"
        for _ in range(2):
            if removed:
                lock_path(path).unlink(missing_ok=True)
            with other_drill(path, alias) as second:
                assert second.does("open").startswith("LockHeld: ")
            said = first.does("write")
            assert "removed or replaced" in said if removed else said == "ok"
    assert path.read_bytes() == (PLAIN if removed else PLAIN_AFTER)
    if alias != "mount of the file":
        with other_drill(path, alias) as later:  # the control: nobody holds it any more
            assert [later.does(act) for act in ("open", "write", "restore")] == ["ok"] * 3


@pytest.mark.parametrize("alias", ALIASES)
def test_who_comes_by_another_name_first_keeps_the_others_out(path: Path, alias: str) -> None:
    with other_drill(path, alias) as first:
        assert first.does("open") == "ok"
        with other_drill(path) as second:
            assert second.does("open").startswith("LockHeld: ")
        assert first.does("write") == "ok"
    assert path.read_bytes() == PLAIN_AFTER


@MOUNTED
def test_what_a_replace_has_left_behind_stays_locked(path: Path) -> None:
    """A container that has the file alone mounted goes on to see the old one, and would write into that."""
    with other_drill(path, "mount of the file") as inside, other_drill(path) as outside:
        assert [outside.does(act) for act in ("open", "write")] == ["ok", "ok"]
        assert inside.does("open").startswith("LockHeld: ")


def test_a_hard_link_is_refused_by_either_name(path: Path) -> None:
    other = path.with_name("other.env")
    other.hardlink_to(path)
    for name in (path, other):
        with other_drill(name) as drill:
            assert "2 hard links" in drill.does("open")
    assert path.read_bytes() == PLAIN


def test_a_drill_that_has_lost_both_locks_neither_writes_nor_restores_over_the_second_ones_work(path: Path) -> None:
    """Somebody has removed the lock file and replaced the env file: nothing keeps a second drill out."""
    with other_drill(path) as first, other_drill(path) as late, other_drill(path) as second:
        assert [first.does(act) for act in ("open", "write")] == ["ok", "ok"]
        lock_path(path).unlink()
        fresh = path.with_name("fresh")
        fresh.write_bytes(path.read_bytes())
        fresh.replace(path)
        assert [second.does(act) for act in ("open", "write")] == ["ok", "ok"]  # the same bytes: they cannot tell
        assert "removed or replaced" in first.does("restore")
        assert path.read_bytes() == PLAIN_AFTER
        path.write_bytes(PLAIN)
        assert "removed or replaced" in first.does("write")
        assert path.read_bytes() == PLAIN
        assert late.does("open").startswith("LockHeld: ")


def test_a_file_that_another_drill_holds_is_not_written_though_its_lock_file_is_the_same(
    path: Path, log: MemoryLog
) -> None:
    """The env file was replaced by one of the same bytes that a drill holds by another name."""
    with EnvFile.open(path, intents=log) as first:
        plan = first.plan()
        elsewhere = path.parent.with_name("elsewhere")
        elsewhere.mkdir()
        moved = elsewhere / path.name
        moved.write_bytes(path.read_bytes())
        with EnvFile.open(moved, intents=log):
            moved.replace(path)
            with pytest.raises(LockHeld):
                first.apply(plan)
        assert path.read_bytes() == PLAIN
        first.apply(plan)  # the control: it is free now
    assert path.read_bytes() == PLAIN_AFTER


def test_a_file_that_others_can_write_by_now_is_not_written(path: Path, log: MemoryLog) -> None:
    """Asked at the start, and again where the write is."""
    with EnvFile.open(path, intents=log) as drill:
        plan = drill.plan()
        path.chmod(0o666)
        with pytest.raises(EnvFileRefused, match="can be written by everybody"):
            drill.apply(plan)
        assert path.read_bytes() == PLAIN
        path.chmod(0o640)
        drill.apply(plan)
    assert path.read_bytes() == PLAIN_AFTER

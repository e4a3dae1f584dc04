"""What a drill has made of the env file is looked at again: at the end of the window and of the drill."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from drill.checks import environment_kept
from drill.checks.environment_kept import environment, environment_again, has_moved, not_as_left
from drill.context import Drill
from drill.envfile.osops import OsLayer
from drill.finish import _look_once_more, keep_plan
from drill.record import Evidence
from drill.reopen.rungs import shadow_rungs
from drill.verdict import Verdict
from drill.whose import user_name
from tests.library.world import MIGRATING, ROLLED_BACK, make_drill, served, start

ROW = "post.environment"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment_kept, "STILL_S", 0.0)


def written(folder: Path, *, env: str = "A=1\n" + MIGRATING, in_place: bool = False) -> Drill:
    """Return a drill that has written its flags, is proven, and has its window behind it."""
    drill = make_drill(folder, env=env, apply=True)
    if in_place:
        drill.env_file._ops = MountPoint()
    drill.env_file.apply(drill.plan)
    drill.record.flags_written = drill.rolled_back = True
    drill.observed = served()
    return drill


class MountPoint(OsLayer):
    """An env file that is a mount point: nothing can be renamed over it."""

    def rename(self, source: Path, target: Path) -> None:
        if target.name == ".env":
            raise OSError(16, "Device or resource busy")
        super().rename(source, target)


class Unreadable(OsLayer):
    """A system that lets nobody read."""

    def open(self, path: Path, flags: int, mode: int = 0o600) -> int:
        raise PermissionError(13, "Permission denied")


def replaced(path: Path, data: bytes) -> None:
    """Put another file at ``path``, as configuration management does."""
    fresh = path.with_name("fresh")
    fresh.write_bytes(data)
    fresh.chmod(path.stat().st_mode & 0o777)
    fresh.rename(path)


def as_fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def test_what_was_written_is_still_there(tmp_path: Path) -> None:
    drill = written(tmp_path)
    size = drill.env_file.path.stat().st_size
    found = environment(drill)
    assert found.verdict is Verdict.PASS
    assert found.reason == f".env reads as this drill wrote it; the same {size} bytes"
    assert (found.value, found.threshold, found.detail["same file"]) == (3, 3, True)
    assert not_as_left(drill) == ""


@pytest.mark.parametrize("in_place", [False, True])
def test_the_old_file_put_back_is_red_and_says_whose_it_is(tmp_path: Path, in_place: bool) -> None:
    """Also by the rename of an old copy, whose own time says nothing: the change of its inode does."""
    drill = written(tmp_path, in_place=in_place)
    path = drill.env_file.path
    if in_place:
        path.write_bytes(drill.plan.old_bytes)
    else:
        replaced(path, drill.plan.old_bytes)
    os.utime(path, (1_600_000_000, 1_600_000_000))
    found = environment(drill)
    assert found.verdict is Verdict.FAIL
    for told in (
        "RETRIEVAL_BACKEND is pgvector, was faiss",
        "FF_RETRIEVAL_DUAL_WRITE is ON, was OFF",
        "it is the file from before this drill",
        f"{user_name(os.getuid())}",
        "written to in place at " if in_place else "written at 2020-09-13",
        "then run the drill again",
    ):
        assert told in found.reason, told
    assert found.detail["same file"] is in_place
    assert found.value == 0


def test_a_file_that_a_write_in_place_made_is_the_same_file(tmp_path: Path) -> None:
    drill = written(tmp_path, in_place=True)
    assert environment(drill).detail["same file"] is True
    assert "replaced" not in environment(drill).reason


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda path: replaced(path, path.read_bytes()), "the same 85 bytes; replaced at "),
        (lambda path: replaced(path, b"# managed\n" + path.read_bytes()), "other lines are not as they were; replaced"),
        (lambda path: os.utime(path, (1_700_000_000, 1_700_000_000)), "the same 85 bytes; written to in place at "),
        (lambda path: path.write_bytes(path.read_bytes() + b"B=2\n"), "other lines are not as they were; written to"),
        (lambda path: path.chmod(0o640), "mode 0640, was 0644"),
        (lambda path: os.link(path, path.with_name("hard")), "it has 2 hard links"),
    ],
)
def test_whoever_leaves_the_flags_alone_is_named_and_harms_nothing(
    tmp_path: Path, change: Callable[[Path], object], told: str
) -> None:
    drill = written(tmp_path)
    drill.env_file.path.chmod(0o644)
    drill.env_file._left = type(drill.env_file.left).of(drill.env_file.look())
    change(drill.env_file.path)
    found = environment(drill)
    assert found.verdict is Verdict.PASS
    assert told in found.reason


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda path: path.unlink(), ".env does not exist; its directory was last changed at "),
        (lambda path: path.rename(path.with_name("away")), ".env does not exist"),
        (lambda path: (path.rename(path.with_name("away")), path.symlink_to("away")), ".env is a symlink; put there"),
        (as_fifo, ".env is not a regular file; put there at "),
        (lambda path: (path.unlink(), path.mkdir()), ".env is not a regular file"),
        (lambda path: path.write_bytes(b"\xff\xfe"), "it holds a byte that is not UTF-8"),
        (lambda path: path.write_bytes(b""), "RETRIEVAL_BACKEND is <not set>, was faiss"),
        (lambda path: path.write_bytes(path.read_bytes() + b"RETRIEVAL_BACKEND=pgvector\n"), "is pgvector, was faiss"),
    ],
)
def test_a_file_that_is_gone_of_another_kind_or_says_otherwise_is_red(
    tmp_path: Path, change: Callable[[Path], object], told: str
) -> None:
    drill = written(tmp_path)
    change(drill.env_file.path)
    found = environment(drill)
    assert found.verdict is Verdict.FAIL
    assert told in found.reason


def test_a_file_that_cannot_be_read_any_more_is_red(tmp_path: Path) -> None:
    drill = written(tmp_path)
    drill.env_file._ops = Unreadable()
    assert environment(drill).verdict is Verdict.FAIL
    assert "cannot be read (EACCES" in environment(drill).reason


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (b"WHICH=faiss\nRETRIEVAL_BACKEND=${WHICH}\n", "RETRIEVAL_BACKEND is faiss by way of another variable"),
        (b"unset RETRIEVAL_BACKEND\n", "does not parse"),
        (b"sops_mac=ENC[AES256_GCM,data:c2ln,iv:aXY=,tag:dGFn,type:str]\nsops_version=3.10.2\n", "sops"),
    ],
)
def test_flags_of_which_it_is_not_sure_what_they_say_are_unproven(tmp_path: Path, line: bytes, told: str) -> None:
    drill = written(tmp_path)
    replaced(drill.env_file.path, drill.env_file.path.read_bytes() + line)
    found = environment(drill)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert told in found.reason


def test_a_file_that_is_just_being_rewritten_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who truncates and writes, or removes and makes anew, leaves nothing there for a moment."""
    drill = written(tmp_path)
    monkeypatch.setattr(environment_kept, "STILL_S", 60.0)
    data = drill.env_file.path.read_bytes()
    drill.env_file.path.unlink()
    monkeypatch.setattr(time, "sleep", lambda _s: drill.env_file.path.write_bytes(data))
    assert environment(drill).verdict is Verdict.PASS


def test_it_is_waited_for_no_longer_than_it_may_take(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drill = written(tmp_path)
    slept: list[float] = []
    drill.env_file.path.unlink()
    monkeypatch.setattr(environment_kept, "STILL_S", 1.0)
    monkeypatch.setattr(time, "monotonic", lambda: float(len(slept)))
    monkeypatch.setattr(time, "sleep", slept.append)
    assert environment(drill).value == 0
    assert slept == [environment_kept.POLL_S]


@pytest.mark.parametrize("judged", [True, False])
def test_the_row_is_judged_at_the_end_of_the_window_if_there_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, judged: bool
) -> None:
    drill = written(tmp_path)
    waited: list[str] = []
    drill.rolled_back = judged
    monkeypatch.setattr(Drill, "observe", lambda _drill: waited.append("for its end"))
    assert environment(drill).verdict is Verdict.PASS
    assert bool(waited) is judged


def test_what_a_drill_found_as_wanted_must_stay_so(tmp_path: Path) -> None:
    """Nothing was written, in a dry-run or not: flags that are switched on meanwhile are red all the same."""
    for number, apply in enumerate((True, False)):
        folder = tmp_path / str(number)
        folder.mkdir()
        drill = make_drill(folder, env=ROLLED_BACK, apply=apply)
        drill.observed = served()
        assert ".env reads as when this drill began" in environment(drill).reason
        drill.env_file.path.write_text(MIGRATING)
        assert environment(drill).verdict is Verdict.FAIL


def test_a_dry_run_that_finds_the_file_changed_is_unproven_not_red(tmp_path: Path) -> None:
    """It has broken nothing, and nothing of what it says was rolled back; but its plan is of another file."""
    started = start(tmp_path, env=MIGRATING)
    drill = started.drill
    assert drill is not None
    assert drill.record.entries[ROW].required
    assert environment(drill).verdict is Verdict.PASS
    drill.env_file.path.write_text(MIGRATING + "# a comment\n")
    assert environment(drill).verdict is Verdict.PASS
    assert "other lines are not as they were" in environment(drill).reason
    assert (has_moved(drill), keep_plan(started)) == (True, ())
    drill.env_file.path.write_text(ROLLED_BACK)
    found = environment(drill)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "run the dry-run again" in found.reason
    drill.env_file.path.unlink()
    assert environment(drill).verdict is Verdict.INCONCLUSIVE
    assert has_moved(drill)
    drill.env_file.path.write_text(MIGRATING)
    assert (has_moved(drill), len(keep_plan(started))) == (False, 1)


def test_what_the_drill_itself_put_back_is_no_alarm(tmp_path: Path) -> None:
    """Judged is against what was restored; who changes it after that is seen."""
    drill = written(tmp_path)
    drill.env_file.restore()
    drill.rolled_back, drill.record.restored = False, True
    found = environment(drill)
    assert (found.verdict, found.reason.partition(";")[0]) == (Verdict.PASS, ".env reads as this drill put it back")
    drill.env_file.path.unlink()
    assert environment(drill).verdict is Verdict.FAIL


def test_an_old_file_that_was_back_before_the_drill_restored_it_is_taken_for_restored(tmp_path: Path) -> None:
    drill = written(tmp_path)
    replaced(drill.env_file.path, drill.plan.old_bytes)
    drill.env_file.restore()
    drill.rolled_back, drill.record.restored = False, True
    assert environment(drill).verdict is Verdict.PASS


def test_where_nothing_was_written_there_is_nothing_to_look_for(tmp_path: Path) -> None:
    drill = make_drill(tmp_path, env=MIGRATING, apply=True)
    assert environment(drill) == Evidence(Verdict.NOT_RUN, "the flags are not rolled back")


def test_a_file_put_back_after_the_row_is_found_at_the_end_of_the_drill(tmp_path: Path) -> None:
    drill = written(tmp_path)
    entry = drill.record.entries[ROW]

    def at_the_end() -> Verdict:
        _look_once_more(drill)
        return entry.evidence.verdict

    assert at_the_end() is Verdict.NOT_RUN, "what was not judged is not judged at the end either"
    entry.evidence = environment(drill)
    assert at_the_end() is Verdict.PASS
    assert not entry.evidence.reason.startswith("at the end of the drill")
    flags = drill.env_file.path.read_bytes()
    replaced(drill.env_file.path, flags + b"# managed\n")
    assert at_the_end() is Verdict.PASS
    assert entry.evidence.reason.startswith("at the end of the drill: .env reads as this drill wrote it; other lines")
    replaced(drill.env_file.path, drill.plan.old_bytes)
    assert at_the_end() is Verdict.FAIL
    replaced(drill.env_file.path, flags)
    assert at_the_end() is Verdict.FAIL, "a verdict only gets worse"


def test_the_last_word_is_what_the_ladder_wrote(tmp_path: Path) -> None:
    """Its sample rate is looked at, too; and what it found as it wanted it is its own from then on."""
    drill = written(tmp_path)
    rung = shadow_rungs(drill.config, drill.env_values)[0]
    drill.env_file.apply(drill.env_file.plan(rung.wanted))
    assert environment_again(drill).verdict is Verdict.PASS
    text = drill.env_file.path.read_text()
    drill.env_file.path.write_text(text.replace("SAMPLE_RATE=0.1", "SAMPLE_RATE=1.0"))
    assert "FF_RETRIEVAL_SHADOW_SAMPLE_RATE is 1.0, was 0.1" in environment_again(drill).reason
    drill.env_file.path.write_text(ROLLED_BACK)
    assert environment_again(drill).verdict is Verdict.FAIL
    drill.env_file.apply(drill.env_file.plan())
    assert environment_again(drill).verdict is Verdict.PASS


def test_no_value_but_those_of_the_drills_own_keys_is_said(tmp_path: Path) -> None:
    drill = written(tmp_path, env="SECRET=hunter2hunter2\n" + MIGRATING)
    replaced(drill.env_file.path, b"SECRET=other-secret\nRETRIEVAL_BACKEND='" + b"s3cret-" * 9 + b"'\n")
    found = environment(drill)
    assert "RETRIEVAL_BACKEND is <63 characters>, was faiss" in found.reason
    assert "secret" not in repr(found).lower()
    assert "hunter2" not in repr(found)


def test_users_are_named_by_the_local_files() -> None:
    assert user_name(0) == "user root (uid 0)"
    assert user_name(4_000_000_000) == "uid 4000000000"

"""Two that write on one environment's target are never at work together, by whatever name each knows the env file."""

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from drill.envfile.lock import lock_path
from drill.launch import Options, launch
from tests.purge.test_command import PASSED, Post, Service, post, service
from tests.purge.world import World

__all__ = ["post", "service"]
ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Paused:
    """A command in a process of its own that waits before its second write."""

    process: subprocess.Popen[str]
    folder: Path

    def goes_on(self) -> tuple[int, str]:
        """Let it go on to its end; return exit code and output."""
        (self.folder / "go").touch()
        return self.process.wait(), (self.folder / "said").read_text()


@contextmanager
def at_work(post: Post, *words: str) -> Iterator[Paused]:
    """Run a command up to its second write."""
    folder = post.world.root / f"paused-{words[0]}"
    folder.mkdir()
    where = ["--env-file", str(post.env_file), "--operator", "first", "--artifacts-dir", str(post.artifacts)]
    command = [sys.executable, "-m", "tests.purge.paused", str(folder), "purge", *words, *where]
    with (
        (folder / "said").open("w") as said,
        subprocess.Popen(command, cwd=ROOT, stdout=said, stderr=subprocess.STDOUT, text=True) as process,
    ):
        try:
            while not (folder / "reached").exists():
                assert process.poll() is None, (folder / "said").read_text()
                time.sleep(0.02)
            yield Paused(process, folder)
        finally:
            process.kill()


def others_are_kept_out(post: Post, plan: str, run: str) -> None:
    """Try a purge, an undo and a drill: by another name of the directory, and with other artifacts."""
    elsewhere, artifacts = post.world.root.with_name(f"{post.world.root.name}-too"), post.artifacts.with_name("others")
    if not elsewhere.exists():
        elsewhere.symlink_to(post.world.root)
    names = [
        post.env_file,
        elsewhere / post.env_file.name,
        post.world.root / ".." / post.world.root.name / "service.env",
    ]
    for place, mine in zip(names, [post.artifacts, post.artifacts, artifacts], strict=True):
        second = Post(post.world, place, mine, post.capture)
        for words in (("run", "--plan", plan), ("undo", run)):
            code, output = second.purge(*words)
            assert (code, "is held by" in output) == (11, True), output
        options = Options(place, True, "second", "drill", None, "auto", mine, mine, ROOT, frozenset())
        started = launch(options, {})
        started.events.close()
        assert (started.drill, "is held by" in started.record.refused) == (None, True)


@pytest.mark.parametrize("removed", [False, True], ids=["", "lock-file-removed"])
def test_while_a_purge_deletes_nobody_else_writes(post: Post, world: World, removed: bool) -> None:
    """Without its lock file it deletes nothing more itself; a later run finishes, and undo brings all back."""
    seeded = world.seed()
    before, plan = world.dump(), post.planned()
    with at_work(post, "run", "--plan", plan) as purge:
        held = world.ids()
        if removed:
            lock_path(post.env_file).unlink()
        others_are_kept_out(post, plan, "any")
        assert world.ids() == held
        code, output = purge.goes_on()
    assert (code, "removed or replaced" in output) == ((10, True) if removed else (0, False)), output
    if removed:
        assert world.ids() == held
        assert f"5 of {seeded} documents deleted so far" in output
    code, output = post.purge("run", "--plan", plan)
    assert code == 0, output
    for run in sorted(path.parent.name for path in post.artifacts.glob("drills/*/quarantine")):
        assert post.purge("undo", run)[0] == 0
    assert world.dump() == before


def test_while_an_undo_writes_back_nobody_else_writes(post: Post, world: World) -> None:
    """Without its lock file it stops where it is, and says how much is back."""
    seeded = world.seed()
    before, plan = world.dump(), post.planned()
    run = re.findall(r"purge undo (\S+)", post.purge("run", "--plan", plan)[1])[0]
    with at_work(post, "undo", run) as undo:
        held = world.ids()
        lock_path(post.env_file).unlink()
        others_are_kept_out(post, plan, run)
        code, output = undo.goes_on()
    assert (code, "removed or replaced" in output) == (10, True), output
    assert "5 documents are back so far" in output
    assert world.ids() == held
    assert (post.purge("undo", run)[0], world.dump()) == (0, before)
    assert seeded > 5


def test_a_purge_whose_flag_is_turned_on_again_deletes_nothing_more(post: Post, world: World) -> None:
    world.seed()
    plan = post.planned()
    with at_work(post, "run", "--plan", plan) as purge:
        held = world.ids()
        post.write_env("ON")
        code, output = purge.goes_on()
    assert (code, "FF_RETRIEVAL_DUAL_WRITE is ON, was OFF" in output) == (10, True), output
    assert world.ids() == held


def test_a_purge_on_its_own_keeps_to_the_firing_window(post: Post, world: World, service: Service) -> None:
    world.seed()
    plan = post.planned()
    before, path = world.dump(), post.env_file.with_name("drill.toml")
    path.write_text(f'{path.read_text()}[window]\ncloses = "2020-01-01T00:00:00Z"\n')
    code, output = post.purge("run", "--plan", plan)
    assert (code, "outside the firing window" in output, "--reason" in output) == (11, True, False), output
    assert world.dump() == before
    post.write_config(service.url)
    post.journal(PASSED)
    assert post.purge("run", "--plan", plan)[0] == 0

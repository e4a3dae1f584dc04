"""The canary on the embedded stack: nothing of it is left, whatever ends the drill."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from sandbox.stack import Stack
from tests.drill.harness import QUICK, ROOT, Desk, surely_ended

CANARY = "rollback-drill-canary-"


@pytest.fixture
def quiet(tmp_path: Path) -> Iterator[Stack]:
    """Return a stack whose target is well, and that nobody uses."""
    with Stack.start(tmp_path / "home", incident=False, traffic=False) as stack:
        yield stack


def canaries(stack: Stack) -> list[str]:
    """Return the stores that hold a canary, tenant by tenant."""
    faiss = [path.parent.name for path in stack.faiss_dir.glob("*/docs.json") if CANARY in path.read_text()]
    with psycopg.connect(stack.dsn) as connection:
        rows = connection.execute("select tenant from retrieval_documents where id like %s", [f"{CANARY}%"]).fetchall()
    return faiss + [f"{tenant} on the target" for (tenant,) in rows]


def ended_while_it_is_there(stack: Stack, desk: Desk, number: signal.Signals) -> int:
    """Run a drill until its canary is in FAISS, and end it there; return its exit code."""
    command = desk.command("--apply")
    begun = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **QUICK}, stdout=subprocess.DEVNULL)
    with surely_ended(begun) as process:
        while not canaries(stack):
            assert process.poll() is None
            time.sleep(0.02)
        process.send_signal(number)
        return process.wait(60)


@pytest.mark.long
def test_a_killed_drill_leaves_a_canary_that_the_next_one_removes(quiet: Stack, tmp_path: Path) -> None:
    """The next drill is green, proves dual-write by its own canary, and both stores are clean."""
    desk = Desk(quiet.env_file, tmp_path / "artifacts", tmp_path / "reports")
    ended_while_it_is_there(quiet, desk, signal.SIGKILL)
    assert canaries(quiet)
    ran = desk.drill("--apply", DRILL_SERVICE__FLAGS_PATH="")
    assert ran.not_green <= {"disable_shadow_read", "post.shadow_silent"}, ran
    assert "4 of them by the drill" in ran.reason("disable_dual_write")
    assert canaries(quiet) == []


@pytest.mark.long
def test_a_drill_that_is_told_to_end_removes_its_canary_first(quiet: Stack, tmp_path: Path) -> None:
    """The journal says interrupted, and nothing is left."""
    desk = Desk(quiet.env_file, tmp_path / "artifacts", tmp_path / "reports")
    assert ended_while_it_is_there(quiet, desk, signal.SIGTERM) == 12
    assert canaries(quiet) == []

"""Step 7 on the embedded stack: the whole ladder, and every way in which a rung turns out bad."""

import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from matrix.bench import heal_target, let_writes_wait
from matrix.faults import named, try_all
from sandbox.stack import Stack
from tests.drill.harness import QUICK as SHORT
from tests.drill.harness import ROOT, Desk, Ran

HOLD = {"DRILL_REOPEN__HOLD_S": "10", "DRILL_TARGET__STATEMENT_TIMEOUT_S": "10"}
QUICK = "agreement_collapses_at_full"


@pytest.fixture
def healed(tmp_path: Path) -> Iterator[Stack]:
    """Return a stack of its own whose target is well: the incident is over, the flags still say migrating."""
    with Stack.start(tmp_path / "home", incident=False) as stack:
        yield stack


def reopened(stack: Stack, tmp_path: Path, *options: str, **environ: str) -> Ran:
    desk = Desk(stack.env_file, tmp_path / "artifacts", tmp_path / "reports")
    return desk.drill("--apply", "--reopen", *options, timeout_s=400, **{**HOLD, **environ})


def flags(stack: Stack) -> dict[str, str]:
    pairs = (line.partition("=") for line in stack.env_file.read_text().splitlines() if "=" in line)
    return {key: value.partition(" ")[0] for key, _, value in pairs if key.startswith(("FF_", "RETRIEVAL_B"))}


@pytest.mark.long
def test_the_whole_ladder_is_climbed_and_the_backend_stays_faiss(healed: Stack, tmp_path: Path) -> None:
    ran = reopened(healed, tmp_path, DRILL_REOPEN__PILOT_TENANTS='["acme"]')
    ran.expect(0)
    assert ran.verdicts["reopen.shadow_read"] == ran.verdicts["reopen.dual_write"] == "pass"
    assert flags(healed)["RETRIEVAL_BACKEND"] == "faiss"
    assert flags(healed)["FF_RETRIEVAL_DUAL_WRITE"] == flags(healed)["FF_RETRIEVAL_SHADOW_READ"] == "ON"
    assert "dual-write for pilot tenants: holds" in ran.reason("reopen.dual_write")
    steps = {step["id"]: step["outcome"] for step in ran.entry["steps"]}
    assert steps["reopen"] == "applied"
    page = ran.reports[-1].read_text()
    assert 'href="#rungs"' in page
    for rung in ("shadow-read 0.1", "shadow-read 1", "dual-write for pilot tenants", "dual-write for all tenants"):
        assert f'<th scope="row">{rung}</th>' in page


@pytest.mark.parametrize(
    "fault",
    [
        name if name == QUICK else pytest.param(name, marks=pytest.mark.long)
        for name in (*named("scrape", mode="reopen"), *named("scrape", mode="replay"))
    ],
)
def test_what_goes_bad_while_re_opening_is_red_falls_back_and_a_next_drill_is_green_on_faiss_only(
    tmp_path: Path, fault: str
) -> None:
    (outcome,) = try_all(tmp_path, "scrape", [fault])
    assert outcome.ok, outcome


@pytest.mark.long
def test_what_waited_in_the_outbox_arrives_on_the_target_before_the_ladder(tmp_path: Path) -> None:
    with Stack.start(tmp_path / "home", delta=False) as stack:
        desk = Desk(stack.env_file, tmp_path / "artifacts", tmp_path / "reports")
        let_writes_wait(stack)
        desk.drill("--apply").expect(0)
        heal_target(stack)
        ran = reopened(stack, tmp_path, "--replay-outbox")
        ran.expect(0)
        assert "writes replayed" in ran.reason("reopen.shadow_read"), repr(ran)


def edits(artifacts: Path) -> int:
    """Return how many edits of the env file the newest drill has carried out."""
    logs = sorted((artifacts / "drills").glob("*/events.ndjson"), key=lambda path: path.stat().st_mtime)
    lines = [json.loads(line) for line in logs[-1].read_text().splitlines()] if logs else []
    return sum(line["kind"] == "done" and line.get("action") == "set_flags" for line in lines)


@pytest.mark.long
@pytest.mark.parametrize("rung", [1, 2, 3])
def test_a_drill_that_is_killed_on_a_rung_is_finished_by_the_next_one_in_a_proven_state(
    healed: Stack, tmp_path: Path, rung: int
) -> None:
    desk = Desk(healed.env_file, tmp_path / "artifacts", tmp_path / "reports")
    env = {**os.environ, **SHORT, **HOLD}
    with subprocess.Popen(desk.command("--apply", "--reopen"), cwd=ROOT, env=env, stdout=subprocess.DEVNULL) as drill:
        deadline = time.monotonic() + 200
        while edits(desk.artifacts) < 1 + rung:
            assert drill.poll() is None, "the drill ended before it reached the rung"
            assert time.monotonic() < deadline
            time.sleep(0.05)
        drill.kill()
    again = desk.drill("--apply")
    again.expect(0)
    assert flags(healed)["FF_RETRIEVAL_DUAL_WRITE"] == flags(healed)["FF_RETRIEVAL_SHADOW_READ"] == "OFF"
    assert again.entries[0]["result"] == "interrupted"

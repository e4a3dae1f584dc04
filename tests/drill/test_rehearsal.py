"""The rehearsal on the embedded stack: what would go wrong is red before anything was touched."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from matrix.bench import Bench
from matrix.faults import named, try_one
from matrix.modes import MODES
from sandbox.faults.expected import EXPECTED
from sandbox.stack import Stack
from tests.drill.harness import Desk

QUICK = {"crash_on_boot_rehearsed", "needs_target_at_boot"}
SHORT = MODES["rehearsal"].environ


@pytest.fixture(scope="module")
def migrating(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Return a stack on which only dry-runs are made."""
    with Stack.start(tmp_path_factory.mktemp("rehearsal") / "home", incident=False, traffic=False) as stack:
        yield stack


def desk(stack: Stack, tmp_path: Path) -> Desk:
    return Desk(stack.env_file, tmp_path / "artifacts", tmp_path / "reports")


def test_a_service_that_comes_up_on_the_new_env_file_is_green_and_leaves_nothing(
    migrating: Stack, tmp_path: Path
) -> None:
    before = {path: path.stat().st_mtime_ns for path in migrating.faiss_dir.rglob("*") if path.is_file()}
    ran = desk(migrating, tmp_path).drill(timeout_s=240, **SHORT, TMPDIR=str(tmp_path))
    ran.expect(0)
    assert ran.verdicts["preflight.rehearsal"] == "pass", repr(ran)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert not list(tmp_path.glob("rollback-rehearsal-*"))
    found = subprocess.run(["pgrep", "-f", f"instance 2 --faults {migrating.home}"], capture_output=True, check=False)
    assert not found.stdout


@pytest.mark.parametrize(
    "fault",
    [
        name if name in QUICK else pytest.param(name, marks=pytest.mark.long)
        for name in named("scrape", mode="rehearsal")
    ],
)
def test_what_would_go_wrong_is_red_in_the_dry_run_and_nothing_else_is(
    migrating: Stack, tmp_path: Path, fault: str
) -> None:
    try:
        outcome = try_one(Bench(migrating, tmp_path), "scrape", fault)
    finally:
        migrating.fault(EXPECTED[fault].fault or fault, on=False)
    assert outcome.ok, outcome


def test_a_plan_of_a_dry_run_is_carried_out_and_refused_once_the_env_file_has_moved(
    migrating: Stack, tmp_path: Path
) -> None:
    rehearsed = desk(migrating, tmp_path).drill(DRILL_REHEARSAL__COMMAND="[]")
    rehearsed.expect(0)
    (plan,) = (tmp_path / "artifacts" / "plans").glob("*.json")
    before = migrating.env_file.read_bytes()
    assert f"--plan {plan.stem}" in rehearsed.output
    migrating.env_file.write_bytes(before + b"# somebody was here\n")
    try:
        refused = desk(migrating, tmp_path).drill("--apply", "--plan", plan.stem)
        refused.expect(11)
        assert "env file is not the one" in refused.output
        assert migrating.env_file.read_bytes() == before + b"# somebody was here\n"
    finally:
        migrating.env_file.write_bytes(before)

"""A kill and an error at every system call of the edit of an env file, made by strace in a real process."""

from pathlib import Path

import pytest

from tests.reliability.edit_case import EditCase
from tests.reliability.sweep import sample, sweep
from tests.reliability.tracing import ERROR_FAULTS, ERRORS, KILL, Point, hit, needs_strace, points, record

pytestmark = needs_strace
WAYS = pytest.mark.parametrize("way", ["rename", "mounted"])
MUST_BE_SWEPT = {
    "rename": {"openat", "pwrite64", "write", "fsync", "rename", "fchmod", "close", "flock", "ftruncate"},
    "mounted": {"openat", "pwrite64", "write", "fsync", "rename", "unlink", "close", "flock", "ftruncate"},
}
"""How the names of calls begin that a recorded edit must have; some architectures say ``renameat`` for ``rename``."""


def all_points(tmp_path: Path, way: str, *faults: str) -> list[Point]:
    """Return every fault at every call of an undisturbed edit."""
    case = EditCase.make(tmp_path / "undisturbed", way)
    calls = record(tmp_path / "trace", *case.arguments())
    missing = [name for name in MUST_BE_SWEPT[way] if not any(call.name.startswith(name) for call in calls)]
    assert not missing, f"the recorded edit has no {missing}"
    return points(calls, *faults)


def kill(tmp_path: Path, way: str, number: int, point: Point) -> None:
    """Kill the edit at ``point``, look, run the next."""
    case = EditCase.make(tmp_path / f"{number}", way)
    belongings = case.belongings()
    hit(case.home / "trace", point, *case.arguments())
    case.check_after_kill()
    case.check_next_run(belongings)


def fail(tmp_path: Path, way: str, number: int, point: Point) -> None:
    """Let the call at ``point`` fail, look, run the next."""
    case = EditCase.make(tmp_path / f"{number}", way)
    belongings = case.belongings()
    case.check_after_error(hit(case.home / "trace", point, *case.arguments()))
    case.check_next_run(belongings)


@WAYS
def test_a_kill_at_a_sample_of_calls_leaves_old_or_new(tmp_path: Path, way: str) -> None:
    chosen = sample(all_points(tmp_path, way, KILL), 5)
    sweep(f"kill, {way}, sample", chosen, lambda number, point: kill(tmp_path, way, number, point))


@WAYS
def test_an_error_at_a_sample_of_calls_leaves_old_or_new(tmp_path: Path, way: str) -> None:
    chosen = sample(all_points(tmp_path, way, *ERROR_FAULTS), 4)
    sweep(f"error, {way}, sample", chosen, lambda number, point: fail(tmp_path, way, number, point))


@pytest.mark.long
@WAYS
def test_a_kill_at_every_call_leaves_old_or_new(tmp_path: Path, way: str) -> None:
    every = all_points(tmp_path, way, KILL)
    sweep(f"kill, {way}", every, lambda number, point: kill(tmp_path, way, number, point))


@pytest.mark.long
@pytest.mark.parametrize("error", ERRORS)
@WAYS
def test_an_error_at_every_call_leaves_old_or_new(tmp_path: Path, way: str, error: str) -> None:
    every = all_points(tmp_path, way, f"error={error}")
    sweep(f"{error}, {way}", every, lambda number, point: fail(tmp_path, way, number, point))

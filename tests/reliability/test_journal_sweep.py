"""A kill and an error at every system call of an append to the journal: no old line is touched, the next is valid."""

from pathlib import Path

import pytest

from tests.reliability.journal_case import STATES, JournalCase
from tests.reliability.sweep import sample, sweep
from tests.reliability.tracing import ERROR_FAULTS, KILL, Point, hit, needs_strace, points, record

pytestmark = needs_strace
EACH_STATE = pytest.mark.parametrize("state", STATES)
EACH_WAY = pytest.mark.parametrize("way", ["append", "rescue"])
MUST_BE_SWEPT = {"openat", "flock", "write", "fsync", "close"}


def all_points(tmp_path: Path, state: str, *faults: str, way: str = "append") -> list[Point]:
    """Return every fault at every call of an undisturbed append."""
    calls = record(tmp_path / "trace", *JournalCase.make(tmp_path / "undisturbed", state, way).arguments())
    assert {call.name for call in calls} >= MUST_BE_SWEPT
    return points(calls, *faults)


def kill(tmp_path: Path, state: str, number: int, point: Point) -> None:
    """Kill the append at ``point``, look, append another line."""
    case = JournalCase.make(tmp_path / f"{number}", state)
    before = case.content()
    hit(case.home / "trace", point, *case.arguments())
    case.check_kept(before)
    case.check_next_append()


def kill_adopting(tmp_path: Path, state: str, number: int, point: Point) -> None:
    """Kill the entering of a rescued line at ``point``, look, enter it again, append another."""
    case = JournalCase.make(tmp_path / f"{number}", state, "adopt")
    before = case.content()
    hit(case.home / "trace", point, *case.arguments("-"))
    case.check_kept(before)
    assert case.copies("first") + len(case.rescued()) >= 1, "the rescued entry is lost"
    case.check_next_adoption()
    case.check_next_append()


def fail(tmp_path: Path, state: str, way: str, number: int, point: Point) -> None:
    """Let the call at ``point`` fail, look, append another line."""
    case = JournalCase.make(tmp_path / f"{number}", state, way)
    before = case.content()
    ended = hit(case.home / "trace", point, *case.arguments())
    case.check_kept(before)
    case.check_after_error(ended, point.call.name)
    case.check_next_append()


def test_a_kill_at_a_sample_of_calls_leaves_the_old_lines(tmp_path: Path) -> None:
    chosen = sample(all_points(tmp_path, "torn", KILL), 3)
    sweep("kill, journal, sample", chosen, lambda number, point: kill(tmp_path, "torn", number, point))


def test_an_error_at_a_sample_of_calls_leaves_the_old_lines(tmp_path: Path) -> None:
    chosen = sample(all_points(tmp_path, "torn", *ERROR_FAULTS), 4)
    sweep("error, journal, sample", chosen, lambda number, point: fail(tmp_path, "torn", "append", number, point))


@pytest.mark.parametrize("count", [3, pytest.param(0, marks=pytest.mark.long)], ids=["sample", "all"])
def test_a_kill_while_a_rescued_line_is_entered_neither_loses_nor_doubles_it(tmp_path: Path, count: int) -> None:
    case = JournalCase.make(tmp_path / "undisturbed", "torn", "adopt")
    every = points(record(tmp_path / "trace", *case.arguments("-")), KILL)
    chosen = sample(every, count) if count else every
    sweep("kill, rescued line", chosen, lambda number, point: kill_adopting(tmp_path, "torn", number, point))


@pytest.mark.long
@EACH_STATE
def test_a_kill_at_every_call_leaves_the_old_lines(tmp_path: Path, state: str) -> None:
    every = all_points(tmp_path, state, KILL)
    sweep(f"kill, {state} journal", every, lambda number, point: kill(tmp_path, state, number, point))


@pytest.mark.long
@EACH_STATE
@EACH_WAY
def test_an_error_at_every_call_leaves_the_old_lines(tmp_path: Path, state: str, way: str) -> None:
    every = all_points(tmp_path, state, *ERROR_FAULTS, way=way)
    sweep(f"error, {state} journal, {way}", every, lambda number, point: fail(tmp_path, state, way, number, point))

"""The sweep is able to fail: ways of writing that lose data are caught by the same harness."""

from pathlib import Path

import pytest

from tests.reliability.edit_case import NEW, EditCase
from tests.reliability.sweep import sweep_problems
from tests.reliability.tracing import KILL, Point, hit, needs_strace, points, record, run

pytestmark = needs_strace
_WRITING = frozenset({"openat", "write", "pwrite64", "rename", "sendfile", "copy_file_range", "close", "unlink"})


@pytest.mark.parametrize("naive", ["truncate", "copy", "set_keys"])
def test_a_naive_edit_is_caught_by_the_kill_sweep(tmp_path: Path, naive: str) -> None:
    """A kill leaves a file that is neither old nor new at one point or more."""
    undisturbed = EditCase.make(tmp_path / "undisturbed", "rename").env_file
    calls = record(tmp_path / "trace", "child_naive", str(undisturbed), naive)
    assert undisturbed.read_bytes() == NEW

    def attempt(number: int, point: Point) -> None:
        case = EditCase.make(tmp_path / f"{number}", "rename")
        hit(case.home / "trace", point, "child_naive", str(case.env_file), naive)
        case.check_content()

    writing = [point for point in points(calls, KILL) if point.call.name in _WRITING]
    problems = [problem for problem in sweep_problems(writing, attempt) if problem]
    print(f"{naive}: {len(writing)} points tried, {len(problems)} of them lose the file")
    assert problems
    assert all("neither old nor new" in problem for problem in problems), problems


def test_a_point_that_does_not_fire_fails_the_test(tmp_path: Path) -> None:
    """A fault at a call that is never made is no fault survived."""
    case = EditCase.make(tmp_path / "undisturbed", "rename")
    calls = record(tmp_path / "trace", *case.arguments())
    last = points(calls, KILL)[-1]
    assert run(*case.arguments("second")).returncode == 0  # nothing to change any more: a shorter section
    with pytest.raises(AssertionError, match=r"did not fire|fired elsewhere|exit|lived on"):
        hit(tmp_path / "trace", last, *case.arguments("third"))

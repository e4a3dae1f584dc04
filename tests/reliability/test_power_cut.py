"""The power goes at each stage of an edit and of an append: what was said to be done is there after the restart."""

import os
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from drill.envfile.osops import OsLayer
from drill.errors import DrillError
from drill.journal.entry import journal_entry
from drill.journal.log import append
from drill.journal.verify import verify
from tests.evidence.records import green
from tests.reliability.child_edit import Mounted, edit
from tests.reliability.edit_case import NEW, OLD, EditCase
from tests.reliability.journal_case import JournalCase
from tests.reliability.power import WITH_LOG, WITHOUT_LOG, Disk, Fuse, disk, power_problem

PROBLEMS = {kind: power_problem(kind) for kind in ("ext4", "xfs")}
KINDS = pytest.mark.parametrize(
    "kind",
    [
        pytest.param(kind, marks=pytest.mark.skipif(bool(problem), reason=problem or "power can be cut"))
        for kind, problem in PROBLEMS.items()
    ],
)
LAYERS = {"rename": OsLayer, "mounted": Mounted}
Attempt = Callable[[Disk, int, int], Fuse]


def edit_until(place: Disk, at: int, cut: int, way: str = "rename") -> Fuse:
    """Edit an env file until the power goes before call ``at`` (0: after the last), restart, look, drill again."""
    case = EditCase.make(place.mount / f"{way}-{at}-{cut}", way)
    place.settle()
    belongings = case.belongings()
    done = False
    with Fuse(place, at, cut).installed() as fuse, suppress(DrillError, OSError):
        edit(case.env_file, case.artifacts, "first", LAYERS[way]())
        done = not fuse.blown
    if fuse.blown or not at:
        if not at:
            place.cut(cut)
        place.power_on()
        case.check_after_kill()
        assert not done or case.env_file.read_bytes() == NEW, "an edit that was done is gone"
        case.check_next_run(belongings)
    return fuse


def append_until(place: Disk, at: int, cut: int, state: str = "torn") -> Fuse:
    """Append to a journal until the power goes before call ``at`` (0: after the last), restart, look, append again."""
    case = JournalCase.make(place.mount / f"{state}-{at}-{cut}", state)
    place.settle()
    acknowledged = append(case.path, journal_entry(green("acknowledged"))).encode()
    before, done = case.content(), False
    with Fuse(place, at, cut).installed() as fuse, suppress(OSError):
        append(case.path, journal_entry(green("first")))
        done = not fuse.blown
    if fuse.blown or not at:
        if not at:
            place.cut(cut)
        place.power_on()
        after = case.content()
        assert after.startswith(before), "a line that was there is lost"
        assert acknowledged in after.splitlines()
        assert not done or case.copies("first") == 1, "a line that was acknowledged is lost"
        append(case.path, journal_entry(green("next")))
        check_lines(case)
    return fuse


def check_lines(case: JournalCase) -> None:
    result = verify(case.path, schema=True)
    assert result.ok, result.summary()
    assert (case.copies("acknowledged"), case.copies("next")) == (1, 1)


def sweep(place: Disk, attempt: Attempt, every: int) -> str:
    """Cut at every call, or at ``every`` many of them, and after the last; return how many cuts were survived."""
    calls = attempt(place, 0, WITHOUT_LOG).calls
    assert calls.count("fsync") > 0
    chosen = {1 + place_ * len(calls) // every for place_ in range(every)} if every else set(range(1, len(calls) + 1))
    problems, tried = [], 1
    for at in sorted(chosen):
        for cut in (WITHOUT_LOG, WITH_LOG):
            tried += 1
            try:
                assert attempt(place, at, cut).blown, "did not fire"
            except AssertionError as error:
                problems.append(f"before call {at} ({calls[at - 1]}), log {cut}: {error}")
    assert not problems, f"{len(problems)} of {tried}\n" + "\n".join(problems[:20])
    return f"{tried} cuts tried, {tried} survived"


@KINDS
@pytest.mark.parametrize("way", LAYERS)
@pytest.mark.parametrize("every", [3, pytest.param(0, marks=pytest.mark.long)], ids=["sample", "all"])
def test_a_power_cut_at_any_call_of_an_edit_leaves_old_or_new(tmp_path: Path, kind: str, way: str, every: int) -> None:
    with disk(tmp_path, kind) as place:
        print(f"power cut, edit, {kind}, {way}:", sweep(place, partial(edit_until, way=way), every))


@KINDS
@pytest.mark.parametrize("state", ["whole", "torn", "new"])
@pytest.mark.parametrize("every", [2, pytest.param(0, marks=pytest.mark.long)], ids=["sample", "all"])
def test_a_power_cut_at_any_call_of_an_append_loses_no_acknowledged_line(
    tmp_path: Path, kind: str, state: str, every: int
) -> None:
    with disk(tmp_path, kind) as place:
        print(f"power cut, append, {kind}, {state}:", sweep(place, partial(append_until, state=state), every))


def write_carelessly(path: Path) -> None:
    """Write as a script does: no fsync."""
    path.write_bytes(NEW)


def write_and_rename(path: Path) -> None:
    """Atomic while the power lasts."""
    path.with_name("temp").write_bytes(NEW)
    path.with_name("temp").rename(path)


@KINDS
@pytest.mark.parametrize("careless", [write_carelessly, write_and_rename])
def test_an_edit_without_fsync_is_caught_losing_what_it_said_was_done(
    tmp_path: Path, kind: str, careless: Callable[[Path], None]
) -> None:
    """The cut is able to lose: a careless edit that has returned is not there after the restart."""
    with disk(tmp_path, kind) as place:
        case = EditCase.make(place.mount / "case", "rename")
        place.settle()
        careless(case.env_file)
        assert case.env_file.read_bytes() == NEW
        place.cut(WITHOUT_LOG)
        place.power_on()
        assert case.env_file.read_bytes() == OLD


@KINDS
def test_a_truncating_edit_is_caught_leaving_neither_old_nor_new(tmp_path: Path, kind: str) -> None:
    """``open("w")`` in two halves: the emptied file is on the disk, its new content is not."""
    with disk(tmp_path, kind) as place:
        case = EditCase.make(place.mount / "case", "rename")
        place.settle()
        with case.env_file.open("wb") as file:
            os.fsync(file.fileno())
            file.write(NEW)
        place.cut(WITHOUT_LOG)
        place.power_on()
        with pytest.raises(AssertionError, match="neither old nor new"):
            case.check_content()


@KINDS
def test_a_journal_line_without_fsync_is_caught_getting_lost(tmp_path: Path, kind: str) -> None:
    with disk(tmp_path, kind) as place:
        path = place.mount / "journal"
        path.write_bytes(b"")
        place.settle()
        with path.open("ab") as file:
            file.write(b"a line\n")
        place.cut(WITHOUT_LOG)
        place.power_on()
        assert path.read_bytes() != b"a line\n"

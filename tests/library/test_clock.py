"""The clock is set forward or back by an hour while a drill runs: nothing that is measured or decided changes."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import formatdate
from pathlib import Path

import pytest

from drill.checks.preflight import window
from drill.clock import DrillClock
from drill.comeback import new_processes
from drill.errors import Refused
from drill.limits import told
from drill.observation import Reading
from drill.plans import hold, make_plan
from drill.verdict import Verdict
from tests.library.world import A, make_drill, reading, snapshot

HOUR = 3600.0
JUMPS = pytest.mark.parametrize("jump_s", [0.0, HOUR, -HOUR])
REAL = time.time


@pytest.fixture
def jump(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Return what sets the machine's clock: everything that reads it now is off by so many seconds."""

    def jump(seconds: float) -> None:
        monkeypatch.setattr(time, "time", lambda: REAL() + seconds)

    return jump


@JUMPS
def test_the_time_of_day_of_a_drill_goes_on_as_it_was(jump: Callable[[float], None], jump_s: float) -> None:
    """The control: a clock that is made after the jump has it."""
    clock, before = DrillClock(), REAL()
    jump(jump_s)
    assert abs(clock.seconds() - before) < HOUR / 2
    assert abs(clock.at(time.monotonic()) - before) < HOUR / 2
    assert abs(DrillClock().seconds() - before - jump_s) < HOUR / 2


@JUMPS
def test_a_window_that_was_open_when_the_drill_began_stays_open_for_it(
    tmp_path: Path, jump: Callable[[float], None], jump_s: float
) -> None:
    """It closes by the time that goes by, not by the clock."""
    now = datetime.now(UTC)
    opens, closes = ((now + timedelta(minutes=minutes)).isoformat() for minutes in (-30, 30))
    drill = make_drill(tmp_path, toml=f'[window]\nopens = "{opens}"\ncloses = "{closes}"')
    jump(jump_s)
    assert window(drill).verdict is Verdict.PASS
    assert "is open" in window(drill).reason


@JUMPS
def test_a_plan_is_as_old_as_it_was(tmp_path: Path, jump: Callable[[float], None], jump_s: float) -> None:
    """One that holds goes on to hold; one that is too old is so by the time that went by."""
    drill = make_drill(tmp_path)
    plan = make_plan("p", ".env", b"A=1", {}, [], None, apply=False, env_id="e")
    jump(jump_s)
    hold(plan, "e", b"A=1", {}, [], 600.0, drill.clock.now())
    with pytest.raises(Refused, match="old"):
        hold(plan, "e", b"A=1", {}, [], 600.0, drill.clock.now() + timedelta(seconds=601))


@JUMPS
@pytest.mark.parametrize("own_host", [True, False])
@pytest.mark.parametrize("set_before_the_start", [True, False])
def test_a_process_that_started_after_the_write_is_a_new_one_all_the_same(
    tmp_path: Path, jump: Callable[[float], None], jump_s: float, own_host: bool, set_before_the_start: bool
) -> None:
    """On this host, whose clock was set before or after the process started, and on another one."""
    drill = make_drill(tmp_path)
    drill.written_at = time.monotonic()
    drill.clocks.note(A, formatdate(REAL(), usegmt=True))
    jump(jump_s)
    seen_there = jump_s if own_host else 0.0
    drill.clocks.note(A, formatdate(REAL() + seen_there, usegmt=True))
    started = REAL() + 1.5 + (seen_there if set_before_the_start else 0.0)
    none = Reading(0, 0, {}, {A: "connection refused"})
    assert new_processes(drill, none, reading(1.0, snapshot(A, started=started))) == [A]
    old = REAL() - 3 * HOUR
    assert new_processes(drill, none, reading(1.0, snapshot(A, started=old))) == []


@JUMPS
def test_how_long_a_limiter_is_waited_for_is_told_by_its_own_clock(jump_s: float) -> None:
    """A date in ``Retry-After`` is compared with the ``Date`` of the same answer."""
    made = 1_800_000_000.0
    headers = {"Date": formatdate(made, usegmt=True), "Retry-After": formatdate(made + 7, usegmt=True)}
    assert told(429, headers, made + jump_s).retry_after_s == 7.0
    assert told(429, {"Retry-After": headers["Retry-After"]}, made).retry_after_s == 7.0

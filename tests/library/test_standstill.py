"""Whether this process stood still, on clocks that a test sets."""

import threading
import time
from dataclasses import dataclass

import pytest

from drill.standstill import BEAT_S, TOLERATED_S, Heartbeat, boot_clock


@dataclass
class Clock:
    now: float = 100.0

    def __call__(self) -> float:
        return self.now


def pair() -> tuple[Clock, Clock, Heartbeat]:
    awake, boot = Clock(), Clock(5.0)
    return awake, boot, Heartbeat(awake, boot)


def test_a_late_beat_is_a_standstill_and_one_in_time_is_none() -> None:
    awake, boot, heart = pair()
    heart.beat()
    for seconds in (BEAT_S, TOLERATED_S, 90.0, BEAT_S):
        awake.now += seconds
        boot.now += seconds
        heart.beat()
    assert heart.lost_s(0.0) == 90.0
    assert heart.lost_s(100.0 + BEAT_S + TOLERATED_S, 150.0) == 90.0, "it reaches into this time"
    assert heart.lost_s(awake.now) == heart.lost_s(0.0, 101.0) == 0.0
    assert heart.lost_s(0.0, 100.0 + BEAT_S + TOLERATED_S) == heart.lost_s(awake.now - BEAT_S) == 0.0, "nor touches it"


def test_whoever_asks_first_sees_a_standstill_that_no_beat_has_met_yet() -> None:
    awake, boot, heart = pair()
    heart.beat()
    awake.now += 90
    boot.now += 90
    assert heart.lost_s(0.0) == 90.0


def test_a_machine_that_slept_is_seen_although_the_monotonic_clock_slept_too() -> None:
    awake, boot, heart = pair()
    heart.beat()
    awake.now += 0.5
    boot.now += 3600.5
    heart.beat()
    assert heart.lost_s(0.0) == 3600.5


def test_time_in_which_nobody_was_to_beat_is_no_standstill() -> None:
    """Before the first client of the service there is no heart that beats, and after the last none either."""
    awake, boot, heart = pair()
    awake.now += 50
    assert heart.lost_s(0.0) == 0.0
    heart.beat()
    heart.close()
    awake.now, boot.now = awake.now + 50, boot.now + 50
    assert heart.lost_s(0.0) == 0.0


def test_a_heart_beats_by_itself_until_it_is_closed() -> None:
    before = set(threading.enumerate())
    heart = Heartbeat()
    heart.start()
    heart.start()
    (beating,) = set(threading.enumerate()) - before
    assert beating.daemon, "no drill waits for it to end"
    heart.close()
    beating.join(10.0)
    assert not beating.is_alive()


def test_the_clock_of_a_machine_s_sleep_is_linux_s_and_the_monotonic_one_where_there_is_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(time, "CLOCK_BOOTTIME", 7, raising=False)
    monkeypatch.setattr(time, "clock_gettime", {7: 3600.5}.get)
    assert boot_clock()() == 3600.5
    monkeypatch.delattr(time, "CLOCK_BOOTTIME")
    assert boot_clock() is time.monotonic

"""Signals: the first one interrupts, none does so twice, and none cuts a write in two."""

import os
import signal
import sys
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from drill import signals as module
from drill.comeback import Comeback
from drill.signals import ENDING, EndingSignals, Interrupted, held_back
from tests.library.world import make_drill, with_primary

EACH = pytest.mark.parametrize("number", ENDING)


@pytest.fixture(autouse=True)
def own_handlers() -> Iterator[None]:
    """Begin with default handlers, and give the test process its own back."""
    hook = sys.unraisablehook
    earlier = {number: signal.signal(number, signal.SIG_DFL) for number in (*ENDING, signal.SIGALRM)}
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    sys.unraisablehook = hook
    for number, handler in earlier.items():
        signal.signal(number, handler)


@pytest.fixture
def signals(monkeypatch: pytest.MonkeyPatch) -> EndingSignals:
    """Listen; no signal comes again by itself."""
    monkeypatch.setattr(module, "AGAIN_S", 3600.0)
    signals = EndingSignals()
    signals.listen()
    return signals


@pytest.fixture
def stubborn(signals: EndingSignals, monkeypatch: pytest.MonkeyPatch) -> Iterator[EndingSignals]:
    """Listen as a drill does: until it ends, a signal comes again."""
    monkeypatch.setattr(module, "AGAIN_S", 0.001)
    yield signals
    signals.deaf = True


class Thing:
    """Is forgotten."""


def wait_for_ever() -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        time.sleep(0.001)


@EACH
def test_the_first_signal_interrupts_and_is_named(signals: EndingSignals, number: signal.Signals) -> None:
    with pytest.raises(Interrupted, match=number.name):
        signal.raise_signal(number)
    assert signals.first == number.name


@EACH
def test_a_second_signal_while_the_first_is_on_its_way_changes_nothing(
    signals: EndingSignals, number: signal.Signals
) -> None:
    with pytest.raises(Interrupted, match="SIGTERM") as caught:
        signal.raise_signal(signal.SIGTERM)
    signal.raise_signal(number)
    assert caught.value.args == ("SIGTERM",)
    assert signals.first == "SIGTERM"


def test_an_interruption_that_somebody_swallowed_does_not_make_the_drill_deaf(signals: EndingSignals) -> None:
    with suppress(BaseException):  # as a careless library does
        signal.raise_signal(signal.SIGTERM)
    with pytest.raises(Interrupted):
        signal.raise_signal(signal.SIGTERM)


def test_an_interruption_that_somebody_swallowed_comes_again(stubborn: EndingSignals) -> None:
    with suppress(BaseException):
        signal.raise_signal(signal.SIGTERM)
    with pytest.raises(Interrupted, match="SIGTERM"):
        wait_for_ever()
    stubborn.deaf = True


def test_an_interruption_that_python_itself_swallows_comes_again(stubborn: EndingSignals) -> None:
    """As in the callback of a weak reference: pytest keeps what was raised there, so it is not gone either."""
    kept: list[BaseException | None] = []

    def keep(unraisable: "sys.UnraisableHookArgs") -> None:
        kept.append(unraisable.exc_value)
        stubborn._lost(unraisable)

    sys.unraisablehook = keep
    gone = weakref.ref(Thing(), lambda _: signal.raise_signal(signal.SIGTERM))
    with pytest.raises(Interrupted, match="SIGTERM"):
        wait_for_ever()
    stubborn.deaf = True
    assert gone() is None
    assert [type(one) for one in kept] == [Interrupted]


def test_code_that_holds_locks_is_not_cut_in_two(stubborn: EndingSignals) -> None:
    """The signal comes again when it is left."""
    condition, passed = threading.Condition(), []

    def asked() -> bool:
        signal.raise_signal(signal.SIGTERM)
        passed.append(True)
        return True

    with pytest.raises(Interrupted, match="SIGTERM"):  # noqa: PT012 - where it is raised is what is shown
        with condition:
            condition.wait_for(asked)
        wait_for_ever()
    stubborn.deaf = True
    assert passed == [True]


def test_a_wait_in_code_that_holds_locks_ends_all_the_same(
    stubborn: EndingSignals, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody is there for long but who waits."""
    monkeypatch.setattr(module, "PATIENCE_S", 0.05)
    condition = threading.Condition()

    def asked() -> bool:
        signal.raise_signal(signal.SIGTERM)
        return False

    with pytest.raises(Interrupted), condition:
        condition.wait_for(asked, 60)
    stubborn.deaf = True
    assert condition.acquire(blocking=False)


def test_a_loop_that_waits_in_code_that_holds_locks_looks_by_itself(signals: EndingSignals) -> None:
    condition = threading.Condition()

    def asked() -> bool:
        signal.raise_signal(signal.SIGTERM)
        return True

    with condition:
        condition.wait_for(asked)
    with pytest.raises(Interrupted, match="SIGTERM"):
        signals.look()


def test_no_signal_leaves_a_drill_that_waits_for_itself(tmp_path: Path, stubborn: EndingSignals) -> None:
    """At any moment of asking a service that is not there: the drill ends, and can still ask and stop probing."""
    drill = with_primary(make_drill(tmp_path, toml='[service]\nbase_url = "http://127.0.0.1:9"\n'))
    drill.__dict__["queries"] = [("default", "status")]
    drill.tick = lambda _text: stubborn.look()
    for number in range(40):
        stubborn.first, stubborn.deaf = "", False
        sender = threading.Timer(number * 0.0005, os.kill, (os.getpid(), signal.SIGTERM))
        with pytest.raises(Interrupted):  # noqa: PT012 - wherever it is raised
            sender.start()
            while True:
                Comeback(drill, None).look()
                drill.prober.wait(bool, time.monotonic(), 0.002)
        stubborn.deaf = True
        sender.join()
    for work in (drill.service.health, drill.prober.close):
        after = threading.Thread(target=work, daemon=True)
        after.start()
        after.join(60)
        assert not after.is_alive()


@EACH
def test_a_drill_that_ends_already_is_not_cut_short(signals: EndingSignals, number: signal.Signals) -> None:
    signals.deaf = True
    signal.raise_signal(number)
    assert signals.first == number.name


def test_signals_held_back_come_after_the_body_once_and_the_outer_one_counts(signals: EndingSignals) -> None:
    steps = []
    with pytest.raises(Interrupted, match="SIGHUP"):  # noqa: PT012 - the order is what is shown
        with held_back():
            with held_back():
                signal.raise_signal(signal.SIGHUP)
                signal.raise_signal(signal.SIGTERM)
                steps.append("inner")
            steps.append("outer")
        steps.append("never")
    assert steps == ["inner", "outer"]
    with held_back():
        steps.append("quiet")
    assert steps[-1] == "quiet"
    assert signals.first == "SIGHUP"


def test_what_the_drill_was_started_to_ignore_stays_ignored() -> None:
    """As under ``nohup``."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signals = EndingSignals()
    signals.listen()
    signal.raise_signal(signal.SIGHUP)
    assert signals.first == ""
    signals.let_go(ended=True)
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


def test_after_a_drill_its_exit_code_stands_and_handlers_of_others_are_put_back() -> None:
    def of_others(_number: int, _frame: object) -> None: ...

    signal.signal(signal.SIGHUP, of_others)
    signals = EndingSignals()
    signals.listen()
    signals.let_go(ended=True)
    assert signal.getsignal(signal.SIGHUP) is of_others
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN


def test_without_a_drill_every_handler_is_put_back(signals: EndingSignals) -> None:
    signals.let_go(ended=False)
    assert {signal.getsignal(number) for number in ENDING} == {signal.SIG_DFL}

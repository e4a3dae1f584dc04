"""Signals: the first one interrupts, none does so twice, and none cuts a write in two."""

import signal
from collections.abc import Iterator
from contextlib import suppress

import pytest

from drill.signals import ENDING, held_back
from fixtures.signals import EndingSignals, Interrupted

EACH = pytest.mark.parametrize("number", ENDING)


@pytest.fixture(autouse=True)
def own_handlers() -> Iterator[None]:
    """Begin with default handlers, and give the test process its own back."""
    earlier = {number: signal.signal(number, signal.SIG_DFL) for number in ENDING}
    yield
    for number, handler in earlier.items():
        signal.signal(number, handler)


@pytest.fixture
def signals() -> EndingSignals:
    signals = EndingSignals()
    signals.listen()
    return signals


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

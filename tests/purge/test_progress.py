"""What is shown while a long purge runs."""

import io

import pytest

from drill.purge.progress import LOG_EVERY_S, Progress, Ticker, duration


class Clock:
    """Time that moves when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_rate_done_left_and_estimate_are_said() -> None:
    """1,200 of 4,000 after two seconds: 600 a second, 2,800 left, about 5 s."""
    clock, said = Clock(), list[str]()
    progress = Progress(said.append, "purge", 4000, clock=clock)
    clock.now += 2
    progress.add(1200)
    assert said == ["purge: 1,200 of 4,000 documents (30 %), 600/s, 2,800 left, about 5 s"]


def test_without_a_total_there_is_no_estimate() -> None:
    """The number of documents in FAISS is known when they have been read."""
    clock, said = Clock(), list[str]()
    progress = Progress(said.append, "reading FAISS", None, clock=clock)
    clock.now += 2
    progress.add(50)
    assert said == ["reading FAISS: 50 documents, 25/s"]


@pytest.mark.parametrize("total", [0, 10])
def test_more_than_the_total_is_not_more_than_all(total: int) -> None:
    """A target that grew while it was read is neither negative nor over 100 %."""
    progress = Progress(lambda _: None, "reading the target", total)
    progress.add(20)
    assert "(100 %)" in progress.line()
    assert " 0 left" in progress.line()


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.2, "1 s"), (59.1, "1 min 0 s"), (200, "3 min 20 s"), (7500, "2 h 5 min")]
)
def test_durations_are_said_as_people_say_them(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_a_log_gets_a_line_every_few_seconds() -> None:
    """Whole lines without control characters, and not one for each batch."""
    clock, stream = Clock(), io.StringIO()
    ticker = Ticker(stream, clock)
    for number in range(22):
        clock.now += LOG_EVERY_S / 10
        ticker(f"line {number}")
    ticker.close()
    assert stream.getvalue() == "line 9\nline 19\n"


def test_a_terminal_has_one_line_that_is_rewritten_and_cleared() -> None:
    """Cut to the width, so that it stays one line."""
    clock, stream = Clock(), Terminal()
    ticker = Ticker(stream, clock, width=10)
    for text in ("first", "second " * 9):
        clock.now += 1
        ticker(text)
    ticker.close()
    assert stream.getvalue() == "\r\x1b[2Kfirst\r\x1b[2Ksecond sec\r\x1b[2K"

"""What is said while something is waited for: in place on a terminal, in lines that stay elsewhere."""

import io
import threading
from types import SimpleNamespace
from typing import cast

import pytest
from _pytest._io import TerminalWriter

from drill.record import Evidence
from drill.verdict import Verdict
from fixtures.live import Live
from tests.evidence.records import green


def live(file: io.StringIO, *, tty: bool) -> Live:
    writer = TerminalWriter(file)
    writer.hasmarkup = tty
    plugins = SimpleNamespace(getplugin=lambda _name: None)
    return Live(cast("pytest.Config", SimpleNamespace(get_terminal_writer=lambda: writer, pluginmanager=plugins)))


@pytest.mark.parametrize("tty", [False, True])
def test_a_wait_that_begins_is_said_at_once_in_a_line_that_stays(tty: bool) -> None:
    """A tick is held back for a while; the beginning of a long wait is not, and what is below it leaves it alone."""
    file = io.StringIO()
    shown = live(file, tty=tty)
    shown.begin("smoke.search")
    shown.tick("too early to be shown")
    shown.note("the service limits the drill: waiting 54 s before the next request\x1b[2J")
    text = file.getvalue()
    assert "too early" not in text
    assert "smoke.search" in text
    assert "waiting 54 s before the next request" in text
    assert text.endswith("\n")
    assert "\x1b[2J" not in text, "control characters never reach the terminal"


def test_lines_from_several_threads_stay_whole() -> None:
    file = io.StringIO()
    shown = live(file, tty=False)

    def speak() -> None:
        for _ in range(20):
            shown.note("word " * 20)

    threads = [threading.Thread(target=speak) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(line.count("word") == 20 for line in file.getvalue().splitlines())


@pytest.mark.parametrize("after", list(Verdict))
def test_a_row_that_is_judged_otherwise_after_its_line_gets_another_line(after: Verdict) -> None:
    """The end of a drill names it as bad, or not proven: the terminal says why; what has stayed is not said twice."""
    file, record = io.StringIO(), green()
    row = record.entries["disable_dual_write"]
    shown = live(file, tty=False)
    shown.end(row)
    row.evidence = Evidence(after, "two documents came late")
    shown.summary(record, 0, [])
    lines = [line for line in file.getvalue().splitlines() if "disable_dual_write  " in line]
    assert len(lines) == 1 + (after is not Verdict.PASS)
    assert ("two documents came late" in file.getvalue()) == (after is not Verdict.PASS)

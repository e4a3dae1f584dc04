"""Foreign text: shown on one line, bounded, and nothing in it is obeyed."""

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drill.errors import CannotMeasure, Refused
from drill.printable import printable
from drill.record import MAX_DETAIL, MAX_FACT, Evidence
from drill.verdict import Verdict

ANSI, OSC8, OSC52 = "\x1b[2J\x1b[31mred", "\x1b]8;;http://evil\x07click\x1b]8;;\x07", "\x1b]52;c;ZXZpbA==\x07"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain: \u00fc \u79d8\u5bc6 <b>", "plain: \u00fc \u79d8\u5bc6 <b>"),
        (ANSI, r"\x1b[2J\x1b[31mred"),
        (OSC8, r"\x1b]8;;http://evil\x07click\x1b]8;;\x07"),
        (OSC52, r"\x1b]52;c;ZXZpbA==\x07"),
        ("a\r\nb\tc\x00\x7f\x9b", r"a\x0d\x0ab\x09c\x00\x7f\x9b"),
        ("\u202egnp.exe \u2066\u200b\ufeff", r"\u202egnp.exe \u2066\u200b\ufeff"),
        ("\u2028\u2029\u00a0", r"\u2028\u2029\xa0"),
        ("\ud800", r"\ud800"),
        ("\U000e0041", r"\U000e0041"),
        (7, "7"),
    ],
)
def test_what_is_obeyed_or_does_not_show_is_shown_as_its_escape(text: object, shown: str) -> None:
    assert printable(text) == shown


@given(st.text(st.characters(), max_size=60), st.integers(40, 80))
def test_any_text_becomes_one_bounded_line_and_printing_it_again_changes_nothing(text: str, limit: int) -> None:
    once = printable(text, limit)
    assert once.isprintable()
    assert len(once) <= limit
    assert once.splitlines() in ([], [once])
    assert printable(once, limit) == once


def test_a_long_text_is_cut_and_says_how_long_it_was() -> None:
    shown = printable("\x1b" * 1_000_000)
    assert len(shown) == 4000
    assert shown.endswith("... (cut, 1000000 characters)")


def test_every_character_that_python_calls_unprintable_is_escaped() -> None:
    everything = "".join(map(chr, range(sys.maxunicode + 1)))
    assert printable(everything, limit=20_000_000).isprintable()


def test_errors_and_evidence_hold_printable_text_only() -> None:
    hostile = f"{ANSI}\n<script>"
    assert str(Refused(hostile)) == str(CannotMeasure(hostile)) == r"\x1b[2J\x1b[31mred\x0a<script>"
    evidence = Evidence(Verdict.FAIL, hostile, hostile, "<=", hostile, detail={hostile: hostile})
    for text in (evidence.reason, evidence.value, evidence.threshold, evidence.line(), *evidence.detail.items()):
        assert "\x1b" not in str(text)
    assert evidence.judged(Verdict.PASS, OSC52).reason.isprintable()


def test_a_service_cannot_write_the_report_at_will() -> None:
    """A thousand labels of a megabyte each leave a few kilobytes."""
    evidence = Evidence(
        Verdict.FAIL, "r" * 1_000_000, detail={f"{n}" + "n" * 1000: "v" * 1000_000 for n in range(1000)}
    )
    assert len(evidence.reason) == 4000
    assert len(evidence.detail) == MAX_DETAIL
    assert evidence.detail["facts that are not shown"] == 1000 - MAX_DETAIL + 1
    assert max(len(str(value)) for value in evidence.detail.values()) == MAX_FACT
    assert evidence.judged(Verdict.PASS, "again").detail == evidence.detail

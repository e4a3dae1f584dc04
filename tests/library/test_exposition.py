"""A metrics page at the edges of both formats: what Prometheus reads is read, and what it refuses is refused."""

import math

import pytest

from drill.metrics.exposition import Repeated, Unreadable, is_openmetrics, read
from tests.library.world import key

GREATEST = 2**63 - 1


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (f"a 1 {GREATEST}", ""),
        (f"a 1 {'0' * 30}{GREATEST}", ""),
        (f"a 1 {GREATEST + 1}", "a time that is too great"),
        (f"a 1 1{'0' * 19}", "a time that is too great"),
        (f"a 1 {'9' * 5000}", "a time that is too great"),
        ("a 1 0", ""),
        ("a 1e999", "a value that is too great"),
        ("a +Inf", ""),
        ("a 1_0", "a value that is no number"),
        ('a{b="1",b="2"} 1', "a label that stands twice"),
        ('a{__name__="b"} 1', "a label that stands twice"),
        ("# TYPE a info", "the type of a is none that Prometheus knows"),
        (f"# HELP a {chr(0xDC80)}", "the help of a is not UTF-8"),
        ("# HELP a \udcff", "the help of a is not UTF-8"),
        ("# HELP a \u00e9", ""),
        ("x_total NaN", "x_total is counted, and is not a number"),
        ("# TYPE x_total gauge\nx_total NaN", ""),
        ("x NaN\nx NaN", ""),
    ],
)
def test_classic_lines(line: str, said: str) -> None:
    judged(f"fine 1\n{line}\n", said, openmetrics=False)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('x_total 1 # {id="7"} 0.5 12.5', ""),
        ('x_bucket{le="1"} 1 # {} 0.5', ""),
        ("x 1 # {} 0.5", "an exemplar of what is neither a counter nor a bucket"),
        ("x_total 1 # {} much", "a value that is no number"),
        ("x_total 1 # {} 1 NaN", "a time that is no number"),
        ("x 1 NaN", "a time that is no number"),
        ("x 1 12.5", ""),
        ("# UNIT x_seconds seconds", ""),
        ("# UNIT x seconds", "the unit of x is not the end of its name"),
        ("# TYPE x untyped", "the type of x is none that Prometheus knows"),
        ("# TYPE x info", ""),
    ],
)
def test_openmetrics_lines(line: str, said: str) -> None:
    judged(f"fine 1\n{line}\n# EOF\n", said, openmetrics=True)


def judged(text: str, said: str, *, openmetrics: bool) -> None:
    body = text.encode("utf-8", "surrogateescape")
    if not said:
        assert read(body, openmetrics=openmetrics).samples[key("fine")] == 1
        return
    with pytest.raises(Unreadable, match=said):
        read(body, openmetrics=openmetrics)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a 1\n# EOF", ""),
        ("a 1# EOF\n", "does not end with # EOF"),
        ("a 1\n# EOF\n\n", "does not end with # EOF"),
        ("a 1\n", "does not end with # EOF"),
        ("# EOF", "no samples at all"),
    ],
)
def test_openmetrics_ends_with_its_end_and_nothing_behind_it(text: str, said: str) -> None:
    if said:
        with pytest.raises(Unreadable, match=said):
            read(text.encode(), openmetrics=True)
    else:
        assert read(text.encode(), openmetrics=True).samples == {key("a"): 1.0}


def test_empty_lines_are_counted() -> None:
    with pytest.raises(Unreadable, match="line 3: not a line"):
        read(b"\n\n?\n", openmetrics=False)


def test_a_nul_byte_is_named_by_its_line() -> None:
    with pytest.raises(Unreadable, match="line 2: a NUL byte"):
        read(b"a 1\nb\0 2\nc 3\n", openmetrics=False)


def test_the_last_type_of_a_family_counts_and_a_help_is_none() -> None:
    page = read(b"# TYPE a counter\n# HELP a x\na 1\n# HELP b x\n# TYPE c counter\n# TYPE c gauge\n", openmetrics=False)
    assert page.families == {"a": "counter", "b": "unknown", "c": "gauge"}
    assert page.counters == {"a"}


def test_what_is_no_number_is_left_out_and_what_is_infinite_stays() -> None:
    assert read(b"a NaN\nb Inf\n", openmetrics=False).samples == {key("b"): math.inf}


def test_a_number_and_none_are_two_values_of_one_series() -> None:
    with pytest.raises(Repeated, match="line 2"):
        read(b"a NaN\na 1\n", openmetrics=False)


def test_escapes_and_empty_labels_are_read_as_they_are_meant() -> None:
    (series,) = read(rb'a{b="x\\y\"z\n",c=""} 1', openmetrics=False).samples
    assert series == ("a", frozenset({("b", 'x\\y"z\n')}))


@pytest.mark.parametrize(
    ("kind", "is_it"),
    [
        ("application/openmetrics-text", True),
        ("Application/OpenMetrics-Text ; version=1.0.0", True),
        ("text/plain; x=application/openmetrics-text", False),
        ("", False),
    ],
)
def test_only_its_content_type_says_that_a_page_is_openmetrics(kind: str, is_it: bool) -> None:
    assert is_openmetrics(kind) is is_it

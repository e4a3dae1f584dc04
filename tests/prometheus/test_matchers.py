"""Matcher lists: what they mean, and how they are written into a query."""

from pathlib import Path

import pytest

from drill.errors import UsageError
from drill.metrics.matchers import parse_matchers
from tests.library.world import make_drill

PAGE = {"severity": "page", "team": "search"}


def rendered(text: str) -> str:
    return ",".join(str(matcher) for matcher in parse_matchers(text))


@pytest.mark.parametrize(
    ("text", "matching"),
    [
        ('severity="page"', True),
        ('severity="pag"', False),
        ('severity!="page"', False),
        ('severity=~"critical|page"', True),
        ('severity=~"pag"', False),
        ('severity!~"pag"', True),
        ('severity!~"p.*"', False),
        ('severity="page",team="search"', True),
        ('severity="page",team="ads"', False),
        ('sevrity="page"', False),
        ('sevrity=""', True),
        ('sevrity!="page"', True),
    ],
)
def test_matchers_mean_what_they_mean_in_promql(text: str, matching: bool) -> None:
    assert all(matcher.matches(PAGE) for matcher in parse_matchers(text)) is matching


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ('severity="page"', 'severity="page"'),
        (" severity =~ 'a|b' , team!='x', ", 'severity=~"a|b",team!="x"'),
        ('path=`a\\d"`', 'path="a\\\\d\\""'),
        (r'path=~"a\\.b"', r'path=~"a\\.b"'),
        ('owner="Zoë"', 'owner="Zoë"'),
        ('a="}) or vector(0)"', 'a="}) or vector(0)"'),
    ],
)
def test_a_list_is_written_anew_for_the_query(text: str, query: str) -> None:
    assert rendered(text) == query


@pytest.mark.parametrize(
    "text",
    [
        "severity",
        "severity=page",
        'severity="page"} or vector(0)',
        'severity="page" team="x"',
        'severity="page",,',
        'severity="page\\q"',
        'severity=~"("',
        'severity=~"[[a]"',
        'alertstate="pending"',
        '__name__="up"',
        ",",
        " ",
    ],
)
def test_what_is_no_matcher_list_is_a_usage_error_that_names_the_key(tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageError, match=r"\[slo\] alerts: seen .*, expected"):
        make_drill(tmp_path, toml=f"[slo]\nalerts = '''{text}'''")


def test_a_selector_that_is_no_matcher_list_is_a_usage_error_that_names_the_key(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"\[metrics\] selector: seen .*, expected"):
        make_drill(tmp_path, toml="[metrics]\nselector = 'job=retrieval'")

"""Sentences for one and for many: nothing that a person reads says "1 instances"."""

import re
from pathlib import Path

import pytest

from drill import words
from drill.checks.silence import judge_silence
from drill.record import Evidence
from drill.verdict import Verdict
from tests.library.world import served

FOLDERS = ("drill", "fixtures")
ROOT = Path(words.__file__).parents[1]
COUNTED = "instance|tenant|endpoint|orphan|probe|request|family|rule|warning|drill|reading|vector"
BARE = re.compile(rf"(?<!of )\{{[^{{}}]*(?:len\(|count|total|value|asked|number)[^{{}}]*\}} (?:{COUNTED})s\b")
"""A count that stands before a plural as it is, in a text that is made; after "of", a plural is right."""
LEFT = {"each of {instances} instances"}


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0 probes were"), (1, "1 probe was"), (1.0, "1 probe was"), (2, "2 probes were"), (4_000_000.0, "4000000 p")],
)
def test_a_count_agrees_with_its_noun_and_its_verb(number: float, text: str) -> None:
    assert words.count(number, "probe", "was", "were").startswith(text)


def test_without_a_verb_it_is_the_noun_alone() -> None:
    assert (words.count(1, "instance"), words.count(3, "instance")) == ("1 instance", "3 instances")


def test_no_text_of_the_drill_puts_a_bare_number_before_such_a_plural() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {hit.group()}"
        for folder in FOLDERS
        for path in sorted((ROOT / folder).rglob("*.py"))
        for hit in BARE.finditer(path.read_text())
    ]
    assert found == []
    assert BARE.search('f"{len(found)} instances"'), "what is searched for would be found"


def test_one_instance_is_one_instance() -> None:
    assert judge_silence(served(), (), lambda _: {}, what="x").reason == "x silent on 1 instance"


@pytest.mark.parametrize(
    ("verdict", "shown"), [(Verdict.FAIL, ""), (Verdict.INCONCLUSIVE, "1 == 1"), (Verdict.PASS, "1 == 1")]
)
def test_a_fail_for_another_reason_shows_no_number_that_is_good(verdict: Verdict, shown: str) -> None:
    assert Evidence(verdict, "no token", 1, "==", 1).numbers() == shown
    assert Evidence(verdict, "one is down", 0, "==", 1).numbers() == "0 == 1"

"""What pytest counts of a row that is judged again after its test is its last verdict."""

import xml.etree.ElementTree as ET
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from _pytest.junitxml import LogXML, xml_key

from drill.record import Entry, Evidence
from drill.verdict import Verdict
from fixtures.late import JUDGED_AGAIN, LateReports, outcome_of

ROW = "post.faiss"


@dataclass
class Told:
    """Stands for pytest's hooks: keeps what it was told."""

    reports: list[pytest.TestReport] = field(default_factory=list)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.reports.append(report)


def reported(outcome: str, verdict: Verdict) -> pytest.TestReport:
    place = ("drill_tests/test_4_after.py", 1, "test_faiss")
    properties = [("row", ROW), ("verdict", str(verdict))]
    return pytest.TestReport(
        "a", place, {}, cast("Any", outcome), None, "call", user_properties=cast("Any", properties)
    )


def released(entry: Entry, seen: Evidence, report: pytest.TestReport) -> pytest.TestReport:
    told = Told()
    late = LateReports(cast("pytest.Config", SimpleNamespace(hook=told)), {entry.id: entry})
    late._held.append((entry, seen, report))
    late.release()
    late.release()
    assert len(told.reports) == 1
    return told.reports[0]


def test_a_row_that_got_worse_after_its_test_is_told_as_it_ended() -> None:
    before, after = Evidence(Verdict.PASS, "as it was"), Evidence(Verdict.FAIL, "at the end of the drill: 3 fewer")
    report = released(Entry(ROW, after), before, reported("passed", Verdict.PASS))
    assert (report.outcome, report.longreprtext) == ("failed", "fail: at the end of the drill: 3 fewer")
    assert dict(report.user_properties) == {"row": ROW, "verdict": "fail"}


def test_a_row_that_was_put_off_and_never_asked_again_has_failed() -> None:
    """It is required, and nothing was found out: no skip."""
    seen = Evidence(Verdict.NOT_RUN, "before the rollback: fail")
    report = released(Entry(ROW, seen, later=True), seen, reported("skipped", Verdict.NOT_RUN))
    assert report.outcome == "failed"


def test_a_row_that_was_healed_has_passed() -> None:
    seen = Evidence(Verdict.NOT_RUN, "before the rollback: fail")
    report = released(Entry(ROW, Evidence(Verdict.PASS, "healed")), seen, reported("failed", Verdict.NOT_RUN))
    assert (report.outcome, report.longrepr) == ("passed", None)


def test_what_pytest_says_of_a_row_that_stayed_as_it_was_is_left_alone() -> None:
    """A crash of the test keeps its own text."""
    seen = Evidence(Verdict.NOT_RUN, "was not run")
    report = reported("failed", Verdict.NOT_RUN)
    report.longrepr = "Traceback"
    assert released(Entry(ROW, seen), seen, report).longreprtext == "Traceback"


@pytest.mark.parametrize(("verdict", "failures"), [(Verdict.FAIL, 1), (Verdict.PASS, 0)])
def test_what_got_worse_after_junit_was_written_is_a_failure_there(
    tmp_path: Path, verdict: Verdict, failures: int
) -> None:
    """As where the search for secrets, which comes last, has found one."""
    xml = LogXML(tmp_path / "junit.xml", None)
    config = SimpleNamespace(hook=None, stash={xml_key: xml})
    entry = Entry(ROW, Evidence(Verdict.PASS, "-"))
    late = LateReports(cast("pytest.Config", config), {ROW: entry})
    report = reported("passed", Verdict.PASS)
    xml.pytest_sessionstart()
    for plugin in (xml, late):
        plugin.pytest_runtest_logreport(report)
    xml.pytest_sessionfinish()
    entry.evidence = Evidence(verdict, "a secret leaked")
    late.correct_junit()
    found = list(ET.parse(tmp_path / "junit.xml").getroot().iter("failure"))
    assert [node.attrib["message"] for node in found] == ["fail: a secret leaked"] * failures


@pytest.mark.parametrize(
    ("verdict", "required", "outcome"),
    [
        (Verdict.PASS, True, "passed"),
        (Verdict.NOT_RUN, True, "failed"),
        (Verdict.NOT_RUN, False, "skipped"),
        (Verdict.INCONCLUSIVE, False, "failed"),
        (Verdict.FAIL, True, "failed"),
    ],
)
def test_only_a_pass_is_green_and_only_what_is_not_required_is_skipped(
    verdict: Verdict, required: bool, outcome: str
) -> None:
    assert outcome_of(Entry(ROW, Evidence(verdict, "-"), required=required)) == outcome


def test_the_rows_that_may_change_are_kept_back() -> None:
    assert {"preflight.service", "disable_dual_write", "post.faiss", "post.environment"} <= JUDGED_AGAIN

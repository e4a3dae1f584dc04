"""Verdicts and the record of a drill: the worst wins, and nothing unproven is a success."""

from itertools import permutations

import pytest

from drill.record import CHECK_IDS, RUNBOOK_ORDER, STEP_IDS, DrillRecord, Entry, Evidence
from drill.verdict import EXIT_CODES, Outcome, Result, Verdict, worst


def record(verdict: Verdict = Verdict.PASS, **choices: object) -> DrillRecord:
    found = DrillRecord("id", ".env", "tester", True, "drill")
    for row in found.entries.values():
        row.evidence = Evidence(verdict, "seen")
    for name, value in choices.items():
        setattr(found, name, value)
    return found


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        (Verdict.PASS, Verdict.NOT_RUN),
        (Verdict.PASS, Verdict.INCONCLUSIVE),
        (Verdict.NOT_RUN, Verdict.ERROR),
        (Verdict.INCONCLUSIVE, Verdict.ERROR),
        (Verdict.ERROR, Verdict.FAIL),
    ],
)
def test_the_worst_verdict_wins_in_any_order(better: Verdict, worse: Verdict) -> None:
    for verdicts in permutations((Verdict.PASS, better, worse)):
        assert worst(verdicts) is worse


def test_an_empty_list_of_verdicts_proves_nothing() -> None:
    assert worst([]) is Verdict.NOT_RUN


def test_not_run_and_inconclusive_weigh_the_same() -> None:
    assert Verdict.NOT_RUN.rank == Verdict.INCONCLUSIVE.rank


def test_the_exit_codes_are_those_of_the_design() -> None:
    assert {str(result): code for result, code in EXIT_CODES.items()} == {
        "success": 0,
        "failure": 1,
        "inconclusive": 10,
        "refused": 11,
        "interrupted": 12,
    }


@pytest.mark.parametrize(
    ("verdict", "result", "code"),
    [
        (Verdict.PASS, Result.SUCCESS, 0),
        (Verdict.NOT_RUN, Result.INCONCLUSIVE, 10),
        (Verdict.INCONCLUSIVE, Result.INCONCLUSIVE, 10),
        (Verdict.ERROR, Result.INCONCLUSIVE, 10),
        (Verdict.FAIL, Result.FAILURE, 1),
    ],
)
@pytest.mark.parametrize("row", RUNBOOK_ORDER)
def test_one_required_row_decides_the_result(verdict: Verdict, result: Result, code: int, row: str) -> None:
    found = record()
    found.entries[row].evidence = Evidence(verdict, "seen")
    assert (found.result, found.exit_code) == (result, code)


@pytest.mark.parametrize("verdict", list(Verdict))
def test_a_row_that_is_not_required_decides_nothing(verdict: Verdict) -> None:
    found = record()
    found.entries["slo.alerts"] = Entry("slo.alerts", Evidence(verdict, "seen"), required=False)
    assert found.result is Result.SUCCESS


def test_a_drill_of_which_no_row_is_required_proves_nothing() -> None:
    found = record()
    for row in found.entries.values():
        row.required = False
    assert found.exit_code == 10


def test_a_record_is_complete_and_inconclusive_from_the_first_moment() -> None:
    found = DrillRecord("id", ".env", "tester", False, "drill")
    assert tuple(found.entries) == RUNBOOK_ORDER
    assert set(RUNBOOK_ORDER) == {*CHECK_IDS, *STEP_IDS} - {"preflight", "reopen"}
    assert len(set(RUNBOOK_ORDER)) == len(RUNBOOK_ORDER)
    assert found.result is Result.INCONCLUSIVE


@pytest.mark.parametrize("verdict", list(Verdict))
@pytest.mark.parametrize("interrupted", ["", "SIGTERM"])
def test_a_refused_drill_is_refused_whatever_its_rows_say(verdict: Verdict, interrupted: str) -> None:
    assert record(verdict, refused="lock held", interrupted=interrupted).exit_code == 11


@pytest.mark.parametrize("verdict", list(Verdict))
@pytest.mark.parametrize("restored", [False, True])
def test_interrupted_with_written_flags_is_interrupted(verdict: Verdict, restored: bool) -> None:
    assert record(verdict, interrupted="SIGTERM", flags_written=True, restored=restored).exit_code == 12


@pytest.mark.parametrize(
    ("verdict", "code"),
    [(Verdict.PASS, 10), (Verdict.NOT_RUN, 10), (Verdict.INCONCLUSIVE, 10), (Verdict.ERROR, 10), (Verdict.FAIL, 1)],
)
def test_interrupted_without_a_change_is_what_was_found_and_never_green(verdict: Verdict, code: int) -> None:
    assert record(verdict, interrupted="SIGTERM").exit_code == code


def test_a_purge_that_was_cut_short_is_a_change() -> None:
    assert record(interrupted="SIGTERM", purge_begun=True).exit_code == 12


@pytest.mark.parametrize("verdict", list(Verdict))
def test_a_restored_env_file_is_a_failure_even_if_every_row_passed(verdict: Verdict) -> None:
    assert record(verdict, flags_written=True, restored=True).exit_code == 1


def test_written_flags_alone_are_no_failure() -> None:
    assert record(flags_written=True).exit_code == 0


def test_preflight_is_the_worst_of_its_checks_and_says_why() -> None:
    found = record()
    assert found.preflight_entry().evidence == Evidence(Verdict.PASS, "all prerequisites hold")
    found.entries["preflight.faiss"].evidence = Evidence(Verdict.INCONCLUSIVE, "no path")
    found.entries["preflight.service"].evidence = Evidence(Verdict.ERROR, "black hole")
    found.entries["preflight.service"].duration_s = 1.5
    found.entries["slo.errors"].evidence = Evidence(Verdict.FAIL, "5 %")
    entry = found.preflight_entry()
    assert entry.evidence.verdict is Verdict.ERROR
    assert entry.evidence.reason == "preflight.service: black hole; preflight.faiss: no path"
    assert (entry.outcome, entry.duration_s) == (Outcome.NO_CHANGE, 1.5)
    found.refused = "no"
    assert found.preflight_entry().outcome is Outcome.REFUSED


def test_steps_are_told_from_checks() -> None:
    rows = DrillRecord("id", ".env", "tester", False, "drill").entries.values()
    assert {row.id for row in rows if row.is_step} == set(STEP_IDS) - {"preflight", "reopen"}


def test_the_line_of_evidence_begins_with_the_verdict_and_holds_every_number() -> None:
    evidence = Evidence(Verdict.FAIL, "too slow", 612.44, "<=", 500, 31, 30.04, " ms")
    assert evidence.line() == "fail, 612.4 <= 500 ms, window 30.0 s, 31 samples: too slow"


def test_zero_is_a_number_and_nothing_is_none() -> None:
    assert Evidence(Verdict.PASS, "r", 0, "==", 0, 0, 0.0).line() == "pass, 0 == 0, window 0.0 s, 0 samples: r"
    assert Evidence(Verdict.NOT_RUN, "r").line() == "not_run: r"
    assert Evidence(Verdict.PASS, "r", 3).numbers() == ""
    assert Evidence(Verdict.PASS, "r", op="<=", threshold=3).numbers() == ""


def test_a_verdict_is_put_on_the_same_numbers() -> None:
    evidence = Evidence(Verdict.NOT_RUN, "", 1, "<=", 2, 3, 4.0, "u", {"a": 1})
    assert evidence.judged(Verdict.PASS, "good") == Evidence(Verdict.PASS, "good", 1, "<=", 2, 3, 4.0, "u", {"a": 1})

"""What probes were answered, against the documents of FAISS."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from drill.answered import KEPT, Answered
from drill.checks import faiss_answers, faiss_kept
from drill.context import Drill
from drill.http import Reply
from drill.probe import Ask
from drill.record import Evidence
from drill.verdict import Verdict
from tests.library.test_faiss_kept import begun, names, no_patience, write
from tests.library.test_probe import Client, at_least, probing
from tests.library.world import SPAN_S, served

assert no_patience  # what a test broke stays broken here, too
INSTANCE = "http://a:1"
Q, LONG = Ask(INSTANCE, "a", "q"), Ask(INSTANCE, "a", "long")
EARLY, LATE = 0.2 * SPAN_S, 0.9 * SPAN_S


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """No newer snapshot comes unless a test writes one."""
    monkeypatch.setattr(faiss_answers, "NEWER_S", 0.0)


def reply(ids: Iterable[object]) -> Reply:
    body = {"results": [{"id": one, "score": 1.0} for one in ids]}
    return cast("Reply", SimpleNamespace(json=lambda: body))


def answer(drill: Drill, ids: Iterable[object], at: float = LATE, query: str = "q", tenant: str = "a") -> None:
    drill.prober.answered.note(Ask(INSTANCE, tenant, query), at, reply(ids))


def judged(drill: Drill) -> Evidence:
    return faiss_kept.faiss(drill, served())


def test_answers_that_are_documents_pass_and_are_counted(tmp_path: Path) -> None:
    drill = begun(tmp_path, {"a": names(100)})
    answer(drill, ["d1", "d2"])
    answer(drill, ["d2", "d3"], query="other")
    evidence = judged(drill)
    assert evidence.verdict is Verdict.PASS
    assert evidence.detail["a: answers"] == "3 documents that probes were answered"


def test_answers_that_are_mostly_unknown_fail(tmp_path: Path) -> None:
    """Whatever answers there, it is not this FAISS."""
    drill = begun(tmp_path, {"a": names(100)})
    answer(drill, ["d1", "x1", "x2"])
    evidence = judged(drill)
    assert evidence.verdict is Verdict.FAIL
    assert "a: a:1: 2 of 3 documents that probes were answered are not in FAISS" in evidence.reason


def test_a_service_that_runs_ahead_of_its_snapshot_is_unproven_and_not_failed(tmp_path: Path) -> None:
    """A new document is found before the next snapshot is written."""
    drill = begun(tmp_path, {"a": names(100)})
    answer(drill, ["d1", "d2", "new"])
    evidence = judged(drill)
    assert evidence.verdict is Verdict.INCONCLUSIVE
    assert "1 of 3 documents" in evidence.reason
    assert "ahead of its snapshot" in evidence.reason


def test_a_new_document_is_looked_up_again_in_the_next_snapshot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first look reads a snapshot that was written before."""
    drill = begun(tmp_path, {"a": names(100)})
    answer(drill, ["d1", "d2", "new"])
    monkeypatch.setattr(faiss_answers, "NEWER_S", 60.0)
    monkeypatch.setattr(
        "drill.checks.faiss_answers.time.sleep", lambda _: write(tmp_path / "faiss", "a", [*names(100), "new"])
    )
    assert judged(drill).verdict is Verdict.PASS


def test_a_document_that_a_user_deleted_is_no_finding_where_users_delete(tmp_path: Path) -> None:
    drill = begun(tmp_path, {"a": names(100)}, primary="expect_deletes = true\n")
    answer(drill, names(4))
    write(tmp_path / "faiss", "a", names(99, first=1))
    assert judged(drill).verdict is Verdict.PASS
    answer(drill, ["x1", "x2", "x3", "x4", "x5"])
    assert judged(drill).verdict is Verdict.FAIL, "but answers of something else are"


def test_what_was_answered_before_the_window_is_not_judged(tmp_path: Path) -> None:
    """Before the rollback the target answers, with documents that FAISS may not have."""
    drill = begun(tmp_path, {"a": names(100)})
    answer(drill, ["orphan"], at=-1.0)
    assert judged(drill).verdict is Verdict.PASS


def test_a_canary_of_the_drill_is_no_unknown_document(tmp_path: Path) -> None:
    """It was found by a search, and was removed since."""
    drill = begun(tmp_path, {"a": names(100)})
    drill.config = replace(drill.config, canary=replace(drill.config.canary, tenant="*"))
    answer(drill, ["d1", f"{drill.config.canary.id}-0", f"{drill.config.canary.id}-1"])
    assert judged(drill).verdict is Verdict.PASS


def test_one_tenant_is_judged_by_its_own_answers(tmp_path: Path) -> None:
    drill = begun(tmp_path, {"a": names(50), "b": names(50, first=100)})
    answer(drill, ["d1"], tenant="a")
    answer(drill, ["d1"], tenant="b")
    evidence = judged(drill)
    assert evidence.verdict is Verdict.FAIL
    assert evidence.reason.startswith("b: a:1: 1 of 1 documents")


@pytest.mark.parametrize(
    ("early", "late", "verdict"),
    [
        (["d1", "d2", "d3", "d4"], ["d1", "d2"], Verdict.PASS),
        (["d1", "d2", "d3", "d4"], ["d1"], Verdict.FAIL),
        (["d1", "d2", "d3", "d4", "d5"], ["d1", "d2"], Verdict.FAIL),
        (["d1"], [], Verdict.FAIL),
        (["d1", "d2"], ["d3", "d4"], Verdict.PASS),
    ],
)
def test_the_same_query_that_finds_far_fewer_documents_later_fails(
    tmp_path: Path, early: Sequence[str], late: Sequence[str], verdict: Verdict
) -> None:
    """The index in memory lost them; the files on the disk are whole."""
    drill = begun(tmp_path, {"a": names(100)})
    answer(drill, early, at=EARLY)
    answer(drill, late, at=LATE)
    assert judged(drill).verdict is verdict


def test_different_queries_that_find_fewer_documents_later_fail_together(tmp_path: Path) -> None:
    """Each is answered with as many as before, and all of them with the same two."""
    drill = begun(tmp_path, {"a": names(100)})
    for number in range(4):
        answer(drill, names(2, first=10 * number), at=EARLY, query=str(number))
        answer(drill, names(2), at=LATE, query=str(number))
    evidence = judged(drill)
    assert evidence.verdict is Verdict.FAIL
    assert "the same queries found 8 different documents, and later 2" in evidence.reason


def test_queries_that_were_asked_in_one_half_only_are_not_compared(tmp_path: Path) -> None:
    drill = begun(tmp_path, {"a": names(100)})
    answer(drill, names(8), at=EARLY)
    answer(drill, ["d1"], at=LATE, query="other")
    assert judged(drill).verdict is Verdict.PASS


@pytest.mark.parametrize(("queries", "verdict"), [(2, Verdict.PASS), (3, Verdict.INCONCLUSIVE)])
def test_many_queries_that_find_the_same_few_documents_are_unproven(
    tmp_path: Path, queries: int, verdict: Verdict
) -> None:
    """An index in memory that held two documents from its boot on."""
    drill = begun(tmp_path, {"a": names(100)})
    for number in range(queries):
        answer(drill, ["d1", "d2"] if number % 2 else ["d2", "d1"], query=str(number))
    evidence = judged(drill)
    assert evidence.verdict is verdict
    assert ("find 2 of 100 documents" in evidence.reason) == (verdict is Verdict.INCONCLUSIVE)


@pytest.mark.parametrize(
    ("documents", "found", "verdict"),
    [
        (8, 2, Verdict.PASS),
        (8, 1, Verdict.INCONCLUSIVE),
        (11, 2, Verdict.PASS),
        (100, 5, Verdict.PASS),
        (100, 4, Verdict.INCONCLUSIVE),
    ],
)
def test_different_queries_find_a_quarter_of_few_documents_together_or_as_many_as_one_asks_for(
    tmp_path: Path, documents: int, found: int, verdict: Verdict
) -> None:
    drill = begun(tmp_path, {"a": names(documents)})
    for number in range(3):
        answer(drill, names(found), query=str(number))
    assert judged(drill).verdict is verdict


def test_what_queries_find_in_the_end_is_what_they_find(tmp_path: Path) -> None:
    """An index that was lost before the middle of the window was whole at first."""
    drill = begun(tmp_path, {"a": names(100)})
    for number in range(3):
        answer(drill, names(5, first=10 * number), at=0.1 * SPAN_S, query=str(number))
        answer(drill, names(2), at=EARLY, query=str(number))
    assert judged(drill).verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(
    ("first", "again", "verdict"),
    [
        (0.45, 0.5, Verdict.FAIL),
        (0.45, 0.55, Verdict.FAIL),
        (0.5, 0.9, Verdict.PASS),
        (0.1, 0.45, Verdict.PASS),
    ],
)
def test_early_and_late_are_the_halves_of_the_window(
    tmp_path: Path, first: float, again: float, verdict: Verdict
) -> None:
    drill = begun(tmp_path, {"a": names(100)})
    answer(drill, names(5), at=first * SPAN_S)
    answer(drill, ["d1"], at=again * SPAN_S)
    assert judged(drill).verdict is verdict


@pytest.mark.parametrize(
    ("known", "unknown", "verdict"),
    [(1, 1, Verdict.INCONCLUSIVE), (3, 2, Verdict.INCONCLUSIVE), (2, 3, Verdict.FAIL)],
)
def test_answers_fail_if_most_of_them_are_unknown_and_half_is_not_most(
    tmp_path: Path, known: int, unknown: int, verdict: Verdict
) -> None:
    drill = begun(tmp_path, {"a": names(100)})
    answer(drill, [*names(known), *names(unknown, first=1000)])
    assert judged(drill).verdict is verdict


@pytest.mark.parametrize(
    ("held", "answered", "verdict", "said"),
    [
        (95, ["d1"], Verdict.INCONCLUSIVE, ["5 documents fewer"]),  # good answers make up for no fall
        (95, ["d1", "d2", "x"], Verdict.INCONCLUSIVE, ["5 documents fewer", "1 of 3 documents"]),
        (95, ["x"], Verdict.FAIL, ["1 of 1 documents"]),
        (40, ["d1", "d2", "x"], Verdict.FAIL, ["40 documents, 100 at the beginning"]),
        (40, ["x"], Verdict.FAIL, ["40 documents, 100 at the beginning", "1 of 1 documents"]),
        (100, ["d1"], Verdict.PASS, ["100 documents", "1 document that probes were answered"]),
        (100, [], Verdict.PASS, ["100 documents"]),
    ],
)
def test_of_files_and_answers_the_worse_verdict_counts_with_its_reasons(
    tmp_path: Path, held: int, answered: list[str], verdict: Verdict, said: list[str]
) -> None:
    drill = begun(tmp_path, {"a": names(100)})
    write(tmp_path / "faiss", "a", names(held))
    if answered:
        answer(drill, answered)
    evidence = judged(drill)
    assert evidence.verdict is verdict
    told = ("documents fewer", "documents, 100 at the beginning", "that probes were answered", "100 documents")
    assert all(text in evidence.reason for text in said)
    assert sum(text in evidence.reason for text in told) == len(said)


def anew(drill: Drill, number: int, *answers: list[str]) -> None:
    """Note the answers to a query that nobody had asked before."""
    for at, ids in enumerate(answers):
        drill.prober.answered.note(Ask(INSTANCE, "a", f"new {number}", fresh=True), LATE + at, reply(ids))


@pytest.mark.parametrize(
    ("asked", "empty", "verdict"),
    [
        (1, 0, Verdict.PASS),
        (2, 1, Verdict.PASS),
        (4, 2, Verdict.PASS),
        (3, 2, Verdict.INCONCLUSIVE),
        (2, 2, Verdict.INCONCLUSIVE),
        (1, 1, Verdict.INCONCLUSIVE),
    ],
)
def test_new_queries_of_which_most_find_nothing_while_known_ones_do_are_answered_by_a_cache(
    tmp_path: Path, asked: int, empty: int, verdict: Verdict
) -> None:
    drill = begun(tmp_path, {"a": names(100)})
    answer(drill, ["d1", "d2"])
    for number in range(asked):
        anew(drill, number, [] if number < empty else ["d3"])
    evidence = judged(drill)
    assert evidence.verdict is verdict
    assert ("a cache may stand in for a dead index" in evidence.reason) is (verdict is not Verdict.PASS)


@pytest.mark.parametrize(
    ("known", "answers", "verdict"),
    [
        ([["d1"]], [["d3"], [], []], Verdict.INCONCLUSIVE),
        ([["d1"]], [[], ["d3"]], Verdict.PASS),
        ([["d1"], []], [[]], Verdict.PASS),  # nothing finds anything: other rows say so
    ],
)
def test_of_queries_that_are_asked_again_the_last_answer_counts(
    tmp_path: Path, known: list[list[str]], answers: list[list[str]], verdict: Verdict
) -> None:
    drill = begun(tmp_path, {"a": names(100)})
    for at, ids in enumerate(known):
        answer(drill, ids, at=EARLY + at)
    for number in range(2):
        anew(drill, number, *answers)
    assert judged(drill).verdict is verdict


def test_ids_that_are_numbers_are_ids(tmp_path: Path) -> None:
    drill = begun(tmp_path, {"a": ["7", "8", "9"]})
    answer(drill, [7, 8])
    assert judged(drill).verdict is Verdict.PASS


@pytest.mark.parametrize(
    "body",
    [None, [], {"results": {}}, {"results": [None, 3, {"id": None}, {"id": ""}, {"id": "x" * 501}, {}]}],
)
def test_what_is_no_id_is_left_out(body: object) -> None:
    seen = Answered()
    seen.note(Q, 1.0, cast("Reply", SimpleNamespace(json=lambda: body)))
    assert [one.ids for one in seen.since(0.0)[Q]] == [()]


def test_what_is_kept_of_answers_is_bounded() -> None:
    """The last few different answers of each question, however many there were."""
    seen = Answered()
    for number in range(100):
        seen.note(Q, float(number), reply([f"d{number}"]))
    assert [one.ids for one in seen.since(0.0)[Q]] == [(f"d{number}",) for number in range(100 - KEPT, 100)]
    seen.note(LONG, 1.0, reply(names(1000)))
    assert len(seen.since(0.0)[LONG][0].ids) == 50
    assert seen.since(99.0).keys() == {Q}


def test_an_answer_that_comes_again_is_the_last_one() -> None:
    seen = Answered()
    for at, ids in ((1.0, ["a"]), (2.0, ["b"]), (3.0, ["a"])):
        seen.note(Q, at, reply(ids))
    assert [(one.ids, one.first, one.last) for one in seen.since(0.0)[Q]] == [(("b",), 2.0, 2.0), (("a",), 1.0, 3.0)]


def test_the_prober_notes_what_it_is_answered() -> None:
    """Of good answers only, under what was asked."""
    good, bad = Ask("http://a", "a", "q"), Ask("http://b", "a", "q")

    def answered(url: str) -> Reply:
        body = {"results": [{"id": "d1"}, {"id": "d2"}]} if url.startswith(good.instance) else {"error": "d3"}
        return Reply(200, "application/json", json.dumps(body).encode(), 0.001)

    with probing(Client(answered), good, bad) as prober:
        assert prober.wait(at_least(4), 0.0, 10.0)
    assert {asked: [one.ids for one in given] for asked, given in prober.answered.since(0.0).items()} == {
        good: [("d1", "d2")]
    }

"""What smoke tests gather, and what it comes to: each answer counts once, and an odd one is asked for again."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from drill.checks import findings as findings_module
from drill.checks.endpoints import Endpoint
from drill.checks.findings import Findings, alike
from drill.checks.mendable import Kind
from drill.http import Reply
from drill.limits import Apart
from drill.verdict import Verdict
from tests.library.world import A, make_drill

GOOD, BAD, ODD = (Reply(status, "", b"", 0.25) for status in (200, 500, 499))
BROKEN = Reply(0, "", b"", 0.0, error="broken off")
DEAD = Reply(0, "", b"", 0.0, error="no answer", waited_s=5.0)
LIMITED = Reply(429, "", b"", 0.0, apart=Apart.LIMITED)
UNMEASURED = Reply(0, "", b"", 0.0, error="not sent", apart=Apart.UNMEASURED)
SEARCH = Endpoint("search_path", "/search", read_only=True)


@pytest.mark.parametrize(
    ("replies", "asked", "failed", "apart"),
    [
        ([GOOD], 1, 0, 0),
        ([ODD], 1, 0, 0),
        ([BAD, GOOD], 2, 1, 0),
        ([BROKEN, BAD], 2, 2, 0),
        ([DEAD], 1, 1, 0),  # asking once more would cost as much time again
        ([LIMITED], 0, 0, 1),
        ([BAD, LIMITED], 1, 1, 1),
    ],
)
def test_what_fails_is_asked_for_once_more_and_what_tells_nothing_is_not_counted(
    replies: Sequence[Reply], asked: int, failed: int, apart: int
) -> None:
    found, left = Findings(), iter(replies)
    assert found.ask(lambda: next(left)) is replies[-1]
    assert next(left, None) is None
    assert (found.asked, found.failed, len(found.apart)) == (asked, failed, apart)
    assert found.latencies_ms == [1000 * reply.latency_s for reply in replies if reply.apart is None]


@pytest.mark.parametrize(
    ("asked", "failed", "limit", "bad"),
    [(1000, 1, 0.0, False), (2, 2, 0.01, True), (1000, 8, 0.01, False), (1000, 2, 0.0, True), (10, 0, 0.0, False)],
)
def test_requests_that_fail_more_often_than_the_slo_allows_are_a_problem(
    asked: int, failed: int, limit: float, bad: bool
) -> None:
    """One may fail anywhere. What is wrong already is not said twice."""
    found = Findings(asked=asked, failed=failed)
    found.too_many_failed(limit)
    assert [problem.text for problem in found.problems] == [f"{failed} of {asked} requests failed"] * bad
    found.too_many_failed(limit)
    assert len(found.problems) == bad


@pytest.mark.parametrize(
    ("found", "verdict", "reason"),
    [
        (Findings(asked=2, latencies_ms=[10.04, 30.06]), Verdict.PASS, "well"),
        (Findings(), Verdict.INCONCLUSIVE, "nothing could be asked"),
        (Findings(asked=1, doubts=["odd"]), Verdict.INCONCLUSIVE, "odd"),
        (Findings(asked=1, apart=[LIMITED]), Verdict.INCONCLUSIVE, "1 request was not answered"),
    ],
)
def test_only_what_was_asked_and_leaves_no_doubt_is_well(found: Findings, verdict: Verdict, reason: str) -> None:
    evidence = found.evidence("well")
    assert evidence.verdict is verdict
    assert evidence.reason.startswith(reason)
    assert (evidence.value, evidence.op, evidence.threshold, evidence.samples) == (0, "==", 0, found.asked)
    assert evidence.detail["slowest ms"] == (30.1 if found.latencies_ms else 0.0)


def test_what_is_wrong_is_a_failure_whatever_else_was_seen() -> None:
    found = Findings(asked=3, doubts=["odd"], apart=[LIMITED])
    found.add("a:1", "no vectors", Kind.VECTORS)
    evidence = found.evidence("well", {"more": 1})
    assert (evidence.verdict, evidence.reason, evidence.value) == (Verdict.FAIL, "a:1: no vectors", 1)
    assert evidence.detail["more"] == 1


@pytest.mark.parametrize(
    ("asked", "apart", "foretold"),
    [
        (0, [LIMITED], Verdict.FAIL),  # the service lets the drill ask nothing, and will not later
        (1, [LIMITED], Verdict.INCONCLUSIVE),
        (0, [LIMITED, UNMEASURED], None),  # the drill's own doing
    ],
)
def test_requests_that_tell_nothing_foretell_only_what_the_service_keeps_from_being_asked(
    asked: int, apart: list[Reply], foretold: Verdict | None
) -> None:
    told = Findings(asked=asked, apart=apart).evidence("well").foretold
    assert (told.verdict if told else None) is foretold


@pytest.mark.parametrize(
    ("reply", "nowhere", "kind", "said"),
    [
        (Reply(404, "", b"", 0.0), True, Kind.NOT_SERVED, "a:1 does not serve /search ([service] search_path); mount"),
        (Reply(410, "", b"", 0.0), False, Kind.NOT_FOUND, "expected hits"),
        (Reply(404, "", b"", 0.0, error="cut off"), True, Kind.NOT_FOUND, "cut off, expected hits"),
        (Reply(405, "", b"", 0.0), True, Kind.WRONG_METHOD, "does not take POST"),
        (Reply(500, "", b"", 0.0), True, Kind.SERVER_ERROR, "expected hits"),
    ],
)
def test_an_answer_that_is_not_the_one_that_was_wanted_is_called_by_its_kind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reply: Reply, nowhere: bool, kind: Kind, said: str
) -> None:
    """Whether a path is served is found out once for each instance."""
    looked: list[str] = []

    def as_nowhere(_drill: object, _instance: str, path: str, _reply: Reply) -> bool:
        looked.append(path)
        return nowhere

    monkeypatch.setattr(findings_module, "as_nowhere", as_nowhere)
    found, drill = Findings(), make_drill(tmp_path)
    for _ in range(2):
        text, seen = found.refused(drill, A, SEARCH, reply, "hits")
        assert seen is kind
        assert said in text
    assert looked == ["/search"] * (reply.status in {404, 410} and not reply.error)


def test_what_several_requests_to_an_instance_have_met_is_said_once() -> None:
    """Each instance is named, and each thing that was met; what was met once is said as it was."""
    told = [
        "a:1 query 1 (kb): HTTP 401",
        "a:1 query 2 (kb): HTTP 401",
        "b:2 query 1 (kb): HTTP 401",
        "a:1 query 3: none",
    ]
    assert alike([*told, "2 of 9 requests failed"]) == [
        "a:1 query 1 (kb) and 1 more: HTTP 401",
        "b:2 query 1 (kb): HTTP 401",
        "a:1 query 3: none",
        "2 of 9 requests failed",
    ]
    assert alike([]) == []

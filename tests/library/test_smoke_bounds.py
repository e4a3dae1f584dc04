"""Smoke tests at their boundaries: how much is asked, of whom, and what is one problem too many."""

import sys
from pathlib import Path
from typing import Any

import pytest

from drill.checks.findings import Findings
from drill.checks.smoke import embed, search, search_at
from drill.http import Reply
from drill.primary import IndexFacts
from drill.stats import rate_bounds
from drill.verdict import Verdict
from tests.library.server import Answer, ScriptedService, html
from tests.library.test_smoke import EMBED, GOLDEN, SEARCH, drill_of, embedded, hit, results
from tests.library.test_smoke import server as server  # noqa: PLC0414 - a fixture
from tests.library.world import Inventory, make_drill, with_primary


def test_failed_requests_at_just_the_tolerated_rate_are_not_too_many() -> None:
    limit = rate_bounds(2, 5)[0]
    found = Findings(asked=5, failed=2)
    found.too_many_failed(limit)
    assert found.problems == []
    found.too_many_failed(limit - 1e-9)
    assert [problem.text for problem in found.problems] == ["2 of 5 requests failed"]


def test_four_problems_are_all_spelled_out(tmp_path: Path, server: ScriptedService) -> None:
    status = iter(range(450, 500))
    server.script["POST", SEARCH] = lambda _body: html(next(status))
    queries = "\n".join(f'[[smoke.queries]]\nquery = "q{n}"' for n in range(3))
    reason = search(drill_of(tmp_path, server, toml=queries)).reason
    assert reason.count("HTTP 45") == 4
    assert "more" not in reason


def test_how_slow_the_slowest_answer_was_is_shown_to_a_tenth_of_a_millisecond() -> None:
    found = Findings()
    assert found.evidence("").detail == {"slowest ms": 0.0}
    for seconds in (0.5, 1.23456, 0.25):
        found.ask(lambda seconds=seconds: Reply(200, "", b"", seconds))  # type: ignore[misc]
    assert found.evidence("").detail == {"slowest ms": 1234.6}


def test_a_query_that_is_asked_again_says_so_from_the_second_time_on(
    tmp_path: Path, server: ScriptedService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("drill.checks.findings.alike", list)
    server.script["POST", SEARCH] = results()
    toml = f'[service]\nbase_url = "{server.url}"\n[[smoke.queries]]\nquery = "one"'
    first, _, second, *_ = search(with_primary(make_drill(tmp_path, toml=toml))).reason.split("; ")
    assert first == f"{server.url[7:]} query 1 (default): no results"
    assert second == f"{server.url[7:]} query 1 (default), asked again 2: no results"


def test_by_default_each_query_is_asked_once(tmp_path: Path, server: ScriptedService) -> None:
    evidence = search_at(drill_of(tmp_path, server), (server.url,))
    assert (evidence.verdict, evidence.samples) == (Verdict.PASS, 4)


def test_the_same_results_for_two_queries_are_too_much_of_the_same(tmp_path: Path, server: ScriptedService) -> None:
    server.script["POST", SEARCH] = results(hit())
    queries = "\n".join(f'[[smoke.queries]]\nquery = "q{n}"' for n in range(2))
    assert "the same results for 2 queries" in search(drill_of(tmp_path, server, toml=queries)).reason


@pytest.mark.parametrize("score", [sys.float_info.max, -sys.float_info.max, 0])
def test_any_finite_score_is_one(tmp_path: Path, server: ScriptedService, score: float) -> None:
    def answer(body: dict[str, Any]) -> Answer:
        return results(hit(body["query"].rpartition(" ")[2], score=score))

    server.script["POST", SEARCH] = answer
    assert search(drill_of(tmp_path, server)).verdict is Verdict.PASS


def test_golden_queries_of_no_tenant_are_those_of_the_first(tmp_path: Path, server: ScriptedService) -> None:
    server.script["POST", SEARCH] = lambda body: results(hit(body["query"].rpartition(" ")[2], metadata={"lang": "en"}))
    drill = drill_of(tmp_path, server, toml='tenants = ["default", "acme"]\n' + GOLDEN % '["d2", "d3"]')
    evidence = search(with_primary(drill, Inventory({"default": {"d1", "d2"}, "acme": {"d7", "d8"}})))
    assert evidence.reason == f"{server.url[7:]} query 2 (default): 1 of 2 golden documents not among the results"


def test_embeddings_must_have_the_dimension_of_the_first_tenant_s_index(
    tmp_path: Path, server: ScriptedService
) -> None:
    class Mixed(Inventory):
        def check(self, tenant: str) -> IndexFacts:
            return IndexFacts(tenant, 1, 1, 2 if tenant == "default" else 3, 1, 1.0, "flat")

    server.script["POST", EMBED] = embedded([1, 0], [0, 1])
    drill = drill_of(tmp_path, server, toml='tenants = ["default", "acme"]')
    assert embed(with_primary(drill, Mixed({"default": {"d1"}, "acme": {"d7"}}))).verdict is Verdict.PASS

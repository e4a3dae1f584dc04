"""Questions that nobody has asked before: what a cache answers is no proof of the index behind it."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from drill.checks import faiss_answers, faiss_kept
from drill.checks.smoke import NEW, search
from drill.fresh import EVERY, Fresh
from drill.load import MIXED_ASKS, budget_of
from drill.load import NEW as NEW_EACH
from drill.probe import Ask, Prober
from drill.record import Evidence
from drill.verdict import Verdict
from tests.library.server import Answer, ScriptedService, as_json, html
from tests.library.test_faiss_answers import INSTANCE, answer, reply
from tests.library.test_faiss_kept import begun, names, no_patience
from tests.library.test_probe import Client, at_least
from tests.library.test_smoke import SEARCH, by_query, drill_of, hit, results
from tests.library.test_smoke import server as server  # noqa: PLC0414 - a fixture
from tests.library.world import SPAN_S, Inventory, make_drill, served, with_primary

assert no_patience  # what a test broke stays broken here, too
EVERYTHING = 10 * EVERY


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """No newer snapshot comes."""
    monkeypatch.setattr(faiss_answers, "NEWER_S", 0.0)


def test_no_question_is_made_twice_in_a_drill_nor_by_another_drill() -> None:
    one, other = Fresh(), Fresh()
    made = [fresh.of("What is a rollback?") for fresh in (one, one, other, other)]
    assert len(set(made)) == 4
    assert all(text.endswith(" What is a rollback?") for text in made)


class Cached:
    """Answers what was asked before from a cache, and anything else as the index behind it does."""

    def __init__(self, known: list[str], index: Answer | None = None) -> None:
        self.known, self.index = known, index
        self.asked: list[str] = []

    def __call__(self, body: dict[str, Any]) -> Answer:
        self.asked.append(body["query"])
        return by_query(body) if body["query"] in self.known or self.index is None else self.index


KNOWN = ["text of d1", "text of d2", "text of d3"]


def test_new_queries_that_find_nothing_are_a_doubt_with_a_way_out(tmp_path: Path, server: ScriptedService) -> None:
    """A dead index behind a cache looks like a service that asks for every word."""
    server.script["POST", SEARCH] = Cached(KNOWN, results())
    evidence = search(drill_of(tmp_path, server))
    assert evidence.verdict is Verdict.INCONCLUSIVE
    assert "no results, while known queries are answered, as by a cache of a dead index" in evidence.reason
    assert "set [smoke] new_queries = false" in evidence.reason


def test_what_a_new_query_of_one_tenant_finds_says_nothing_of_another(tmp_path: Path, server: ScriptedService) -> None:
    """Each is held against the known queries of its own tenant."""
    known = ["text of d1", "text of d7"]

    def search_of(body: dict[str, Any]) -> Answer:
        return results(hit(body["query"][8:], metadata={})) if body["query"] in known else results()

    server.script["POST", SEARCH] = search_of
    drill = drill_of(tmp_path, server, toml='tenants = ["default", "acme"]')
    evidence = search(with_primary(drill, Inventory({"default": {"d1"}, "acme": {"d7"}})))
    assert evidence.verdict is Verdict.INCONCLUSIVE
    assert "(default): no results, while" in evidence.reason
    assert "(acme): no results, while" in evidence.reason


def test_no_new_query_is_sent_where_the_operator_says_so(tmp_path: Path, server: ScriptedService) -> None:
    server.script["POST", SEARCH] = cached = Cached(KNOWN, results())
    drill = drill_of(tmp_path, server, toml="[smoke]\nnew_queries = false\n")
    assert search(drill).verdict is Verdict.PASS
    assert set(cached.asked) <= set(KNOWN)
    assert drill.fresh is None, "nor by a probe: the prober is made with it"


@pytest.mark.parametrize(
    ("index", "seen"), [(html(500), "HTTP 500"), (as_json({"hits": []}), "expected JSON with a list")]
)
def test_a_dead_index_behind_a_cache_of_all_known_queries_fails(
    tmp_path: Path, server: ScriptedService, index: Answer, seen: str
) -> None:
    server.script["POST", SEARCH] = Cached(KNOWN, index)
    evidence = search(drill_of(tmp_path, server))
    assert (evidence.verdict, evidence.value) == (Verdict.FAIL, 1)
    assert evidence.reason.startswith(f"{server.url[7:]} {NEW} (default): ")
    assert seen in evidence.reason
    assert evidence.reason.endswith("while known queries are answered, as by a cache")


def test_a_cache_whose_index_is_well_passes_and_each_drill_asks_something_new(
    tmp_path: Path, server: ScriptedService
) -> None:
    cached = Cached(KNOWN)
    server.script["POST", SEARCH] = cached
    for number in range(2):
        (tmp_path / str(number)).mkdir()
        assert search(drill_of(tmp_path / str(number), server)).verdict is Verdict.PASS
    new = [query for query in cached.asked if query not in KNOWN]
    assert len(new) == len(set(new)) == 2


def test_where_nothing_is_answered_no_cache_is_suspected(tmp_path: Path, server: ScriptedService) -> None:
    server.script["POST", SEARCH] = results()
    assert "cache" not in search(drill_of(tmp_path, server)).reason


def test_a_new_question_may_find_what_the_known_one_found(tmp_path: Path, server: ScriptedService) -> None:
    """It is the same question behind a word."""
    server.script["POST", SEARCH] = by_query
    toml = '[[smoke.queries]]\nquery = "find d1"\n'
    assert search(drill_of(tmp_path, server, toml=toml)).verdict is Verdict.PASS


def schedule(asks: list[Ask], fresh: Fresh | None) -> Iterator[Ask]:
    prober = Prober(Client(), SEARCH, asks, 5, 10.0, None, fresh)  # type: ignore[arg-type]
    try:
        yield from (prober._at(index) for index in range(EVERYTHING))
    finally:
        prober.stop()


def test_one_in_so_many_probes_is_new_to_each_instance_and_tenant_in_turn() -> None:
    asks = [Ask(url, tenant, "q") for tenant in ("t", "u") for url in ("http://a", "http://b")]
    new = [ask for ask in schedule(asks, Fresh()) if ask.fresh]
    assert len(new) == EVERYTHING // EVERY
    assert [(one.instance, one.tenant) for one in new[:5]] == [(one.instance, one.tenant) for one in [*asks, asks[0]]]
    assert len({one.query for one in new}) == len(new)
    assert not any(ask.fresh for ask in schedule(asks, None))


def test_the_prober_of_a_drill_asks_new_questions() -> None:
    client = Client()
    prober = Prober(client, SEARCH, [Ask("http://a", "t", "q")], 5, 500.0, None, Fresh())  # type: ignore[arg-type]
    prober.start()
    try:
        assert prober.wait(at_least(EVERY + 1), 0.0, 20.0)
    finally:
        prober.stop()
    asked = [body["query"] for _, body in client.asked if isinstance(body, dict)]
    assert asked[0] == "q"
    assert any(query != "q" for query in asked)


def judged(folder: Path, new: list[list[str]], known: list[str]) -> Evidence:
    drill = begun(folder, {"a": names(100)})
    answer(drill, known)
    for number, found in enumerate(new):
        drill.prober.answered.note(Ask(INSTANCE, "a", f"{number} q", fresh=True), 0.5 * SPAN_S, reply(found))
    return faiss_kept.faiss(drill, served())


@pytest.mark.parametrize(
    ("new", "known", "verdict"),
    [
        ([["d1"], ["d2"]], ["d1", "d2"], Verdict.PASS),
        ([["d1"], []], ["d1", "d2"], Verdict.PASS),
        ([[]], ["d1", "d2"], Verdict.INCONCLUSIVE),
        ([[], ["d1"], []], ["d1", "d2"], Verdict.INCONCLUSIVE),
        ([[], []], [], Verdict.PASS),
        ([["x1"], ["x2"], ["x3"]], ["d1"], Verdict.FAIL),
    ],
)
def test_probes_that_ask_something_new_must_find_documents_of_faiss(
    tmp_path: Path, new: list[list[str]], known: list[str], verdict: Verdict
) -> None:
    """Where known ones find any; what finds nothing at all is judged elsewhere."""
    evidence = judged(tmp_path, new, known)
    assert evidence.verdict is verdict, evidence.reason
    assert ("nobody had asked before found nothing" in evidence.reason) is (verdict is not Verdict.PASS and [] in new)


def test_many_new_probes_of_one_question_are_not_many_questions(tmp_path: Path) -> None:
    """That different queries find the same is judged of known ones only."""
    assert judged(tmp_path, [["d1"]] * 5, ["d1"]).verdict is Verdict.PASS


@pytest.mark.parametrize("listed", [True, False])
def test_new_questions_are_announced_also_where_every_request_fails_and_is_sent_again(
    tmp_path: Path, server: ScriptedService, listed: bool
) -> None:
    """What is announced for smoke tests alone, beside what other checks need."""
    server.script["POST", SEARCH] = html(500)
    where = f'instances = ["{server.url}"]' if listed else f'base_url = "{server.url}"'
    drill = make_drill(tmp_path, toml=f'[service]\n{where}\ntenants = ["a", "b", "c"]\n')
    config = drill.config
    fewer = replace(config, smoke=replace(config.smoke, queries=[]), service=replace(config.service, tenants=[]))
    budgets = [budget_of(one, apply=True, judged=True, purge=False, reopen=False).checks for one in (config, fewer)]
    mixed = 0 if listed else 2 * (1 + NEW_EACH) * MIXED_ASKS
    assert (search(drill).samples or 0) <= budgets[0] - budgets[1] + mixed

"""Smoke tests: every shape of a wrong answer is a fail, and a right one is looked up."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from drill.checks import faiss_answers
from drill.checks.chat import chat
from drill.checks.smoke import embed, search
from drill.context import Drill
from drill.record import Evidence
from drill.verdict import Verdict
from tests.library.server import Answer, ScriptedService, as_json, html, scripted
from tests.library.world import Inventory, make_drill, with_primary

SEARCH, EMBED, CHAT = "/internal/retrieval/search", "/internal/retrieval/embed", "/chat/advise"


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """No newer snapshot comes."""
    monkeypatch.setattr(faiss_answers, "NEWER_S", 0.0)


@pytest.fixture
def server() -> Iterator[ScriptedService]:
    with scripted() as server:
        server.script["POST", SEARCH] = by_query
        yield server


def hit(name: object = "d1", score: object = 0.5, metadata: object = None) -> dict[str, object]:
    return {"id": name, "score": score, "metadata": {"tenant": "default"} if metadata is None else metadata}


def results(*items: object) -> Answer:
    return as_json({"results": list(items)})


def by_query(body: dict[str, Any]) -> Answer:
    assert set(body) == {"query", "top_k", "tenant"}
    return results(hit(body["query"].rpartition(" ")[2]))


def drill_of(folder: Path, *servers: ScriptedService, toml: str = "", primary: bool = True) -> Drill:
    urls = json.dumps([server.url for server in servers])
    drill = make_drill(folder, toml=f"[service]\ninstances = {urls}\n{toml}")
    return with_primary(drill) if primary else drill


def test_known_and_different_documents_of_the_right_tenant_pass(tmp_path: Path, server: ScriptedService) -> None:
    evidence = search(drill_of(tmp_path, server))
    assert evidence.verdict is Verdict.PASS
    assert (evidence.value, evidence.op, evidence.threshold, evidence.samples) == (0, "==", 0, 4)


def test_documents_named_by_numbers_are_those_of_the_inventory(tmp_path: Path, server: ScriptedService) -> None:
    """A service may answer with the number that FAISS's list of documents has."""
    server.script["POST", SEARCH] = lambda body: results(hit(int(body["query"].rpartition("d")[2])))
    drill = with_primary(drill_of(tmp_path, server), Inventory({"default": {"1", "2", "3"}}))
    drill.__dict__["primary"].sample_texts = lambda *_: ["text of d1", "text of d2", "text of d3"]
    assert search(drill).verdict is Verdict.PASS


@pytest.mark.parametrize("score", ["0.5", "-1e-3", 1, 0])
def test_scores_that_are_written_as_texts_are_scores(tmp_path: Path, server: ScriptedService, score: object) -> None:
    """And fields that nobody asked for are passed over."""
    server.script["POST", SEARCH] = lambda body: results(
        {**hit(body["query"].rpartition(" ")[2], score), "shard": 3, "highlights": None}
    )
    assert search(drill_of(tmp_path, server)).verdict is Verdict.PASS


WRONG = [
    pytest.param(html(), "expected JSON", id="a login page"),
    pytest.param(as_json([]), "expected JSON", id="a list"),
    pytest.param(as_json({}), "expected JSON", id="no results key"),
    pytest.param(as_json({"results": {}}), "expected JSON", id="results are a table"),
    pytest.param(as_json({"results": None}), "no results", id="results are null"),
    pytest.param(Answer(b"{", 200), "expected JSON", id="broken JSON"),
    pytest.param(Answer(b'{"results": [{"id": "d1"', 200), "expected JSON", id="JSON cut in half"),
    pytest.param(as_json({"results": [hit()]}, 500), "HTTP 500", id="an error status"),
    pytest.param(as_json({"results": [hit()]}, 302), "HTTP 302", id="a redirect"),
    pytest.param(results(), "no results", id="no results"),
    pytest.param(results("d1"), "a result without an id", id="results are texts"),
    pytest.param(results(hit(name=None)), "a result without an id", id="an id that is null"),
    pytest.param(results(hit(name=[1])), "a result without an id", id="an id that is a list"),
    pytest.param(results(hit(name=1)), "1 of 1 results are not in the FAISS", id="a number that no document has"),
    pytest.param(results(hit(name=1), hit(name="1")), "the same document twice", id="a number and a text alike"),
    pytest.param(results({"score": 1, "metadata": {}}), "a result without an id", id="no id"),
    pytest.param(results(hit(score="NaN")), "a score", id="a score that is NaN as a text"),
    pytest.param(results(hit(score="high")), "a score", id="a score that is a word"),
    pytest.param(results(hit(score=None)), "a score", id="a score that is null"),
    pytest.param(results({"id": "d1", "metadata": {}}), "a score", id="no score"),
    pytest.param(results(hit(score=True)), "a score", id="a score that is true"),
    pytest.param(results(hit(score=float("nan"))), "a score", id="a score that is NaN"),
    pytest.param(results(hit(score=float("inf"))), "a score", id="a score that is infinite"),
    pytest.param(results(hit(score=10**400)), "a score", id="a score beyond all numbers"),
    pytest.param(results(hit(metadata=[])), "without metadata", id="metadata that is a list"),
    pytest.param(results({"id": "d1", "score": 1}), "without metadata", id="no metadata"),
    pytest.param(results(hit(metadata={"tenant": "other"})), "another tenant", id="another tenant's document"),
    pytest.param(results(hit(), hit("d2", metadata={"tenant": None})), "another tenant", id="nobody's document"),
    pytest.param(results(hit(), hit()), "the same document twice", id="the same document twice"),
    pytest.param(results(hit("d9")), "1 of 1 results are not in the FAISS inventory", id="an unknown document"),
    pytest.param(results(hit(), hit("d8"), hit("d9")), "2 of 3 results are not in", id="mostly unknown documents"),
    pytest.param(results(hit()), "the same results for 3", id="always the same"),
]


@pytest.mark.parametrize(("answer", "reason"), WRONG)
def test_a_wrong_answer_to_a_search_fails(tmp_path: Path, server: ScriptedService, answer: Answer, reason: str) -> None:
    server.script["POST", SEARCH] = answer
    evidence = search(drill_of(tmp_path, server))
    assert evidence.verdict is Verdict.FAIL
    assert reason in evidence.reason


def test_a_few_documents_that_faiss_does_not_have_yet_are_unproven(tmp_path: Path, server: ScriptedService) -> None:
    """A service that answers from memory is ahead of its snapshot on the disk."""

    def with_a_new_one(body: dict[str, Any]) -> Answer:
        return results(hit(body["query"].rpartition(" ")[2]), hit("d9"))

    server.script["POST", SEARCH] = with_a_new_one
    evidence = search(drill_of(tmp_path, server))
    assert evidence.verdict is Verdict.INCONCLUSIVE
    assert "1 of 2 results are not in the FAISS inventory" in evidence.reason
    assert "ahead of its snapshot" in evidence.reason


def test_ids_that_are_numbers_are_looked_up(tmp_path: Path, server: ScriptedService) -> None:
    """JSON knows texts and numbers; FAISS's list may hold either."""

    def numbered(body: dict[str, Any]) -> Answer:
        return results(hit(int(body["query"].rpartition(" ")[2])))

    server.script["POST", SEARCH] = numbered
    drill = with_primary(drill_of(tmp_path, server), Inventory({"default": {"1", "2", "3"}}))
    assert search(drill).verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("ids", "twice", "verdict"),
    [
        (("d1", "d1", "d2"), 1, Verdict.PASS),
        (("d1", "d1", "d2"), 0, Verdict.FAIL),
        (("d1", "d1", "d1"), 1, Verdict.FAIL),
    ],
)
def test_what_stands_twice_in_faiss_may_stand_twice_in_an_answer(
    tmp_path: Path, server: ScriptedService, ids: tuple[str, ...], twice: int, verdict: Verdict
) -> None:
    """A service that appends and does not update finds both; one document alone is still no answer."""

    def answered(body: dict[str, Any]) -> Answer:
        return results(*map(hit, ids if "d1" in body["query"] else ids[::-1]))

    server.script["POST", SEARCH] = answered
    drill = drill_of(tmp_path, server)
    look = Inventory().look("default")
    drill.faiss_before = {"default": replace(look, facts=replace(look.facts, duplicate_ids=twice))}
    assert search(drill).verdict is verdict


def test_a_silent_service_fails(tmp_path: Path, server: ScriptedService) -> None:
    drill = drill_of(tmp_path, server, toml='search_path = "/nowhere"')
    assert search(drill).verdict is Verdict.FAIL


def test_one_wrong_instance_of_two_is_named(tmp_path: Path, server: ScriptedService) -> None:
    with scripted() as other:
        other.script["POST", SEARCH] = html(503)
        evidence = search(drill_of(tmp_path, server, other))
    assert evidence.verdict is Verdict.FAIL
    assert other.url.split("://")[1] in evidence.reason
    assert server.url.split("://")[1] not in evidence.reason
    assert evidence.value == 4


def test_metadata_without_a_tenant_is_no_proof_of_another_one(tmp_path: Path, server: ScriptedService) -> None:
    server.script["POST", SEARCH] = lambda body: results(hit(body["query"].rpartition(" ")[2], metadata={"lang": "en"}))
    assert search(drill_of(tmp_path, server)).verdict is Verdict.PASS


GOLDEN = (
    '[[smoke.queries]]\nquery = "find d1"\nexpect_ids = ["d1"]\n[[smoke.queries]]\nquery = "find d2"\nexpect_ids = %s'
)


@pytest.mark.parametrize(("expected", "verdict"), [('["d2"]', Verdict.PASS), ('["d2", "d3"]', Verdict.FAIL)])
def test_golden_documents_must_be_among_the_results(
    tmp_path: Path, server: ScriptedService, expected: str, verdict: Verdict
) -> None:
    evidence = search(drill_of(tmp_path, server, toml=GOLDEN % expected))
    assert evidence.verdict is verdict
    assert ("1 of 2 golden documents" in evidence.reason) is (verdict is Verdict.FAIL)


def test_answers_that_cannot_be_looked_up_are_inconclusive_but_wrong_ones_still_fail(
    tmp_path: Path, server: ScriptedService
) -> None:
    drill = drill_of(tmp_path, server, primary=False)
    assert search(drill).verdict is Verdict.INCONCLUSIVE
    server.script["POST", SEARCH] = results()
    assert search(drill).verdict is Verdict.FAIL


def test_many_problems_are_counted_not_all_spelled_out(tmp_path: Path, server: ScriptedService) -> None:
    status = iter(range(450, 500))
    server.script["POST", SEARCH] = lambda _body: html(next(status))
    queries = "\n".join(f'[[smoke.queries]]\nquery = "q{n}"' for n in range(6))
    evidence = search(drill_of(tmp_path, server, toml=queries))
    assert evidence.reason.endswith("and 3 more")
    assert evidence.reason.count("HTTP 45") == 4


def test_no_word_of_an_answer_is_repeated(tmp_path: Path, server: ScriptedService) -> None:
    server.script["POST", SEARCH] = results(hit("hunter2", metadata={"tenant": "hunter2"}), {"hunter2": "hunter2"})
    assert "hunter2" not in repr(search(drill_of(tmp_path, server)))


def embedded(*vectors: object) -> Answer:
    return as_json({"vectors": list(vectors)})


def embed_with(folder: Path, server: ScriptedService, answer: Answer, *, primary: bool = True) -> Evidence:
    server.script["POST", EMBED] = answer
    return embed(drill_of(folder, server, primary=primary))


def test_finite_different_vectors_of_faiss_s_dimension_pass(tmp_path: Path, server: ScriptedService) -> None:
    evidence = embed_with(tmp_path, server, embedded([1, 0.5], [0, 2]))
    assert evidence.verdict is Verdict.PASS
    assert evidence.detail["dimension"] == 2


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (html(), "expected JSON with 2 vectors"),
        (as_json([[1, 0], [0, 1]]), "expected JSON with 2 vectors"),
        (as_json({"vectors": {}}), "expected JSON with 2 vectors"),
        (as_json({"vectors": [[1, 0], [0, 1]]}, 500), "HTTP 500"),
        (embedded([1, 0]), "expected JSON with 2 vectors"),
        (embedded([1, 0], [0, 1], [1, 1]), "expected JSON with 2 vectors"),
        (embedded([1, 0], "01"), "something else than finite numbers"),
        (embedded([1, 0], [None, 1]), "something else than finite numbers"),
        (embedded([1, 0], [True, 1]), "something else than finite numbers"),
        (embedded([1, 0], [float("nan"), 1]), "something else than finite numbers"),
        (embedded([1, 0], [0.0, 0.0]), "a zero vector"),
        (embedded([1, 0], []), "a zero vector"),
        (embedded([1, 0], [1, 0, 0]), "dimensions [2, 3]"),
        (embedded([1, 0, 0], [0, 1, 0]), "dimensions [2, 3]"),
        (embedded([1, 0], [1, 0]), "the same vector for two different texts"),
    ],
)
def test_a_wrong_embedding_fails(tmp_path: Path, server: ScriptedService, answer: Answer, reason: str) -> None:
    evidence = embed_with(tmp_path, server, answer)
    assert evidence.verdict is Verdict.FAIL
    assert reason in evidence.reason


def test_without_faiss_the_instances_must_agree_on_the_dimension(tmp_path: Path, server: ScriptedService) -> None:
    assert embed_with(tmp_path, server, embedded([1, 0, 0], [0, 1, 0]), primary=False).verdict is Verdict.PASS
    with scripted() as other:
        other.script["POST", EMBED] = embedded([1, 0], [0, 1])
        (tmp_path / "two").mkdir()
        evidence = embed(drill_of(tmp_path / "two", server, other, primary=False))
    assert evidence.verdict is Verdict.FAIL
    assert "dimensions [2, 3]" in evidence.reason


def chat_with(folder: Path, server: ScriptedService, answer: Any, toml: str = "") -> Evidence:
    server.script["POST", CHAT] = answer
    return chat(drill_of(folder, server, toml=toml))


def test_non_empty_chat_answers_pass_after_several_tries(tmp_path: Path, server: ScriptedService) -> None:
    evidence = chat_with(tmp_path, server, as_json({"answer": "yes"}))
    assert (evidence.verdict, evidence.samples) == (Verdict.PASS, 3)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (as_json({"answer": ""}), "an empty answer"),
        (as_json({"answer": " \n"}), "an empty answer"),
        (as_json({"answer": None}), "expected JSON with an answer"),
        (as_json({"answer": ["yes"]}), "expected JSON with an answer"),
        (as_json({"reply": "yes"}), "expected JSON with an answer"),
        (as_json(["yes"]), "expected JSON with an answer"),
        (as_json({"answer": "yes"}, 500), "HTTP 500"),
        (html(), "text/html"),
    ],
)
def test_a_wrong_chat_answer_fails(tmp_path: Path, server: ScriptedService, answer: Answer, reason: str) -> None:
    evidence = chat_with(tmp_path, server, answer)
    assert evidence.verdict is Verdict.FAIL
    assert reason in evidence.reason


YES = as_json({"answer": "yes"})


@pytest.mark.parametrize("bad", [html(500), html(503), as_json({"answer": "yes"}, 500)])
def test_one_failed_request_is_for_the_error_rate_to_judge(
    tmp_path: Path, server: ScriptedService, bad: Answer
) -> None:
    answers = iter([YES, bad, YES, YES])
    evidence = chat_with(tmp_path, server, lambda _body: next(answers))
    assert evidence.verdict is Verdict.PASS
    assert evidence.samples == 4


def test_a_chat_that_fails_every_other_time_fails(tmp_path: Path, server: ScriptedService) -> None:
    answers = iter([YES, html(500), YES, html(500), YES])
    evidence = chat_with(tmp_path, server, lambda _body: next(answers))
    assert evidence.verdict is Verdict.FAIL
    assert evidence.reason == "2 of 5 requests failed"


def test_a_request_that_fails_twice_is_a_wrong_answer(tmp_path: Path, server: ScriptedService) -> None:
    answers = iter([YES, YES, html(500), html(500)])
    evidence = chat_with(tmp_path, server, lambda _body: next(answers))
    assert evidence.verdict is Verdict.FAIL
    assert "try 3: HTTP 500" in evidence.reason


@pytest.mark.parametrize("status", [404, 499])
def test_a_wrong_answer_that_is_no_fault_of_the_server_is_not_asked_again(
    tmp_path: Path, server: ScriptedService, status: int
) -> None:
    answers = iter([YES, as_json({"answer": "yes"}, status), YES])
    evidence = chat_with(tmp_path, server, lambda _body: next(answers))
    assert (evidence.verdict, evidence.value, evidence.samples) == (Verdict.FAIL, 1, 3)
    assert f"try 2: HTTP {status}" in evidence.reason


@pytest.mark.parametrize(("limit", "verdict"), [(0.14, Verdict.FAIL), (0.15, Verdict.PASS)])
def test_failed_requests_are_too_many_by_the_lower_bound_of_their_rate(
    tmp_path: Path, server: ScriptedService, limit: float, verdict: Verdict
) -> None:
    answers = iter([YES, html(500), YES, html(500), YES])
    evidence = chat_with(tmp_path, server, lambda _body: next(answers), toml=f"[slo]\nerror_rate = {limit}")
    assert evidence.verdict is verdict


def test_where_instances_are_not_listed_the_one_address_is_asked_again_and_again(
    tmp_path: Path, server: ScriptedService
) -> None:
    asked = iter(range(1000))

    def one_in_twenty_is_wrong(body: dict[str, Any]) -> Answer:
        return results(hit("gone")) if next(asked) % 20 == 19 else by_query(body)

    server.script["POST", SEARCH] = one_in_twenty_is_wrong
    drill = with_primary(make_drill(tmp_path, toml=f'[service]\nbase_url = "{server.url}"'))
    evidence = search(drill)
    assert evidence.samples == 40
    assert evidence.verdict is Verdict.FAIL
    assert "asked again 5" in evidence.reason


def test_one_query_that_is_asked_again_may_find_the_same(tmp_path: Path, server: ScriptedService) -> None:
    server.script["POST", SEARCH] = results(hit())
    drill = make_drill(tmp_path, toml=f'[service]\nbase_url = "{server.url}"\n[[smoke.queries]]\nquery = "one"')
    assert search(with_primary(drill)).verdict is Verdict.PASS


def test_the_chat_s_body_and_key_are_the_configured_ones(tmp_path: Path, server: ScriptedService) -> None:
    seen = []

    def answer(body: dict[str, Any]) -> Answer:
        seen.append(body)
        return as_json({"text": "yes"})

    toml = 'chat_answer_key = "text"\nchat_body = {message = "hi"}'
    assert chat_with(tmp_path, server, answer, toml).verdict is Verdict.PASS
    assert seen == [{"message": "hi"}] * 3


def test_without_a_chat_there_is_nothing_to_run_and_nothing_required(tmp_path: Path, server: ScriptedService) -> None:
    drill = drill_of(tmp_path, server, toml='chat_path = ""')
    assert chat(drill).verdict is Verdict.NOT_RUN
    assert not drill.record.entries["smoke.chat"].required
    assert server.asked == []


def test_tenants_without_golden_queries_are_asked_texts_of_their_own_documents(
    tmp_path: Path, server: ScriptedService
) -> None:
    drill = drill_of(tmp_path, server, toml='tenants = ["default", "acme"]\n' + GOLDEN % "[]")
    with_primary(drill, Inventory({"default": {"d1"}, "acme": {"d7", "d8"}}))
    assert drill.queries == [
        ("default", "find d1"),
        ("default", "find d2"),
        ("acme", "text of d7"),
        ("acme", "text of d8"),
    ]


def test_without_golden_queries_and_documents_something_is_asked_all_the_same(
    tmp_path: Path, server: ScriptedService
) -> None:
    assert drill_of(tmp_path, server, primary=False).queries == [("default", "status")]

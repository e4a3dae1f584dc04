"""After the rollback: endpoints and the last look at the backend."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from drill import http
from drill.checks import history, post
from drill.checks.history import last_success
from drill.checks.post import MOST_ENDPOINTS, backend, endpoints
from drill.context import Drill
from drill.observation import Between, Reading
from drill.probe import ProbeResult
from drill.verdict import Verdict
from tests.library.server import CLASSIC, Answer, ScriptedService, as_json, html, scripted
from tests.library.world import Probes, make_drill, reading, served, with_primary, with_probes

SEARCH, EMBED = "/internal/retrieval/search", "/internal/retrieval/embed"
INTERNAL = "/internal/retrieval"


@pytest.fixture
def server() -> Iterator[ScriptedService]:
    with scripted() as server:
        server.script["POST", SEARCH] = as_json({"results": []})
        server.script["POST", EMBED] = as_json({"vectors": []})
        yield server


@pytest.fixture
def drill(tmp_path: Path, server: ScriptedService) -> Drill:
    return with_primary(make_drill(tmp_path, toml=f'[service]\nbase_url = "{server.url}"'))


def listed(server: ScriptedService, paths: object) -> None:
    server.script["GET", "/openapi.json"] = as_json({"paths": paths})


def test_of_a_listing_of_60_000_paths_a_bounded_number_is_asked(drill: Drill, server: ScriptedService) -> None:
    """Search and embed among them; the listing that all of them stand in is read within the bound of any answer."""
    listed(server, {f"{INTERNAL}/x{number}": {"get": {}, "delete": {}} for number in range(60_000)})
    evidence = endpoints(drill, served())
    asked = [path for _, path in server.asked if path.startswith(INTERNAL)]
    assert len(set(asked)) == MOST_ENDPOINTS
    assert {SEARCH, EMBED} < set(asked)
    assert len(asked) <= 2 * MOST_ENDPOINTS
    assert evidence.threshold == MOST_ENDPOINTS


def test_listed_endpoints_are_asked_for_a_bounded_time(
    drill: Drill, server: ScriptedService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Search and embed are asked all the same; what was not asked is said, and is no pass."""
    monkeypatch.setattr(post, "LONGEST_S", 0.0)
    listed(server, {f"{INTERNAL}/stats": {"get": {}}, f"{INTERNAL}/info": {"get": {}}})
    evidence = endpoints(drill, served())
    assert {path for _, path in server.asked if path.startswith(INTERNAL)} == {SEARCH, EMBED}
    assert evidence.verdict is Verdict.INCONCLUSIVE
    assert "2 endpoints were not asked" in evidence.reason


@pytest.mark.parametrize(
    "path",
    [
        f"{INTERNAL}/a\nb",
        f"{INTERNAL}/\x1b[2J",
        f"{INTERNAL}/../../admin",
        f"{INTERNAL}/x?a=1",
        f"{INTERNAL}/{'x' * 999}",
    ],
)
def test_a_listed_path_that_is_none_is_not_asked(drill: Drill, server: ScriptedService, path: str) -> None:
    """One beside it that is well formed is."""
    listed(server, {path: {"get": {}}, f"{INTERNAL}/well": {"get": {}}})
    server.script["GET", f"{INTERNAL}/well"] = as_json({})
    evidence = endpoints(drill, served())
    assert (evidence.verdict, evidence.value) == (Verdict.PASS, 3)


@pytest.mark.parametrize(
    "body", [b"[" * 200_000, b'{"paths": ' * 50_000, b'{"paths": NaN}', b'{"paths": [1, 2]}', b"\xff"]
)
def test_a_listing_that_is_none_costs_itself(drill: Drill, server: ScriptedService, body: bytes) -> None:
    """Search and embed are asked as without one."""
    server.script["GET", "/openapi.json"] = Answer(body, 200, "application/json")
    assert endpoints(drill, served()).verdict is Verdict.PASS


def test_search_and_embed_are_asked_without_a_listing(drill: Drill, server: ScriptedService) -> None:
    evidence = endpoints(drill, served())
    assert evidence.verdict is Verdict.PASS
    assert (evidence.value, evidence.op, evidence.threshold) == (2, "==", 2)
    assert ("POST", SEARCH) in server.asked
    assert ("POST", EMBED) in server.asked


def test_a_listed_endpoint_that_is_broken_fails_and_is_named(drill: Drill, server: ScriptedService) -> None:
    listed(server, {f"{INTERNAL}/stats": {"get": {}}, f"{INTERNAL}/status": {"get": {}}})
    server.script["GET", f"{INTERNAL}/status"] = as_json({})
    server.script["GET", f"{INTERNAL}/stats"] = as_json({}, 500)
    evidence = endpoints(drill, served())
    assert evidence.verdict is Verdict.FAIL
    assert f"{INTERNAL}/stats: HTTP 500" in evidence.reason
    assert f"{INTERNAL}/status" not in evidence.reason
    assert (evidence.value, evidence.threshold) == (3, 4)


@pytest.mark.parametrize(
    ("method", "status", "verdict"),
    [
        ("get", 200, Verdict.PASS),
        ("get", 204, Verdict.PASS),
        ("get", 422, Verdict.PASS),
        ("get", 404, Verdict.FAIL),
        ("get", 405, Verdict.FAIL),
        ("get", 401, Verdict.FAIL),
        ("get", 302, Verdict.FAIL),
        ("get", 503, Verdict.FAIL),
        ("delete", 200, Verdict.PASS),
        ("delete", 405, Verdict.PASS),
        ("delete", 404, Verdict.FAIL),
        ("delete", 410, Verdict.FAIL),
        *(("delete", status, Verdict.PASS) for status in (400, 401, 403, 422, 501)),
        ("delete", 500, Verdict.FAIL),
    ],
)
def test_what_counts_as_an_answer(
    drill: Drill, server: ScriptedService, method: str, status: int, verdict: Verdict
) -> None:
    listed(server, {f"{INTERNAL}/x": {method: {}}})
    server.script["GET" if method == "get" else "OPTIONS", f"{INTERNAL}/x"] = Answer(b"", status)
    assert endpoints(drill, served()).verdict is verdict


@pytest.mark.parametrize("path", [SEARCH, EMBED])
@pytest.mark.parametrize("status", [405, 422, 404, 500])
def test_search_and_embed_must_answer_a_real_request_well(
    drill: Drill, server: ScriptedService, path: str, status: int
) -> None:
    server.script["POST", path] = as_json({}, status)
    evidence = endpoints(drill, served())
    assert evidence.verdict is Verdict.FAIL
    assert f"{path}: HTTP {status}" in evidence.reason


def test_a_login_page_with_status_200_is_no_answer_of_an_endpoint(drill: Drill, server: ScriptedService) -> None:
    server.script["POST", "/internal/retrieval/embed"] = html()
    evidence = endpoints(drill, served())
    assert evidence.verdict is Verdict.FAIL
    assert "/internal/retrieval/embed" in evidence.reason


def test_an_endpoint_that_fails_once_is_asked_again(drill: Drill, server: ScriptedService) -> None:
    answers = iter([html(503), as_json({"vectors": [[1.0]]})])
    server.script["POST", "/internal/retrieval/embed"] = lambda _body: next(answers)
    assert endpoints(drill, served()).verdict is Verdict.PASS


def test_an_endpoint_that_answers_is_asked_once(drill: Drill, server: ScriptedService) -> None:
    endpoints(drill, served())
    assert (server.asked.count(("POST", SEARCH)), server.asked.count(("POST", EMBED))) == (1, 1)


def test_an_endpoint_that_does_not_answer_in_time_is_not_asked_again(
    drill: Drill, server: ScriptedService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "SLOW_S", 0.0)
    listed(server, {f"{INTERNAL}/x": {"get": {}}})
    asked = []

    def hang_up(_body: object) -> Answer:
        asked.append(1)
        raise ConnectionAbortedError

    server.script["GET", f"{INTERNAL}/x"] = hang_up
    evidence = endpoints(drill, served())
    assert evidence.verdict is Verdict.FAIL
    assert len(asked) == 1
    seen = evidence.detail[f"{server.url[7:]}{INTERNAL}/x"]
    assert isinstance(seen, str)
    assert seen in evidence.reason


def test_a_page_in_html_to_options_shows_that_an_endpoint_is_there(drill: Drill, server: ScriptedService) -> None:
    listed(server, {f"{INTERNAL}/x": {"post": {}}})
    server.script["OPTIONS", f"{INTERNAL}/x"] = html()
    assert endpoints(drill, served()).verdict is Verdict.PASS


def test_search_is_asked_the_first_of_the_configured_queries(tmp_path: Path, server: ScriptedService) -> None:
    asked = []

    def answer(body: dict[str, Any]) -> Answer:
        asked.append(body["query"])
        return as_json({"results": []})

    server.script["POST", SEARCH] = answer
    queries = "\n".join(f'[[smoke.queries]]\nquery = "{name}"' for name in ("first", "second", "last"))
    drill = make_drill(tmp_path, toml=f'[service]\nbase_url = "{server.url}"\n{queries}')
    endpoints(with_primary(drill), served())
    assert asked == ["first"]


@pytest.mark.parametrize(("get", "verdict"), [(405, Verdict.PASS), (404, Verdict.FAIL), (200, Verdict.FAIL)])
def test_a_router_that_does_not_know_options_says_by_get_that_the_path_is_there(
    drill: Drill, server: ScriptedService, get: int, verdict: Verdict
) -> None:
    """405 to GET says that the path is there for another method; 404 to both says that nothing is."""
    listed(server, {f"{INTERNAL}/x": {"post": {}}})
    server.script["OPTIONS", f"{INTERNAL}/x"] = as_json({}, 404)
    server.script["GET", f"{INTERNAL}/x"] = as_json({}, get)
    assert endpoints(drill, served()).verdict is verdict


def test_endpoints_that_may_write_are_asked_nothing_but_options(drill: Drill, server: ScriptedService) -> None:
    paths: dict[str, object] = {f"{INTERNAL}/{method}": {method: {}} for method in ("post", "put", "patch", "delete")}
    listed(server, paths)
    for path in paths:
        server.script["OPTIONS", path] = as_json({}, 405)
    assert endpoints(drill, served()).verdict is Verdict.PASS
    asked = [(method, path) for method, path in server.asked if path in paths]
    assert asked == [("OPTIONS", path) for path in paths]


def test_an_endpoint_that_reads_and_writes_is_only_read(drill: Drill, server: ScriptedService) -> None:
    listed(server, {f"{INTERNAL}/documents": {"GET": {}, "DELETE": {}}})
    server.script["GET", f"{INTERNAL}/documents"] = as_json([])
    assert endpoints(drill, served()).verdict is Verdict.PASS
    assert {method for method, path in server.asked if path.endswith("documents")} == {"GET"}


def test_other_endpoints_and_those_with_parameters_are_left_alone(drill: Drill, server: ScriptedService) -> None:
    listed(server, {"/admin": {"get": {}}, f"{INTERNAL}/doc/{{id}}": {"get": {}}, f"{INTERNAL}/odd": []})
    evidence = endpoints(drill, served())
    assert (evidence.verdict, evidence.value, evidence.threshold) == (Verdict.PASS, 2, 2)
    assert {method for method, _ in server.asked} == {"GET", "POST"}
    assert set(evidence.detail.values()) == {"HTTP 200"}


@pytest.mark.parametrize("answer", [html(), as_json([]), as_json({"paths": []}), as_json({}, 404)])
def test_a_listing_that_is_none_lists_nothing(drill: Drill, server: ScriptedService, answer: Answer) -> None:
    server.script["GET", "/openapi.json"] = answer
    assert endpoints(drill, served()).verdict is Verdict.PASS


def test_every_instance_is_asked(tmp_path: Path, server: ScriptedService) -> None:
    with scripted() as other:
        other.script["POST", SEARCH] = as_json({"results": []})
        urls = json.dumps([server.url, other.url])
        evidence = endpoints(with_primary(make_drill(tmp_path, toml=f"[service]\ninstances = {urls}")), served())
    assert evidence.verdict is Verdict.FAIL
    assert (evidence.value, evidence.threshold) == (3, 4)
    assert other.url.split("://")[1] + EMBED in evidence.reason


def exposed(requests: int, backend_name: str = "faiss") -> Answer:
    text = f'process_start_time_seconds 1\nretrieval_requests_total{{backend="{backend_name}"}} {requests}\n'
    return Answer(f"# TYPE retrieval_requests_total counter\n{text}".encode(), kind=CLASSIC)


def last_look(drill: Drill, server: ScriptedService, *, backend_name: str = "faiss", health: Answer) -> Verdict:
    server.script["GET", "/health"] = health
    server.script["GET", "/metrics"] = exposed(0, backend_name)
    drill.settled = drill.read_metrics()
    probe = Probes([ProbeResult(drill.settled.ended, drill.service.instances[0], 0.0, ok=True, error="")])
    server.script["GET", "/metrics"] = exposed(1, backend_name)
    return backend(with_probes(drill, probe), served()).verdict


def test_faiss_to_the_end_on_a_healthy_service_passes(drill: Drill, server: ScriptedService) -> None:
    assert last_look(drill, server, health=as_json({})) is Verdict.PASS


def test_a_service_that_is_sick_at_the_end_fails(drill: Drill, server: ScriptedService) -> None:
    assert last_look(drill, server, health=as_json({}, 503)) is Verdict.FAIL
    assert last_look(drill, server, health=html(503)) is Verdict.FAIL
    assert last_look(drill, server, health=html()) is Verdict.PASS, "the status decides, not the kind of the page"


def test_another_backend_at_the_end_fails(drill: Drill, server: ScriptedService) -> None:
    assert last_look(drill, server, backend_name="pgvector", health=as_json({})) is Verdict.FAIL


@pytest.mark.parametrize(("waits", "glanced"), [(True, [False]), (False, [True])])
def test_the_last_look_does_not_wait_for_a_source_that_would_have_to(
    drill: Drill, monkeypatch: pytest.MonkeyPatch, waits: bool, glanced: list[bool]
) -> None:
    waited = []

    class Source:
        def read(self, _instances: object, *, wait: bool = True) -> Reading:
            waited.append(wait)
            return reading(30.0)

        def between(self, _first: Reading, _last: Reading) -> Between:
            return Between()

    source = Source()
    source.waits = waits  # type: ignore[attr-defined]
    drill.__dict__["source"] = source
    drill.settled = reading(0.0)
    backend(with_probes(drill, Probes()), served())
    assert waited == glanced


def line(result: str = "success", *, apply: bool = True, env: str = "mine", p50: object = 4, p95: object = 90) -> str:
    checks = [{"id": "post.primary_latency", "value": p50}, {"id": "slo.latency", "value": p95}, "odd"]
    known = {"drill_id": "d", "env_file": ".env", "env_id": env}
    return json.dumps({**known, "result": result, "apply": apply, "checks": checks})


def test_the_last_success_of_this_env_is_the_newest_that_was_applied(tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    assert last_success(journal, "mine") == {}
    lines = [line(p50=1), line(p50=2), line("failure", p50=3), line(apply=False, p50=4), line(env="other", p50=5)]
    lines.append(line(env="", p50=6))
    journal.write_text("\n".join([*lines, "torn {", "[]"]))
    assert last_success(journal, "mine") == {"P50": 2.0, "P95": 90.0}
    assert last_success(journal, "none") == last_success(journal, "") == {}


@pytest.mark.parametrize(("short_by", "found"), [(0, {"P50": 4.0, "P95": 90.0}), (1, {})])
def test_the_journal_is_searched_back_so_many_bytes_and_no_further(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, short_by: int, found: dict[str, float]
) -> None:
    journal = tmp_path / "journal"
    journal.write_text(f"{line(p50=1)}\n{line()}")
    monkeypatch.setattr(history, "MAX_TAIL_BYTES", len(line()) - short_by)
    assert last_success(journal, "mine") == found


def test_a_success_without_numbers_is_no_baseline(tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    journal.write_text(line(p50=None, p95="90"))
    assert last_success(journal, "mine") == {}

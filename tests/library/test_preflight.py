"""Prerequisites: what is missing is said before anything is changed."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from drill.checks import preflight
from drill.context import Drill
from drill.errors import WindowClosed
from drill.verdict import Verdict
from tests.library.server import CLASSIC, Answer, ScriptedService, as_json, html, scripted
from tests.library.world import MIGRATING, Inventory, make_drill, with_primary

PATHS = ("/internal/retrieval/search", "/internal/retrieval/embed", "/chat/advise")


@pytest.fixture
def server() -> Iterator[ScriptedService]:
    with scripted() as server:
        server.script["GET", "/health"] = as_json({})
        server.script["GET", "/metrics"] = exposed()
        for path in PATHS:
            server.script["OPTIONS", path] = as_json({}, 405)
        yield server


@pytest.fixture
def drill(tmp_path: Path, server: ScriptedService) -> Drill:
    return drill_of(tmp_path, server)


def drill_of(folder: Path, *servers: ScriptedService, toml: str = "") -> Drill:
    urls = json.dumps([server.url for server in servers])
    return make_drill(folder, toml=f"[service]\ninstances = {urls}\n{toml}")


def exposed(*, without: str = "", started: float = 1.0, requests: int = 3) -> Answer:
    lines = [
        f"# TYPE {name} counter" for name in preflight.NEEDED if name not in {without, "process_start_time_seconds"}
    ]
    lines += ["# TYPE process_start_time_seconds gauge", f"process_start_time_seconds {started}"]
    lines += [] if without == "retrieval_requests_total" else [f"retrieval_requests_total {requests}"]
    return Answer("\n".join([*lines, ""]).encode(), kind=CLASSIC)


def test_healthy_instances_with_their_endpoints_pass(drill: Drill) -> None:
    evidence = preflight.service(drill)
    assert evidence.verdict is Verdict.PASS
    assert (evidence.value, evidence.op, evidence.threshold) == (1, "==", 1)


@pytest.mark.parametrize("answer", [as_json({}, 503), html(), as_json({}, 302)])
def test_a_sick_instance_fails(drill: Drill, server: ScriptedService, answer: Answer) -> None:
    server.script["GET", "/health"] = answer
    evidence = preflight.service(drill)
    assert (evidence.verdict, evidence.value) == (Verdict.FAIL, 0)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(("status", "verdict"), [(404, Verdict.FAIL), (500, Verdict.FAIL), (401, Verdict.PASS)])
def test_an_endpoint_that_is_not_there_fails(
    drill: Drill, server: ScriptedService, path: str, status: int, verdict: Verdict
) -> None:
    server.script["OPTIONS", path] = as_json({}, status)
    evidence = preflight.service(drill)
    assert evidence.verdict is verdict
    assert (path in evidence.reason) is (verdict is Verdict.FAIL)


def test_nothing_is_written_to_find_an_endpoint(drill: Drill, server: ScriptedService) -> None:
    preflight.service(drill)
    assert {method for method, _ in server.asked} == {"GET", "OPTIONS"}


def test_one_dead_instance_of_two_is_named_and_counted(tmp_path: Path, server: ScriptedService) -> None:
    with scripted() as other:
        pass
    evidence = preflight.service(drill_of(tmp_path, server, other))
    assert (evidence.verdict, evidence.value, evidence.threshold) == (Verdict.FAIL, 1, 2)
    assert other.url.split("://")[1] in evidence.reason


def test_metrics_of_one_living_process_with_every_family_pass(drill: Drill) -> None:
    evidence = preflight.metrics(drill)
    assert (evidence.verdict, evidence.value) == (Verdict.PASS, len(preflight.NEEDED))


@pytest.mark.parametrize("family", preflight.NEEDED[:-1])
def test_a_family_that_is_missing_is_named(drill: Drill, server: ScriptedService, family: str) -> None:
    server.script["GET", "/metrics"] = exposed(without=family)
    evidence = preflight.metrics(drill)
    assert evidence.verdict is Verdict.INCONCLUSIVE
    assert family in evidence.reason


@pytest.mark.parametrize("answer", [html(), Answer(b"", 200, CLASSIC), as_json({}, 404)])
def test_metrics_that_cannot_be_read_are_an_error(drill: Drill, server: ScriptedService, answer: Answer) -> None:
    server.script["GET", "/metrics"] = answer
    assert preflight.metrics(drill).verdict is Verdict.ERROR


@pytest.mark.parametrize(
    ("odd", "seen"),
    [(exposed(started=2.0), "several start times"), (exposed(requests=2), "went down without a restart")],
)
def test_an_address_that_is_answered_by_several_workers_cannot_be_judged(
    drill: Drill, server: ScriptedService, odd: Answer, seen: str
) -> None:
    answers = iter([exposed(), exposed(), odd])
    server.script["GET", "/metrics"] = lambda _body: next(answers, exposed(requests=9))
    evidence = preflight.metrics(drill)
    assert evidence.verdict is Verdict.INCONCLUSIVE
    assert seen in evidence.reason


@pytest.mark.parametrize(
    ("share", "verdict"),
    [(1.0, Verdict.PASS), (0.5, Verdict.INCONCLUSIVE), (0.9, Verdict.INCONCLUSIVE), (0.0, Verdict.PASS)],
)
def test_metrics_that_count_a_part_of_what_only_the_drill_sends_are_those_of_one_worker_of_several(
    drill: Drill, server: ScriptedService, share: float, verdict: Verdict
) -> None:
    def metrics(_body: object) -> Answer:
        asked = sum(method == "OPTIONS" for method, _ in server.asked)
        page = exposed()
        counted = f'http_requests_total{{method="OPTIONS",route="/x",status="405"}} {int(share * asked)}\n'.encode()
        page.body += b"# TYPE http_requests_total counter\n" + counted
        return page

    server.script["GET", "/metrics"] = metrics
    evidence = preflight.metrics(drill)
    assert evidence.verdict is verdict
    assert ("only this drill sends" in evidence.reason) == (verdict is Verdict.INCONCLUSIVE)


def test_metrics_that_count_the_requests_of_others_meanwhile_pass(drill: Drill, server: ScriptedService) -> None:
    counts = iter(range(3, 100))
    server.script["GET", "/metrics"] = lambda _body: exposed(requests=next(counts))
    assert preflight.metrics(drill).verdict is Verdict.PASS


def test_an_index_to_fall_back_to_passes_and_none_known_is_inconclusive(drill: Drill) -> None:
    assert preflight.faiss(drill).verdict is Verdict.INCONCLUSIVE
    evidence = preflight.faiss(with_primary(drill))
    assert (evidence.verdict, evidence.value, evidence.op, evidence.threshold) == (Verdict.PASS, 3, ">=", 1)


def test_indexes_of_different_dimensions_fail(tmp_path: Path, server: ScriptedService) -> None:
    class Mixed(Inventory):
        def check(self, tenant: str):  # type: ignore[no-untyped-def]  # noqa: ANN202 - as the base class
            self.dimension += 1
            return super().check(tenant)

    drill = drill_of(tmp_path, server, toml='tenants = ["a", "b"]')
    evidence = preflight.faiss(with_primary(drill, Mixed({"a": {"1"}, "b": {"2"}})))
    assert evidence.verdict is Verdict.FAIL


def opened(folder: Path, opens_h: float | None, closes_h: float | None, **choices: object) -> Drill:
    def at(hours: float | None) -> str:
        return "" if hours is None else (datetime.now(UTC) + timedelta(hours=hours)).isoformat()

    return make_drill(folder, toml=f'[window]\nopens = "{at(opens_h)}"\ncloses = "{at(closes_h)}"', **choices)


@pytest.mark.parametrize(
    ("opens_h", "closes_h", "verdict"),
    [
        (None, None, Verdict.PASS),
        (-1, 1, Verdict.PASS),
        (-1, None, Verdict.PASS),
        (None, 1, Verdict.PASS),
        (1, 2, Verdict.FAIL),
        (1, None, Verdict.FAIL),
        (-2, -1, Verdict.FAIL),
        (None, -1, Verdict.FAIL),
    ],
)
def test_the_firing_window(tmp_path: Path, opens_h: float | None, closes_h: float | None, verdict: Verdict) -> None:
    assert preflight.window(opened(tmp_path, opens_h, closes_h)).verdict is verdict


def test_outside_the_window_apply_is_refused_but_for_an_incident(tmp_path: Path) -> None:
    drill = opened(tmp_path, 1, 2, apply=True)
    with pytest.raises(WindowClosed, match="outside the firing window"):
        preflight.window(drill)
    drill.record.notes = "incident-4711 pgvector down"
    assert preflight.window(drill).verdict is Verdict.PASS


def test_the_plan_names_the_flags_that_change(tmp_path: Path, drill: Drill) -> None:
    assert preflight.env_file(drill).reason.startswith("nothing to change")
    folder = tmp_path / "migrating"
    folder.mkdir()
    evidence = preflight.env_file(make_drill(folder, env=f"{MIGRATING}API_KEY=hunter2\n"))
    assert evidence.verdict is Verdict.PASS
    assert {"FF_RETRIEVAL_DUAL_WRITE", "FF_RETRIEVAL_SHADOW_READ", "RETRIEVAL_BACKEND"} <= set(evidence.detail)
    assert "hunter2" not in repr(evidence)

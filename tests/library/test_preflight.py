"""Prerequisites: what is missing is said before anything is changed."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from drill.checks import preflight
from drill.context import Drill
from drill.environment import environment_id
from drill.http import Reply
from drill.observation import Reading
from drill.primary import IndexFacts
from drill.probe import ProbeResult
from drill.record import Evidence
from drill.service import Health
from drill.unfinished import Event, UnfinishedDrill
from drill.verdict import Verdict
from tests.library.server import CLASSIC, Answer, ScriptedService, as_json, html, scripted
from tests.library.world import (
    MIGRATING,
    A,
    Inventory,
    Probes,
    make_drill,
    reading,
    snapshot,
    with_primary,
    with_probes,
)

PATHS = ("/internal/retrieval/search", "/internal/retrieval/embed", "/chat/advise")


@pytest.fixture
def server() -> Iterator[ScriptedService]:
    with scripted() as server:
        server.script["GET", "/health"] = as_json({})
        server.script["GET", "/metrics"] = exposed()
        serve(server)
        yield server


def serve(server: ScriptedService, paths: Sequence[str] = PATHS) -> None:
    """Have ``server`` serve ``paths``, as a router does that knows their method."""
    for path in paths:
        server.script["OPTIONS", path] = as_json({}, 405)
        server.script["POST", path] = as_json({})


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


@pytest.mark.parametrize("answer", [as_json({}, 503), html(503), as_json({}, 302)])
def test_a_sick_instance_fails(drill: Drill, server: ScriptedService, answer: Answer) -> None:
    server.script["GET", "/health"] = answer
    evidence = preflight.service(drill)
    assert (evidence.verdict, evidence.value) == (Verdict.FAIL, 0)


@pytest.mark.parametrize(
    ("before", "answered", "rolled_back", "verdict"),
    [
        (503, True, True, Verdict.PASS),
        (503, False, True, Verdict.FAIL),
        (503, True, False, Verdict.FAIL),
        (200, True, True, Verdict.FAIL),
    ],
)
def test_after_the_rollback_a_health_that_was_as_bad_before_gives_way_to_searches(
    drill: Drill, server: ScriptedService, before: int, answered: bool, rolled_back: bool, verdict: Verdict
) -> None:
    server.script["GET", "/health"] = as_json({}, 503)
    drill.look.begun = True
    drill.look.note([Health(server.url, Reply(before, "", b"", 0.01))])
    drill.look.end()
    drill.settled, drill.rolled_back = reading(1.0, snapshot(server.url)), rolled_back
    with_probes(drill, Probes([ProbeResult(2.0, server.url, 0.01, answered, "")]))
    evidence = preflight.service(drill)
    assert evidence.verdict is verdict
    assert ("as before the rollback, and searches are answered" in evidence.reason) is (verdict is Verdict.PASS)


def test_one_dead_instance_of_two_is_named_and_counted(tmp_path: Path, server: ScriptedService) -> None:
    with scripted() as other:
        pass
    evidence = preflight.service(drill_of(tmp_path, server, other))
    assert (evidence.verdict, evidence.value, evidence.threshold) == (Verdict.FAIL, 1, 2)
    assert other.url.split("://")[1] in evidence.reason


def test_an_instance_with_several_endpoints_missing_is_one_sick_instance(
    tmp_path: Path, server: ScriptedService
) -> None:
    with scripted() as other:
        other.script["GET", "/health"] = as_json({})
        serve(other, PATHS[1:2])
        evidence = preflight.service(drill_of(tmp_path, server, other))
    assert (evidence.verdict, evidence.value, evidence.threshold) == (Verdict.FAIL, 1, 2)


def test_how_long_health_took_is_shown_to_a_tenth_of_a_millisecond(
    drill: Drill, monkeypatch: pytest.MonkeyPatch
) -> None:
    reply = Reply(200, "application/json", b"{}", 1.23456)
    monkeypatch.setattr(type(drill.service), "health", lambda self, _instances=None: [Health(self.instances[0], reply)])
    assert list(preflight.service(drill).detail.values()) == [1234.6]


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


def test_a_page_without_types_is_told_what_it_lacks(drill: Drill, server: ScriptedService) -> None:
    """A counter that has no samples yet is not there, and its name is not what is wrong."""
    lines = exposed().body.splitlines(keepends=True)
    server.script["GET", "/metrics"] = Answer(
        b"".join(line for line in lines if not line.startswith(b"#")), kind=CLASSIC
    )
    evidence = preflight.metrics(drill)
    assert evidence.verdict is Verdict.INCONCLUSIVE
    assert "without TYPE or HELP" in evidence.reason


def test_metrics_that_count_the_requests_of_others_meanwhile_pass(drill: Drill, server: ScriptedService) -> None:
    counts = iter(range(3, 100))
    server.script["GET", "/metrics"] = lambda _body: exposed(requests=next(counts))
    assert preflight.metrics(drill).verdict is Verdict.PASS


@dataclass
class Recent:
    """Stands for a source whose last readings are these."""

    readings: list[Reading]
    waits: bool = True

    def recent(self, _instances: object, _count: int) -> list[Reading]:
        return self.readings


def recent(drill: Drill, *readings: Reading) -> Evidence:
    drill.__dict__["source"] = Recent(list(readings))
    return preflight.metrics(drill)


def test_of_several_readings_the_last_is_judged_and_says_where_it_is_from(drill: Drill) -> None:
    old, new = Reading(0, 0, {}, {A: "a is down"}), Reading(1, 1, {A: snapshot(A)})
    evidence = recent(drill, old, new)
    assert (evidence.verdict, evidence.reason) == (Verdict.PASS, "11 families on 1 instance, from Prometheus")
    assert recent(drill, new, old).verdict is Verdict.ERROR
    assert recent(drill, new, replace(new, doubts={A: "a is stale"})).reason == "a is stale"


def test_metrics_say_if_they_were_read_directly(drill: Drill) -> None:
    assert preflight.metrics(drill).reason.endswith(", read directly")


def test_what_is_known_of_instances_behind_one_address_is_shown_where_there_is_something(drill: Drill) -> None:
    new = Reading(1, 1, {A: snapshot(A)})
    assert "behind one address" not in recent(drill, new).detail
    known = recent(drill, replace(new, behind_one_address="2 processes were met"))
    assert known.detail["behind one address"] == "2 processes were met"


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


def test_a_manifest_alone_does_not_show_that_there_is_an_index(drill: Drill) -> None:
    evidence = preflight.faiss(with_primary(drill, Inventory(dimension=0)))
    assert (evidence.verdict, evidence.value, evidence.op, evidence.threshold) == (Verdict.INCONCLUSIVE, 3, ">=", 1)


def test_the_age_of_an_index_is_shown_to_a_tenth_of_a_second(drill: Drill) -> None:
    class Aged(Inventory):
        def check(self, tenant: str) -> IndexFacts:
            return replace(super().check(tenant), age_s=12.345)

    assert preflight.faiss(with_primary(drill, Aged())).detail["default: age s"] == 12.3


@pytest.mark.parametrize(
    ("kinds", "health", "verdict"),
    [
        (("intent",), [503], Verdict.PASS),
        (("intent",), [200, 503], Verdict.PASS),
        (("intent", "done"), [503], Verdict.FAIL),
        ((), [503], Verdict.FAIL),
    ],
)
def test_a_service_that_a_killed_drill_was_restarting_may_come_back_first(
    tmp_path: Path,
    server: ScriptedService,
    monkeypatch: pytest.MonkeyPatch,
    kinds: tuple[str, ...],
    health: list[int],
    verdict: Verdict,
) -> None:
    monkeypatch.setattr(preflight, "RESTART_S", 5.0)
    answers = iter([*health])
    server.script["GET", "/health"] = lambda _body: as_json({}, next(answers, 200))
    monkeypatch.setattr(preflight, "STEADY_S", 0.3)
    facts = {"action": "reload", "env_id": environment_id(tmp_path / ".env")}
    events = tuple(Event(number, "", kind, facts) for number, kind in enumerate(kinds))
    monkeypatch.setattr(preflight, "find_unfinished", lambda _folder: [UnfinishedDrill("killed", tmp_path, events)])
    drill = make_drill(tmp_path, apply=True, toml=f'[service]\nbase_url = "{server.url}"\n', env=MIGRATING)
    assert preflight.service(drill).verdict is verdict


@pytest.mark.parametrize(("status", "asked"), [(200, {2}), (503, {3, 4})])
def test_a_restart_is_waited_for_until_it_is_over_or_given_up(
    tmp_path: Path, server: ScriptedService, monkeypatch: pytest.MonkeyPatch, status: int, asked: set[int]
) -> None:
    server.script["GET", "/health"] = as_json({}, status)
    events = (Event(0, "", "intent", {"action": "reload", "env_id": environment_id(tmp_path / ".env")}),)
    monkeypatch.setattr(preflight, "find_unfinished", lambda _folder: [UnfinishedDrill("killed", tmp_path, events)])
    monkeypatch.setattr(preflight, "STEADY_S", 0.0)
    monkeypatch.setattr(preflight, "RESTART_S", 3 * preflight.POLL_S - 0.1)
    drill = make_drill(tmp_path, apply=True, toml=f'[service]\nbase_url = "{server.url}"\n', env=MIGRATING)
    preflight.service(drill)
    assert sum(path == "/health" for _, path in server.asked) in asked  # a busy machine polls less often


@pytest.mark.parametrize("env_id", ["0123456789abcdef", ""])
def test_the_restart_of_another_environment_is_not_waited_for(
    tmp_path: Path, server: ScriptedService, monkeypatch: pytest.MonkeyPatch, env_id: str
) -> None:
    """Two environments share an artifacts directory; nor does an earlier release say whose restart it was."""
    server.script["GET", "/health"] = as_json({}, 503)
    events = (Event(0, "", "intent", {"action": "reload", "env_id": env_id}),)
    monkeypatch.setattr(preflight, "find_unfinished", lambda _folder: [UnfinishedDrill("killed", tmp_path, events)])
    drill = make_drill(tmp_path, apply=True, toml=f'[service]\nbase_url = "{server.url}"\n', env=MIGRATING)
    said: list[str] = []
    drill.tick = said.append
    preflight.service(drill)
    assert "waiting for the restart that an earlier drill began" not in said

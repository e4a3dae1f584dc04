"""Which endpoints are there: found out with the least harm, and only from what was asked as users ask it."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import cast

import pytest

from drill.checks import preflight
from drill.checks.endpoints import TEXT
from drill.context import Drill
from drill.verdict import Verdict
from tests.library.server import Answer, ScriptedService, as_json, html, scripted
from tests.library.world import MIGRATING, make_drill

SEARCH, EMBED, CHAT = PATHS = ("/internal/retrieval/search", "/internal/retrieval/embed", "/chat/advise")
KEYS = {SEARCH: "search_path", EMBED: "embed_path", CHAT: "chat_path"}


@pytest.fixture
def server() -> Iterator[ScriptedService]:
    with scripted() as server:
        server.script["GET", "/health"] = as_json({})
        for path in PATHS:
            server.script["OPTIONS", path] = as_json({}, 405)
            server.script["POST", path] = as_json({})
        yield server


def drill_of(folder: Path, server: ScriptedService, *, apply: bool = False) -> Drill:
    return make_drill(folder, toml=f'[service]\ninstances = ["{server.url}"]\n', apply=apply, env=MIGRATING)


@pytest.mark.parametrize("apply", [False, True])
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("status", [200, 204, 302, 400, 401, 403, 404, 405, 410, 422, 429, 499, 500, 501, 503])
def test_whatever_options_is_answered_an_endpoint_that_takes_its_method_is_there(
    tmp_path: Path, server: ScriptedService, path: str, status: int, apply: bool
) -> None:
    """OPTIONS that is refused, unknown, or not allowed makes no instance sick."""
    server.script["OPTIONS", path] = as_json({}, status)
    evidence = preflight.service(drill_of(tmp_path, server, apply=apply))
    assert (evidence.verdict, evidence.value) == (Verdict.PASS, 1)


@pytest.mark.parametrize("apply", [False, True])
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("status", [404, 410])
def test_a_path_that_is_not_served_is_named_with_its_key_and_the_service_called_healthy(
    tmp_path: Path, server: ScriptedService, path: str, status: int, apply: bool
) -> None:
    """404 or 410 to the configured method says that nothing is there."""
    for method in ("OPTIONS", "POST"):
        server.script[method, path] = as_json({}, status)
    server.script["POST", _elsewhere(path)] = as_json({}, status)
    evidence = preflight.service(drill_of(tmp_path, server, apply=apply))
    assert (evidence.verdict, evidence.value) == (Verdict.FAIL, 0)
    assert f"is healthy and does not serve {path} ([service] {KEYS[path]})" in evidence.reason
    assert "expected healthy instances" not in evidence.reason


def test_a_router_that_is_not_mounted_is_said_once_with_every_path_and_key(tmp_path: Path) -> None:
    """Instances that miss the same paths are one sentence."""
    with scripted() as one, scripted() as other:
        for server in (one, other):
            server.script["GET", "/health"] = as_json({})
        drill = make_drill(tmp_path, toml=f'[service]\ninstances = ["{one.url}", "{other.url}"]\n', env=MIGRATING)
        evidence = preflight.service(drill)
    assert evidence.reason.count("are healthy and do not serve") == 1
    assert all(f"{path} ([service] {key})" in evidence.reason for path, key in KEYS.items())


def test_a_404_of_an_endpoint_itself_does_not_say_that_the_endpoint_is_missing(
    tmp_path: Path, server: ScriptedService
) -> None:
    """A tenant or a collection that is not found is no router that is not mounted."""
    server.script["POST", SEARCH] = as_json({"detail": "unknown tenant"}, 404)
    assert preflight.service(drill_of(tmp_path, server)).verdict is Verdict.PASS


def test_a_path_without_a_letter_that_is_not_served_is_named_too(tmp_path: Path, server: ScriptedService) -> None:
    """No other path can be made of it to compare with."""
    toml = f'[service]\ninstances = ["{server.url}"]\nsearch_path = "/v1/7"\n'
    evidence = preflight.service(make_drill(tmp_path, toml=toml, env=MIGRATING))
    assert evidence.verdict is Verdict.FAIL
    assert "does not serve /v1/7 ([service] search_path)" in evidence.reason


def test_each_endpoint_is_asked_as_users_ask_it(tmp_path: Path, server: ScriptedService) -> None:
    """A service may answer 404 to a body that is not for it."""
    bodies: dict[str, object] = {}

    def heard(path: str, body: object) -> Answer:
        bodies[path] = body
        return as_json({})

    for path in PATHS:
        server.script["OPTIONS", path] = as_json({}, 404)
        server.script["POST", path] = partial(heard, path)
    toml = f'[service]\ninstances = ["{server.url}"]\nchat_body = {{ question = "why" }}\n'
    preflight.service(make_drill(tmp_path, toml=toml, env=MIGRATING))
    assert bodies[EMBED] == {"texts": [TEXT]}
    assert bodies[CHAT] == {"question": "why"}
    assert set(cast("dict[str, object]", bodies[SEARCH])) == {"query", "tenant", "top_k"}


def test_a_404_that_repeats_path_and_time_is_still_that_of_a_router(tmp_path: Path, server: ScriptedService) -> None:
    """What differs from one answer to the next is no difference in kind."""
    for number, path in enumerate((SEARCH, _elsewhere(SEARCH))):
        body = {"status": 404, "path": path, "timestamp": f"2026-01-0{number + 1}", "trace": f"{number}0a1b2c3d4e5f"}
        server.script["POST", path] = as_json(body, 404)
    evidence = preflight.service(drill_of(tmp_path, server))
    assert evidence.verdict is Verdict.FAIL
    assert f"does not serve {SEARCH}" in evidence.reason


@pytest.mark.parametrize("path", [SEARCH, EMBED])
def test_a_path_that_takes_another_method_is_said_to(tmp_path: Path, server: ScriptedService, path: str) -> None:
    """405 to the configured method is the wrong method, not a missing path."""
    server.script["POST", path] = as_json({}, 405)
    evidence = preflight.service(drill_of(tmp_path, server))
    assert evidence.verdict is Verdict.FAIL
    assert f"does not take POST at {path}" in evidence.reason


@pytest.mark.parametrize("answer", [html(), as_json({}, 500), as_json({}, 401), as_json({}, 422), Answer(b"", 503)])
def test_what_a_sick_target_may_do_to_a_search_is_not_an_endpoint_that_is_missing(
    tmp_path: Path, server: ScriptedService, answer: Answer
) -> None:
    """Any other answer says that somebody is there."""
    server.script["POST", SEARCH] = answer
    assert preflight.service(drill_of(tmp_path, server)).verdict is Verdict.PASS


def test_an_endpoint_that_hangs_up_shows_nothing_and_is_named(tmp_path: Path, server: ScriptedService) -> None:
    """No answer from a sick service is neither a missing endpoint nor one that is there."""

    def hang_up(_body: object) -> Answer:
        raise ConnectionAbortedError

    server.script["POST", SEARCH] = hang_up
    evidence = preflight.service(drill_of(tmp_path, server))
    assert evidence.verdict is Verdict.PASS
    assert f"no answer yet at {server.url[7:]}{SEARCH}" in evidence.reason


def test_with_apply_options_comes_first_and_is_enough(tmp_path: Path, server: ScriptedService) -> None:
    """Users wait for the reload: nothing is asked for real without need."""
    preflight.service(drill_of(tmp_path, server, apply=True))
    assert {method for method, _ in server.asked} == {"GET", "OPTIONS"}


def test_a_dry_run_asks_for_real_what_only_reads_and_no_chat(tmp_path: Path, server: ScriptedService) -> None:
    """A chat may cost money; whether it is there OPTIONS tells."""
    preflight.service(drill_of(tmp_path, server))
    assert {path for method, path in server.asked if method == "POST"} == {SEARCH, EMBED}


@pytest.mark.parametrize(
    ("status", "verdict"),
    [(503, Verdict.INCONCLUSIVE), (500, Verdict.INCONCLUSIVE), (401, Verdict.FAIL), (404, Verdict.FAIL)],
)
def test_an_instance_that_is_down_before_the_rollback_may_be_healed_by_it(
    tmp_path: Path, server: ScriptedService, status: int, verdict: Verdict
) -> None:
    """A service that does not boot on its sick target is no failure of a dry-run; one that asks for a token is."""
    server.script["GET", "/health"] = as_json({}, status)
    evidence = preflight.service(drill_of(tmp_path, server))
    assert evidence.verdict is verdict
    assert ("the rollback may heal it" in evidence.reason) is (verdict is Verdict.INCONCLUSIVE)


def test_an_instance_that_nobody_hears_of_is_not_known_before_the_rollback(
    tmp_path: Path, server: ScriptedService
) -> None:
    """It is named, and neither red nor called ready."""
    with scripted() as gone:
        pass
    drill = make_drill(tmp_path, toml=f'[service]\ninstances = ["{server.url}", "{gone.url}"]\n', env=MIGRATING)
    evidence = preflight.service(drill)
    assert (evidence.verdict, evidence.value, evidence.threshold) == (Verdict.INCONCLUSIVE, 1, 2)
    assert gone.url[7:] in evidence.reason


def test_where_nobody_answers_at_all_the_addresses_are_doubted(tmp_path: Path) -> None:
    """Nothing shows that anybody was ever there."""
    with scripted() as gone:
        pass
    evidence = preflight.service(drill_of(tmp_path, gone))
    assert evidence.verdict is Verdict.FAIL
    assert "check [service] base_url and instances" in evidence.reason


def _elsewhere(path: str) -> str:
    return {SEARCH: "/internal/retrieval/frnepu", EMBED: "/internal/retrieval/rzorq", CHAT: "/chat/nqivfr"}[path]

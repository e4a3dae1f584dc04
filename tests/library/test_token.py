"""Tokens: what a 401 or 403 asks for depends on whether there was one to send."""

from pathlib import Path

import pytest

from drill.checks import preflight
from drill.context import Drill
from drill.verdict import Verdict
from tests.library.server import ScriptedService, as_json, scripted
from tests.library.world import MIGRATING, make_drill

NAME = "RETRIEVAL_TOKEN"
UNSET = f"[service] auth_token_env names {NAME}, which is empty or not set"
ODD = f"[service] auth_token_env names {NAME}, which holds characters that no HTTP header can carry"


def drill_of(folder: Path, server: ScriptedService, *, named: bool, value: str | None, apply: bool = False) -> Drill:
    toml = f'[service]\ninstances = ["{server.url}"]\n' + f'auth_token_env = "{NAME}"\n' * named
    line = f"{NAME}='{value}'\n" if value is not None else ""
    drill = make_drill(folder, toml=toml, env=MIGRATING + line, apply=apply)
    del drill.__dict__["client"]
    return drill


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize(
    ("named", "value", "said"),
    [
        (False, None, "no token is configured; set [service] auth_token_env"),
        (True, None, UNSET),
        (True, "", UNSET),
        (True, "  ", UNSET),
        (True, "schlüssel", ODD),
        (True, "sesame", f"check the token that [service] auth_token_env names ({NAME})"),
    ],
)
def test_a_401_and_a_403_say_what_is_to_be_done_about_the_token(
    tmp_path: Path, status: int, named: bool, value: str | None, said: str
) -> None:
    """Check the token where there is one, set it where it is empty, configure it where none is."""
    with scripted() as server:
        server.script["GET", "/health"] = as_json({}, status)
        drill = drill_of(tmp_path, server, named=named, value=value)
        reason = preflight.service(drill).reason
        drill.client.close()
    assert f"HTTP {status}" in reason
    assert said in reason
    assert not value or not value.strip() or value not in reason


@pytest.mark.parametrize(("apply", "verdict"), [(False, Verdict.FAIL), (True, Verdict.PASS)])
def test_a_token_that_is_not_set_is_red_before_the_rollback_and_holds_up_no_rollback(
    tmp_path: Path, apply: bool, verdict: Verdict
) -> None:
    """A dry-run says it in time; with --apply the service says whether it wants one."""
    with scripted() as server:
        server.script["GET", "/health"] = as_json({})
        for path in ("/internal/retrieval/search", "/internal/retrieval/embed", "/chat/advise"):
            server.script["OPTIONS", path] = server.script["POST", path] = as_json({})
        drill = drill_of(tmp_path, server, named=True, value="", apply=apply)
        evidence = preflight.service(drill)
        drill.client.close()
    assert evidence.verdict is verdict
    assert UNSET in evidence.reason
    assert UNSET in str(evidence.detail["token"])


def test_a_token_for_prometheus_that_is_not_set_is_red_in_a_dry_run(tmp_path: Path) -> None:
    """Where metrics are read from Prometheus, it asks who wants to know."""
    toml = '[metrics]\nprometheus_url = "http://127.0.0.1:9"\nbearer_token_env = "PROM_TOKEN"\n'
    evidence = preflight.metrics(make_drill(tmp_path, toml=toml, env=MIGRATING))
    assert evidence.verdict is Verdict.FAIL
    assert "[metrics] bearer_token_env names PROM_TOKEN, which is empty or not set" in evidence.reason


def test_no_token_whatever_it_holds_breaks_a_client(tmp_path: Path) -> None:
    """A token that no header can carry is not sent, and is said to be odd where it is asked for."""
    urls = '[metrics]\nprometheus_url = "http://127.0.0.1:9"\nalertmanager_url = "http://127.0.0.1:9"\n'
    toml = f'{urls}bearer_token_env = "ODD"\n[service]\nauth_token_env = "ODD"\n'
    drill = make_drill(tmp_path, toml=toml, env=f"{MIGRATING}ODD='schl\u00fcssel'\n")
    del drill.__dict__["client"]
    assert all((drill.client, drill.prometheus, drill.alertmanager))
    drill.close()


def test_space_around_a_token_is_not_sent(tmp_path: Path) -> None:
    """A secret that was read from a file ends in a line end, which no header can carry."""
    with scripted() as server:
        server.script["GET", "/health"] = as_json({})
        drill = drill_of(tmp_path, server, named=True, value=" sesame ")
        preflight.service(drill)
        drill.client.close()
    assert server.headers[0]["authorization"] == "Bearer sesame"

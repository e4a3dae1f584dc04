"""Grafana and a webhook are told, in bounded time, and no receiver can do anything about it."""

import json
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from drill.finish import search_leaks
from drill.launch import Launch
from drill.notify import deliver as deliver_module
from drill.notify.bodies import grafana_bodies, webhook_body
from drill.notify.deliver import Delivery, deliver, post_with
from drill.notify.message import sentence
from drill.notify.receivers import tell_receivers
from drill.secret import Secret
from drill.verdict import Result
from tests.evidence.records import green, with_result
from tests.history import receivers
from tests.history.receivers import GRAFANA, HOOK, TOKEN, Ears, listening
from tests.library.server import scripted
from tests.library.world import close_drills, start

PATIENCE_S = 0.6
"""The budget of these tests."""


@pytest.fixture(autouse=True)
def closed_drills() -> Iterator[None]:
    yield
    close_drills()


def hook(url: str) -> Delivery:
    return Delivery("the webhook", Secret(url + HOOK), [{"text": "hello"}])


def sent(url: str, ca_file: str = "") -> list[str]:
    return deliver([hook(url)], post_with(ca_file), PATIENCE_S)


FAULTS: dict[str, Callable[[], AbstractContextManager[str]]] = {
    "no answer within": receivers.black_hole,
    "no whole answer in time": receivers.endless,
    "HTTP 403": receivers.login_page,
    "HTTP 400": receivers.echoing,
    "broken off": receivers.nonsense,
}


@pytest.mark.parametrize("seen", FAULTS)
def test_whatever_a_receiver_does_it_costs_one_line_and_bounded_time(seen: str) -> None:
    with FAULTS[seen]() as url:
        began = time.monotonic()
        (problem,) = sent(url)
        took = time.monotonic() - began
    assert problem.startswith("the webhook was not told: ")
    assert seen in problem or "no whole answer in time" in problem or "no answer within" in problem
    assert "\n" not in problem
    assert HOOK not in problem
    assert took < 10


@pytest.mark.parametrize("status", [204, 301, 404, 429, 500, 503])
def test_only_a_2xx_is_a_yes(status: int) -> None:
    with listening(status) as ears:
        problems = sent(ears.url)
    assert problems == ([] if status == 204 else [f"the webhook was not told: HTTP {status}; expected 2xx"])


def test_a_receiver_that_is_down_is_one_line() -> None:
    assert sent("http://127.0.0.1:9") == ["the webhook was not told: connection refused or unreachable; expected 2xx"]


def test_a_redirect_is_not_followed() -> None:
    with listening() as ears, receivers.redirecting(ears) as url:
        assert sent(url) == ["the webhook was not told: HTTP 307; expected 2xx"]
        assert not ears.bodies


@pytest.mark.parametrize("url", ["", "hooks.slack.com/x", "file:///etc/passwd", "http://", "http://[x", "http://h:0"])
def test_a_variable_that_holds_no_url_is_one_line_that_does_not_repeat_it(url: str) -> None:
    one = Delivery("the webhook", Secret(url), [{}])
    (problem,) = deliver([one], post_with(""), PATIENCE_S)
    expected = "its URL is not http://host or https://host; check the variable that holds it"
    assert problem == f"the webhook was not told: {expected}"


def test_a_token_that_no_header_can_hold_is_one_line() -> None:
    with listening() as ears:
        one = Delivery("Grafana", Secret(ears.url + GRAFANA), [{}], Secret("not\r\nX-Evil: 1"))
        (problem,) = deliver([one], post_with(""), 5)
        other = Delivery("Grafana", Secret(ears.url + GRAFANA), [{}], Secret("schl\u00fcssel"))
        (again,) = deliver([other], post_with(""), 5)
    assert problem.startswith("Grafana was not told: ")
    assert again == "Grafana was not told: could not be sent (UnicodeEncodeError)"
    assert not ears.bodies


def test_a_name_that_takes_for_ever_to_resolve_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    over = threading.Event()
    resolve = socket.getaddrinfo

    def stuck(*arguments: object, **options: object) -> object:
        over.wait(30)
        return resolve(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", stuck)
    began = time.monotonic()
    assert sent("http://127.0.0.1:9") == [f"the webhook was not told: no answer within {PATIENCE_S:g} s"]
    assert time.monotonic() - began < 10
    over.set()


def test_a_slow_receiver_does_not_take_the_others_time() -> None:
    with listening() as ears, receivers.black_hole() as hole:
        slow = Delivery("Grafana", Secret(hole + GRAFANA), [{}, {}, {}])
        (problem,) = deliver([slow, hook(ears.url)], post_with(""), PATIENCE_S)
        assert problem.startswith("Grafana was not told")
        assert ears.bodies == {HOOK: [{"text": "hello"}]}


def test_the_whole_budget_is_within_three_seconds() -> None:
    assert deliver_module.BUDGET_S <= 3


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=127.0.0.1"
        f" -addext subjectAltName=IP:127.0.0.1 -keyout {key} -out {cert}".split(),
        check=True,
        capture_output=True,
    )
    return cert, key


def test_tls_is_verified_by_the_configured_authority_and_by_the_systems_without_one(
    certificate: tuple[Path, Path],
) -> None:
    with scripted(certificate) as server:
        (problem,) = deliver([hook(server.url)], post_with(""), 5)
        assert "TLS certificate not accepted" in problem
        assert not server.asked
        (problem,) = deliver([hook(server.url)], post_with(str(certificate[0])), 5)
        assert problem == "the webhook was not told: HTTP 404; expected 2xx"


def configured(tmp_path: Path, ears: Ears, monkeypatch: pytest.MonkeyPatch, *, apply: bool = False) -> Launch:
    monkeypatch.setenv("MY_TOKEN", TOKEN)
    toml = f'[notify]\ngrafana_url = "{ears.url}/"\ngrafana_token_env = "MY_TOKEN"\nwebhook_url_env = "MY_HOOK"\n'
    env = f'MY_HOOK="{ears.url}{HOOK}"\nRETRIEVAL_BACKEND=pgvector\n'
    return start(tmp_path, toml=toml, env=env, apply=apply)


def test_grafana_gets_start_safe_and_end_at_their_times_and_the_webhook_one_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with listening() as ears:
        launched = configured(tmp_path, ears, monkeypatch, apply=True)
        assert launched.drill is not None
        launched.record.started = datetime.now(UTC) - timedelta(seconds=100)
        launched.drill.written_at = time.monotonic() - 90
        launched.record.time_to_safety_s = 8.0
        assert tell_receivers(launched, 0) == []
    start_at, safe, end = ears.bodies[GRAFANA]
    assert [body["tags"][:3] for body in (start_at, safe, end)] == [["rollback-drill", "apply", ".env"]] * 3
    assert [body["tags"][3:] for body in (start_at, safe, end)] == [["start"], ["safe"], ["end", "inconclusive"]]
    now = time.time() * 1000
    for body, ago_s in ((start_at, 100), (safe, 82), (end, 0)):
        assert body["time"] == pytest.approx(now - ago_s * 1000, abs=20_000)
    assert all(isinstance(body["time"], int) for body in (start_at, safe, end))
    assert {headers["authorization"] for headers in ears.headers if "authorization" in headers} == {f"Bearer {TOKEN}"}
    (message,) = ears.bodies[HOOK]
    assert message["result"] == "inconclusive"
    assert message["text"].startswith("Rollback drill (apply) of .env by tester: inconclusive, exit 0")


def test_the_webhook_is_not_given_grafanas_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with listening() as grafana, listening() as webhook:
        launched = configured(tmp_path, grafana, monkeypatch)
        monkeypatch.setenv("MY_HOOK", webhook.url + HOOK)
        assert tell_receivers(launched, 0) == []
    assert [list(webhook.bodies), list(grafana.bodies)] == [[HOOK], [GRAFANA]]
    assert "authorization" not in webhook.headers[0]


def test_a_drill_that_was_refused_tells_too_and_knows_of_no_safe_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with listening() as ears:
        configured(tmp_path, ears, monkeypatch, apply=True)
        locked_out = configured(tmp_path, ears, monkeypatch, apply=True)
        assert locked_out.drill is None
        assert tell_receivers(locked_out, 11) == []
    assert [body["tags"][3] for body in ears.bodies[GRAFANA]] == ["start", "end"]
    assert [body["result"] for body in ears.bodies[HOOK]] == ["refused"]


def test_a_variable_that_is_not_set_is_named(tmp_path: Path) -> None:
    toml = '[notify]\ngrafana_url = "http://127.0.0.1:9"\ngrafana_token_env = "NO_TOKEN"\nwebhook_url_env = "NO_HOOK"\n'
    assert tell_receivers(start(tmp_path, toml=toml), 0) == [
        "Grafana was not told: [notify] grafana_token_env names NO_TOKEN, which is not set",
        "the webhook was not told: [notify] webhook_url_env names NO_HOOK, which is not set",
    ]


def test_without_configuration_nobody_is_told(tmp_path: Path) -> None:
    assert tell_receivers(start(tmp_path), 0) == []


@pytest.mark.parametrize("result", list(Result))
def test_a_message_holds_the_result_and_the_open_rows_but_no_reason_of_a_check(result: Result) -> None:
    record = with_result(result)
    for row in record.entries.values():
        row.evidence = row.evidence.judged(row.evidence.verdict, "said-by-another-machine")
    if record.refused:
        record.refused = "said-by-another-machine"
    body = webhook_body(record, record.exit_code)
    annotations = grafana_bodies(record, record.exit_code, None, record.started)
    assert (body["result"], body["exit_code"]) == (str(result), record.exit_code)
    assert "said-by-another-machine" not in json.dumps([body, annotations])
    if result is Result.FAILURE:
        assert body["not_proven"] == [{"id": "slo.latency", "verdict": "fail"}]
        assert "slo.latency fail; time to safety 8.7 s; downtime 0 s" in str(body["text"])


def test_a_reason_can_call_nobody_in_slack_and_is_text_in_grafana() -> None:
    record = green()
    record.notes = "<!channel> & <b>bold</b>"
    text = str(webhook_body(record, 0)["text"])
    assert "&lt;!channel&gt; &amp; &lt;b&gt;" in text
    (*_, end) = grafana_bodies(record, 0, None, record.started)
    assert "<" not in str(end["text"])
    assert "<!channel>" in sentence(record, 0)


def test_webhook_url_and_grafana_token_are_searched_for_in_what_a_drill_leaves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_HOOK", "https://hooks.example" + HOOK)
    monkeypatch.setenv("MY_TOKEN", TOKEN)
    toml = '[notify]\ngrafana_url = "http://g"\ngrafana_token_env = "MY_TOKEN"\nwebhook_url_env = "MY_HOOK"\n'
    launched = start(tmp_path, toml=toml)
    leaky = tmp_path / "leaky.html"
    leaky.write_text(f"{TOKEN} https://hooks.example{HOOK}")
    found = search_leaks(launched, [leaky])
    assert len(found) == 2
    assert TOKEN not in str(found)
    assert HOOK not in str(found)

"""The Prometheus client against servers that answer badly, late or not at all."""

import json
import math
import re
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from drill.errors import CannotMeasure
from drill.metrics.prometheus import PrometheusClient
from tests.library.server import Answer, Script, ScriptedService, as_json, drip, html, raw, running, scripted
from tests.library.world import ROLLED_BACK, make_drill

TOKEN = "t0p-s3cret-value"
TIMEOUT_S = 0.5


class Scripted(ScriptedService):
    """Answers by path alone, whatever the query is, and remembers the queries."""

    def __init__(self) -> None:
        super().__init__()
        self.script = _ByPath()


class _ByPath(dict[tuple[str, str], Script]):
    def get(self, key: tuple[str, str], default: Script | None = None) -> Script | None:  # type: ignore[override]
        return super().get((key[0], key[1].partition("?")[0]), default)


@pytest.fixture
def server() -> Iterator[Scripted]:
    with running(Scripted()) as server:
        yield server


@pytest.fixture
def client(server: Scripted) -> Iterator[PrometheusClient]:
    client = PrometheusClient(server.url + "/", token=TOKEN, timeout_s=TIMEOUT_S)
    yield client
    client.close()


def vector(*items: tuple[dict[str, str], float, str], **more: object) -> Answer:
    result = [{"metric": labels, "value": [at, value]} for labels, at, value in items]
    return as_json({"status": "success", "data": {"resultType": "vector", "result": result}, **more})


def answer(server: Scripted, given: Script) -> None:
    server.script["GET", "/api/v1/query"] = given


def problem_of(client: PrometheusClient) -> str:
    """Return what the client says of ``up``; it must be one line without address or token, and not take long."""
    began = time.monotonic()
    with pytest.raises(CannotMeasure) as caught:
        client.vector("up")
    assert time.monotonic() - began < 3 * TIMEOUT_S + 1
    text = str(caught.value)
    assert "\n" not in text
    assert TOKEN not in text
    assert "127.0.0.1" not in text
    return text


def test_a_vector_is_labels_time_and_value(server: Scripted, client: PrometheusClient) -> None:
    answer(server, vector(({"job": "a"}, 12.5, "1"), ({"job": "b"}, 12.5, "NaN"), ({}, 12.5, "+Inf")))
    first, second, third = client.vector("up", 12.3456)
    assert first == ({"job": "a"}, 12.5, 1.0)
    assert math.isnan(second.value)
    assert math.isinf(third.value)
    assert server.asked == [("GET", "/api/v1/query?query=up&time=12.346")]


def test_a_native_histogram_is_read_as_its_count_and_its_sum(server: Scripted, client: PrometheusClient) -> None:
    """It has no values of its own; a series that has both forms gives both."""
    native = {"count": "7", "sum": "0.5", "buckets": [[0, "0.1", "0.2", "7"]]}
    labels = {"__name__": "retrieval_shadow_latency_seconds", "job": "a"}
    result = [{"metric": labels, "values": [[1.0, "3"]], "histograms": [[2.0, native]]}]
    answer(server, as_json({"status": "success", "data": {"resultType": "matrix", "result": result}}))
    read = {series.labels["__name__"]: list(series.samples) for series in client.raw("x", 10)}
    assert read == {
        "retrieval_shadow_latency_seconds": [(1.0, 3.0)],
        "retrieval_shadow_latency_seconds_count": [(2.0, 7.0)],
        "retrieval_shadow_latency_seconds_sum": [(2.0, 0.5)],
    }


@pytest.mark.parametrize("native", [{}, {"count": "x", "sum": "1"}, {"sum": "1"}, None])
def test_a_native_histogram_without_a_count_is_not_understood(
    server: Scripted, client: PrometheusClient, native: object
) -> None:
    """What says nothing of its count is no silence."""
    result = [{"metric": {"__name__": "a"}, "histograms": [[2.0, native]]}]
    answer(server, as_json({"status": "success", "data": {"resultType": "matrix", "result": result}}))
    with pytest.raises(CannotMeasure, match="unknown form"):
        client.raw("x", 10)


def test_the_token_is_sent_and_netrc_and_proxies_of_the_environment_are_not_taken(
    server: Scripted, client: PrometheusClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password mine\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    answer(server, vector())
    server.script["GET", "/api/v1/rules"] = as_json({"status": "success", "data": {"groups": []}})
    assert client.vector("up") == []
    assert client.rules() == []
    assert [headers["authorization"] for headers in server.headers] == [f"Bearer {TOKEN}"] * 2


def test_prometheus_says_its_own_time(server: Scripted, client: PrometheusClient) -> None:
    answer(server, vector(({}, 1.0, "123.25")))
    assert client.now() == 123.25


@pytest.mark.parametrize("given", [vector(), vector(({}, 1.0, "NaN"))])
def test_a_prometheus_without_a_time_cannot_be_judged_by(
    server: Scripted, client: PrometheusClient, given: Answer
) -> None:
    answer(server, given)
    with pytest.raises(CannotMeasure, match="own time"):
        client.now()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (html(), r"HTTP 200 \(text/html, \d+ bytes\), expected JSON"),
        (html(404), "HTTP 404"),
        (Answer(b"", 302, "application/json", {"Location": "/api/v1/labels"}), r"HTTP 302 with an error"),
        (
            as_json({"status": "error", "errorType": "bad_data", "error": "parse error: secret"}, 400),
            r"400.*\(bad_data\)",
        ),
        (as_json({"status": "error", "errorType": "exotic", "error": "x"}), r"200.*\(no known kind\)"),
        (vector(({}, 1.0, "1"), warnings=["a store is away"]), r"partial \(1 warning\)"),
        (as_json({}, 401), "HTTP 401; check the token"),
        (as_json({}, 403), "HTTP 403; check the token"),
        (as_json([]), "no known kind"),
        (Answer(b'{"status": "succ'), "no known kind"),
        (as_json({"status": "success"}), "unknown form"),
        (as_json({"status": "success", "data": {"result": [1.0, "1"]}}), "unknown form"),
        (as_json({"status": "success", "data": {"result": [{"metric": {}, "histogram": [1, {}]}]}}), "unknown form"),
        (vector(({}, 1.0, "many")), "unknown form"),
    ],
)
def test_whatever_is_no_whole_answer_of_prometheus_cannot_be_measured(
    server: Scripted, client: PrometheusClient, given: Answer, said: str
) -> None:
    server.script["GET", "/api/v1/labels"] = vector()
    answer(server, given)
    assert re.search(said, problem_of(client))
    assert len(server.asked) == 1, "a redirect is not followed, an answer is not asked for again"


def test_an_overloaded_prometheus_does_not_dictate_how_long_is_waited(
    server: Scripted, client: PrometheusClient
) -> None:
    body = json.dumps({"status": "error", "errorType": "unavailable"}).encode()
    answer(server, Answer(body, 503, headers={"Retry-After": "60"}))
    assert "HTTP 503 with an error (unavailable)" in problem_of(client)


def test_a_prometheus_that_is_down_is_asked_three_times() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    client = PrometheusClient(f"http://127.0.0.1:{port}", token=TOKEN, timeout_s=TIMEOUT_S)
    began = time.monotonic()
    assert "connection refused" in problem_of(client)
    assert time.monotonic() - began > 0.5
    client.close()


def test_a_broken_connection_is_tried_again(server: Scripted, client: PrometheusClient) -> None:
    begun: list[int] = []

    def once_broken(_body: object) -> Answer:
        begun.append(1)
        if len(begun) == 1:
            raise ConnectionResetError
        return vector()

    answer(server, once_broken)
    assert client.vector("up") == []
    assert len(begun) == 2


def silence(connection: socket.socket, over: threading.Event) -> None:
    connection.recv(65536)
    over.wait()


SLOW_BODY = drip(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99999\r\n\r\n", b" ")


SLOW_HEAD = drip(b"HTTP/1.1 200 OK\r\n", b"X-Pad: y\r\n")


@pytest.mark.parametrize("talk", [silence, SLOW_HEAD, SLOW_BODY], ids=["silence", "head", "body"])
def test_a_prometheus_that_hangs_or_drips_costs_one_timeout(talk: object) -> None:
    with raw(talk) as url:  # type: ignore[arg-type]
        client = PrometheusClient(url, token=TOKEN, timeout_s=1.2)
        began = time.monotonic()
        assert "in time" in problem_of(client)
        assert time.monotonic() - began == pytest.approx(1.2, abs=0.6)
        client.close()


def test_rules_are_read_with_the_time_of_their_last_evaluation(server: Scripted, client: PrometheusClient) -> None:
    rule = {
        "type": "alerting",
        "name": "Slow",
        "labels": {"severity": "page"},
        "health": "ok",
        "lastEvaluation": "1970-01-01T01:00:10.123456789+01:00",
    }
    never = {**rule, "health": "unknown", "labels": None, "lastEvaluation": "0001-01-01T00:00:00Z"}
    groups = [{"interval": 15, "rules": [rule, never, {"type": "recording", "name": "r"}]}]
    server.script["GET", "/api/v1/rules"] = as_json({"status": "success", "data": {"groups": groups}})
    slow, unevaluated = client.rules()
    assert (slow.name, slow.health, slow.interval_s) == ("Slow", "ok", 15.0)
    assert slow.labels == {"alertname": "Slow", "severity": "page"}
    assert slow.evaluated == pytest.approx(10.123456)
    assert (unevaluated.health, unevaluated.labels) == ("unknown", {"alertname": "Slow"})
    assert unevaluated.evaluated < 0


@pytest.mark.parametrize("groups", [None, [{}], [{"interval": 1, "rules": [{"type": "alerting"}]}]])
def test_rules_of_an_unknown_form_cannot_be_measured(
    server: Scripted, client: PrometheusClient, groups: object
) -> None:
    server.script["GET", "/api/v1/rules"] = as_json({"status": "success", "data": {"groups": groups}})
    with pytest.raises(CannotMeasure, match="unknown form"):
        client.rules()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        f"openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=drill "
        f"-addext subjectAltName=IP:127.0.0.1 -keyout {key} -out {cert}".split(),
        check=True,
        capture_output=True,
    )
    return cert, key


def test_tls_is_verified_by_the_configured_authority(certificate: tuple[Path, Path]) -> None:
    with scripted(certificate) as server:
        server.script["GET", "/api/v1/query?query=up"] = vector()
        trusting = PrometheusClient(server.url, ca_file=str(certificate[0]), timeout_s=2.0)
        assert trusting.vector("up") == []
        wary = PrometheusClient(server.url, token=TOKEN, timeout_s=TIMEOUT_S)
        assert "certificate not accepted" in problem_of(wary)
        assert len(server.asked) == 1
    trusting.close()
    wary.close()


def test_a_drill_asks_the_configured_prometheus_with_the_token_of_the_named_variable(
    server: Scripted, tmp_path: Path
) -> None:
    answer(server, vector())
    toml = f'[metrics]\nprometheus_url = "{server.url}"\nbearer_token_env = "PROM_TOKEN"'
    drill = make_drill(tmp_path, toml=toml, env=f"{ROLLED_BACK}PROM_TOKEN={TOKEN}\n")
    assert drill.prometheus.vector("up") == []
    assert server.headers[0]["authorization"] == f"Bearer {TOKEN}"
    drill.prometheus.close()

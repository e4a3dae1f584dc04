"""The bounds of the Prometheus client hold for every URL that the configuration takes, however it is written."""

import time
from collections.abc import Iterator

import pytest

from drill import transport
from drill.config_check import url_problem
from drill.errors import CannotMeasure
from drill.metrics import prometheus
from drill.metrics.prometheus import PrometheusClient
from tests.library.server import Answer, Script, ScriptedService, as_json, drip, raw, running

TOKEN = "t0p-s3cret-value"
PATHS = [
    "",
    "/",
    "///",
    "/x%7Ey",
    "/x%2Dy",
    "/x%2fy",
    "/x%zzy",
    "/a|b",
    "/ü",
    "/%C3%BC",
    "/a/../b",
    "/a/./b",
    "/A[1]",
    "/^",
]
HOSTS = [
    "HTTP://127.0.0.1:{}",
    "http://127.0.0.1:0{}",
    "http://LocalHost:{}",
    "http://localhost.:{}",
    "http://prométhée.example:{}",
    "http://xn--bcher-kva.example:{}",
    "http://PROMETHEUS_1.example:{}",
    "http://[::1]:{}",
    "http://[0:0:0:0:0:0:0:1]:{}",
    "http://[::FFFF:127.0.0.1]:{}",
]
URLS = [*(f"http://127.0.0.1:{{}}{path}" for path in PATHS), *HOSTS]


class Anywhere(dict[tuple[str, str], Script]):
    """Answers by the end of a path, wherever the server was mounted."""

    def get(self, key: tuple[str, str], default: Script | None = None) -> Script | None:  # type: ignore[override]
        path = key[1].partition("?")[0]
        return next(
            (script for (method, end), script in self.items() if method == key[0] and path.endswith(end)), default
        )


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedService]:
    """Run a server that every host name leads to."""
    monkeypatch.setattr(transport, "addresses", lambda *_: ["127.0.0.1"])
    with running(ScriptedService()) as server:
        server.script = Anywhere()
        yield server


@pytest.fixture(params=URLS)
def client(request: pytest.FixtureRequest, server: ScriptedService) -> Iterator[PrometheusClient]:
    url = request.param.format(server.server_address[1])
    assert not url_problem(url)
    client = PrometheusClient(url, token=TOKEN, timeout_s=5.0)
    yield client
    client.close()


def result(**more: object) -> Answer:
    vector = {"resultType": "vector", "result": [{"metric": {}, "value": [1.0, "1"]}], "groups": []}
    return as_json({"status": "success", "data": vector, **more})


def test_the_token_goes_with_every_request(server: ScriptedService, client: PrometheusClient) -> None:
    """Queries, rules and metadata are all asked with the token, and understood."""
    server.script["GET", "/api/v1/query"] = server.script["GET", "/api/v1/rules"] = result()
    server.script["GET", "/api/v1/targets/metadata"] = as_json({"status": "success", "data": []})
    assert client.vector("up") == [({}, 1.0, 1.0)]
    assert (client.rules(), client.described("")) == ([], [])
    assert [headers["authorization"] for headers in server.headers] == [f"Bearer {TOKEN}"] * 3


def test_no_redirect_is_followed(server: ScriptedService, client: PrometheusClient) -> None:
    """The place that a redirect names would answer well, and is not asked."""
    server.script["GET", "/elsewhere"] = result()
    server.script["GET", "/api/v1/query"] = Answer(b"{}", 307, headers={"Location": server.url + "/elsewhere"})
    with pytest.raises(CannotMeasure, match="HTTP 307"):
        client.vector("up")
    assert len(server.asked) == 1


def test_a_partial_answer_is_none(server: ScriptedService, client: PrometheusClient) -> None:
    """An answer with a warning is refused."""
    server.script["GET", "/api/v1/query"] = result(warnings=["a store is away"])
    with pytest.raises(CannotMeasure, match="partial"):
        client.vector("up")


@pytest.mark.parametrize("url", URLS)
def test_an_answer_that_drips_is_given_up_at_the_deadline(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """A server that sends a byte now and then, for ever, is left when the time is over."""
    monkeypatch.setattr(transport, "addresses", lambda *_: ["127.0.0.1"])
    monkeypatch.setattr(prometheus, "ATTEMPTS", 1)
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99999\r\n\r\n"
    with raw(drip(head, b" ")) as served:
        client = PrometheusClient(url.format(served.rpartition(":")[2]), timeout_s=0.3)
        began = time.monotonic()
        with pytest.raises(CannotMeasure, match="in time"):
            client.vector("up")
        assert time.monotonic() - began < 30, "without a deadline it would never end"
        client.close()


@pytest.mark.parametrize(
    "url", ["http://user:word@prometheus:9090", "http://user@prometheus:9090", "http://@prometheus"]
)
def test_a_url_with_credentials_is_refused(url: str) -> None:
    """They would replace the token, and stand in texts of errors."""
    assert "holds credentials" in url_problem(url)

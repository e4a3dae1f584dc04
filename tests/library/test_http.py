"""The HTTP client: every wait and every size is bounded, and nothing is believed that was not sent."""

import gzip
import random
import socket
import subprocess
import threading
import time
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from drill.http import MAX_BODY_BYTES, HttpClient, Reply
from drill.limiter import Limiter
from drill.limits import Apart
from drill.load import Budget
from drill.standstill import Heartbeat
from tests.library.server import Answer, ScriptedService, as_json, drip, html, raw, scripted

TIMEOUT_S = 0.3
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


@pytest.fixture
def client() -> Iterator[HttpClient]:
    client = HttpClient(timeout_s=5.0, token="sesame")
    yield client
    client.close()


@pytest.fixture
def hasty(client: HttpClient) -> HttpClient:
    """Return a client that gives up soon."""
    client.timeout_s = TIMEOUT_S
    return client


@pytest.fixture
def server() -> Iterator[ScriptedService]:
    with scripted() as server:
        yield server


def refused_url() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_a_whole_answer_arrives_with_status_type_body_and_latency(client: HttpClient, server: ScriptedService) -> None:
    server.script["GET", "/x"] = as_json({"a": 1}, 201)
    reply = client.get(server.url + "/x")
    assert (reply.ok, reply.status, reply.json(), reply.error) == (True, 201, {"a": 1}, "")
    assert 0 < reply.latency_s < 5.0
    assert reply.seen() == "HTTP 201 (application/json, 8 bytes)"


def test_the_token_is_sent_as_bearer_and_no_compression_is_asked_for(
    client: HttpClient, server: ScriptedService
) -> None:
    client.get(server.url + "/x")
    assert server.headers[0]["authorization"] == "Bearer sesame"
    assert server.headers[0]["accept-encoding"] == "identity"


@pytest.mark.parametrize("status", [199, 300, 404, 500])
def test_only_2xx_is_ok(status: int) -> None:
    assert not Reply(status, "application/json", b"{}", 0.0).ok
    assert Reply(status, "application/json", b"{}", 0.0).json() is None


def test_200_and_299_are_ok_but_not_with_an_error() -> None:
    assert Reply(200, "", b"", 0.0).ok
    assert Reply(299, "", b"", 0.0).ok
    assert not Reply(200, "", b"", 0.0, "broken off").ok


def test_a_refused_connection_is_a_reply_that_says_so(client: HttpClient) -> None:
    reply = client.get(refused_url())
    assert (reply.ok, reply.status, reply.seen()) == (False, 0, "connection refused or unreachable")


def test_an_unknown_host_is_named_as_such(client: HttpClient) -> None:
    assert client.get("http://no-such-host.invalid/").error == "host name not resolved"


@pytest.mark.parametrize("url", ["http://h:99999999/", "http://[::1", "ftp://h/", "nonsense", "http://h\x00/"])
def test_an_impossible_url_is_a_reply_and_no_exception(client: HttpClient, url: str) -> None:
    assert not client.get(url).ok


def test_a_redirect_is_not_followed(client: HttpClient, server: ScriptedService) -> None:
    server.script["GET", "/x"] = Answer(b"", 302, headers={"Location": server.url + "/login"})
    server.script["GET", "/login"] = html()
    reply = client.get(server.url + "/x")
    assert (reply.ok, reply.status) == (False, 302)
    assert server.asked == [("GET", "/x")]


@pytest.mark.parametrize("status", [307, 308])
@pytest.mark.parametrize(("asked", "moved"), [("/x", "/x/"), ("/x/", "/x"), ("/x?a=1", "/x/?a=1")])
def test_a_redirect_to_the_slash_is_followed_and_remembered(
    client: HttpClient, server: ScriptedService, status: int, asked: str, moved: str
) -> None:
    """With method, body and token; the second request goes there at once."""
    for location in (moved, server.url + moved):
        server.script["POST", asked] = Answer(b"", status, headers={"Location": location})
        server.script["POST", moved] = as_json
        assert client.post(server.url + asked, {"a": 1}).json() == {"a": 1}
    assert client.post(server.url + asked, {"a": 2}).json() == {"a": 2}
    assert server.asked == [("POST", path) for path in (asked, moved, moved, moved)]
    assert {headers["authorization"] for headers in server.headers} == {"Bearer sesame"}


@pytest.mark.parametrize(
    "location",
    ["/login", "/x//", "/x/y", "/", "//other/x/", "https://127.0.0.1/x/", "/x/?next=a", "", "http://[", "HERE:1/x/"],
)
def test_any_other_redirect_is_the_answer(client: HttpClient, server: ScriptedService, location: str) -> None:
    """To another path, query, host, port or scheme: nothing is sent there, least of all the token."""
    where = location.replace("HERE", "http://127.0.0.1")
    server.script["POST", "/x"] = Answer(b"", 307, headers={"Location": where})
    reply = client.post(server.url + "/x", {})
    assert (reply.ok, reply.status, server.asked) == (False, 307, [("POST", "/x")])


def test_two_redirects_that_lead_to_each_other_end(client: HttpClient, server: ScriptedService) -> None:
    """One redirect is followed for one request."""
    server.script["GET", "/x"] = Answer(b"", 301, headers={"Location": "/x/"})
    server.script["GET", "/x/"] = Answer(b"", 301, headers={"Location": "/x"})
    assert client.get(server.url + "/x").status == 301
    assert client.post(server.url + "/y", {}).status == 404
    server.script["POST", "/y"] = Answer(b"", 301, headers={"Location": "/y/"})
    assert client.post(server.url + "/y", {}).status == 301
    assert server.asked == [("GET", "/x"), ("GET", "/x/"), ("POST", "/y"), ("POST", "/y")]


@pytest.mark.parametrize("kind", ["text/plain", "text/html; charset=utf-8", "application/octet-stream", ""])
def test_json_is_json_whatever_it_calls_itself(client: HttpClient, server: ScriptedService, kind: str) -> None:
    server.script["GET", "/x"] = Answer(b'{"a": 1}', kind=kind)
    assert client.get(server.url + "/x").json() == {"a": 1}


@pytest.mark.parametrize(
    ("said", "framed"),
    [
        (b'HTTP/1.0 200 OK\r\n\r\n{"a": 1}', False),
        (b'HTTP/1.0 200 OK\r\nContent-Length: 8\r\nConnection: close\r\n\r\n{"a": 1}', True),
        (b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n{"a\r\n5\r\n": 1}\r\n0\r\n\r\n', True),
    ],
    ids=["ends with its connection", "of a known length", "in chunks"],
)
def test_an_answer_may_end_in_any_way(client: HttpClient, said: bytes, framed: bool) -> None:
    """Each request has a connection of its own then."""

    def talk(connection: socket.socket, over: threading.Event) -> None:
        connection.recv(65536)
        connection.sendall(said)

    with raw(talk) as url:
        replies = [client.get(url) for _ in range(2)]
    assert [(reply.json(), reply.framed) for reply in replies] == [({"a": 1}, framed)] * 2


def test_html_is_no_json_whatever_its_status(client: HttpClient, server: ScriptedService) -> None:
    server.script["GET", "/x"] = html()
    assert client.get(server.url + "/x").json() is None


@pytest.mark.parametrize("body", [b"{", b"\xff\xfe\xfd", b"[" * 200_000])
def test_a_body_that_is_not_json_is_no_answer_and_no_exception(
    client: HttpClient, server: ScriptedService, body: bytes
) -> None:
    server.script["GET", "/x"] = Answer(body)
    assert client.get(server.url + "/x").json() is None


def test_the_environment_s_proxy_is_not_used(server: ScriptedService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", refused_url())
    monkeypatch.setenv("ALL_PROXY", refused_url())
    server.script["GET", "/x"] = as_json({})
    client = HttpClient(timeout_s=5.0)
    assert client.get(server.url + "/x").ok
    client.close()


def test_ordinary_requests_share_a_connection_and_fresh_ones_never_do(
    client: HttpClient, server: ScriptedService
) -> None:
    server.script["GET", "/x"] = as_json({})
    for _ in range(3):
        client.get(server.url + "/x")
    assert len(server.connections) == 1
    for _ in range(3):
        client.get(server.url + "/x", fresh=True)
    assert len(server.connections) == 4


BOMB = gzip.compress(b"\0" * 80_000_000, compresslevel=1)
BODY = HEAD + b"Content-Length: 100000\r\n\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("head", "text"),
    [
        pytest.param(b"", b"", id="black hole"),
        pytest.param(b"", b"HTTP/1.1 200 OK\r\nX-Slow: " + b"a" * 1000, id="headers drip"),
        pytest.param(b"", b"HTTP/1.1 100 Continue\r\n\r\n", id="informational answers without end"),
        pytest.param(BODY, b"x", id="body drips"),
        pytest.param(CHUNKED, b"1\r\nx\r\n", id="chunks drip"),
        pytest.param(CHUNKED, b"0" * 10_000, id="a chunk's size drips"),
        pytest.param(HEAD + b"Content-Encoding: gzip\r\n\r\n", gzip.compress(b"")[:5], id="gzip head drips"),
    ],
)
def test_an_answer_that_does_not_end_is_given_up_at_about_the_timeout(
    hasty: HttpClient, head: bytes, text: bytes
) -> None:
    def silent(connection: socket.socket, over: threading.Event) -> None:
        over.wait()

    with raw(drip(head, text, 0.02) if text else silent) as url:
        began = time.monotonic()
        reply = hasty.post(url, {})
        took_s = time.monotonic() - began
    assert not reply.ok
    assert took_s < TIMEOUT_S + 1.0
    assert reply.latency_s < TIMEOUT_S + 1.0
    assert reply.error in {"no whole answer in time", "a compressed answer that cannot be unpacked"}


def test_a_server_that_takes_no_request_is_given_up_at_about_the_timeout(hasty: HttpClient) -> None:
    def deaf(connection: socket.socket, over: threading.Event) -> None:
        over.wait()

    with raw(deaf) as url:
        began = time.monotonic()
        reply = hasty.request("POST", url, content=b"x" * 30_000_000)
    assert reply.error in {"request not taken in time", "no whole answer in time"}
    assert time.monotonic() - began < TIMEOUT_S + 1.0


def test_a_connection_that_does_not_come_is_given_up_at_about_the_timeout(hasty: HttpClient) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        address = listener.getsockname()
        filling = [socket.socket() for _ in range(4)]
        for waiting in filling:
            waiting.setblocking(False)
            waiting.connect_ex(address)
        began = time.monotonic()
        reply = hasty.get(f"http://127.0.0.1:{address[1]}")
        took_s = time.monotonic() - began
        for waiting in filling:
            waiting.close()
    assert reply.error == "no connection in time"
    assert took_s < TIMEOUT_S + 1.0


def test_an_endless_body_is_given_up_at_a_size(client: HttpClient) -> None:
    def flood(connection: socket.socket, over: threading.Event) -> None:
        connection.recv(65536)
        connection.sendall(HEAD + b"\r\n")
        while not over.is_set():
            connection.sendall(b"x" * 1_000_000)

    tracemalloc.start()
    with raw(flood) as url:
        reply = client.get(url)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert reply.error == f"more than {MAX_BODY_BYTES} bytes, given up"
    assert reply.body == b""
    assert peak < 3 * MAX_BODY_BYTES


def test_a_body_of_just_the_size_is_taken(client: HttpClient, server: ScriptedService) -> None:
    server.script["GET", "/x"] = Answer(b"x" * MAX_BODY_BYTES)
    assert len(client.get(server.url + "/x").body) == MAX_BODY_BYTES


@pytest.mark.parametrize(
    ("encoding", "pack"), [("gzip", gzip.compress), ("X-GZIP", gzip.compress), ("deflate", zlib.compress)]
)
@pytest.mark.parametrize("size", [0, 1, 3_000_000])
def test_an_answer_compressed_unasked_is_unpacked(
    client: HttpClient, server: ScriptedService, encoding: str, pack: Callable[[bytes], bytes], size: int
) -> None:
    """Whole, whatever its size; without a body there is nothing to unpack."""
    body = random.Random(1).randbytes(size // 2) + bytes(size - size // 2)
    server.script["GET", "/x"] = Answer(pack(body), headers={"Content-Encoding": encoding})
    server.script["GET", "/empty"] = Answer(b"", 204, headers={"Content-Encoding": encoding})
    assert client.get(server.url + "/x").body == body
    assert client.get(server.url + "/empty").ok


@pytest.mark.parametrize("packed", [gzip.compress(b"{}" * 99, mtime=0)[:-9], b"{}", b"\x1f\x8b\x08rubbish"])
def test_what_cannot_be_unpacked_is_no_answer(client: HttpClient, server: ScriptedService, packed: bytes) -> None:
    server.script["GET", "/x"] = Answer(packed, headers={"Content-Encoding": "gzip"})
    assert client.get(server.url + "/x").error.startswith("a compressed answer that cannot be unpacked")


def test_what_unpacks_to_too_much_is_given_up(client: HttpClient, server: ScriptedService) -> None:
    """The size bounds what comes out."""
    server.script["GET", "/x"] = Answer(BOMB, headers={"Content-Encoding": "gzip"})
    tracemalloc.start()
    reply = client.get(server.url + "/x")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (reply.error, reply.body) == (f"more than {MAX_BODY_BYTES} bytes, given up", b"")
    assert peak < 3 * MAX_BODY_BYTES


@pytest.mark.parametrize("encoding", ["gzip, gzip", "br", "zstd"])
def test_other_compressions_are_not_unpacked(client: HttpClient, server: ScriptedService, encoding: str) -> None:
    server.script["GET", "/x"] = Answer(BOMB, headers={"Content-Encoding": encoding})
    tracemalloc.start()
    reply = client.get(server.url + "/x")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (reply.ok, reply.body) == (False, b"")
    assert peak < 2_000_000


def test_an_answer_that_says_it_is_not_compressed_is_taken(client: HttpClient, server: ScriptedService) -> None:
    server.script["GET", "/x"] = Answer(b"{}", headers={"Content-Encoding": "identity"})
    assert client.get(server.url + "/x").ok


@pytest.mark.parametrize("said", [BODY + b"half", CHUNKED + b"5\r\nab", b"SSH-2.0-OpenSSH\r\n", b""])
def test_an_answer_that_breaks_off_is_no_answer(client: HttpClient, said: bytes) -> None:
    def talk(connection: socket.socket, over: threading.Event) -> None:
        connection.recv(65536)
        connection.sendall(said)

    with raw(talk) as url:
        reply = client.get(url)
    assert (reply.ok, reply.error) == (False, "connection broken off or not HTTP")


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


def test_a_certificate_that_nobody_vouches_for_is_refused_with_one_clear_reason(
    client: HttpClient, certificate: tuple[Path, Path]
) -> None:
    with scripted(certificate) as server:
        server.script["GET", "/x"] = as_json({})
        reply = client.get(server.url + "/x")
    assert not reply.ok
    assert reply.error.startswith("TLS certificate not accepted: self")
    assert "ca_file" in reply.error
    assert server.asked == []


def test_a_certificate_of_the_configured_authority_is_accepted(certificate: tuple[Path, Path]) -> None:
    client = HttpClient(timeout_s=2.0, ca_file=str(certificate[0]))
    with scripted(certificate) as server:
        server.script["GET", "/x"] = as_json({})
        assert client.get(server.url + "/x").ok
        wrong = client.get(server.url.replace("127.0.0.1", "localhost") + "/x")
    client.close()
    assert "certificate not accepted" in wrong.error
    assert "localhost" in wrong.error


def test_https_at_a_port_without_tls_is_told_from_a_bad_certificate(
    client: HttpClient, server: ScriptedService
) -> None:
    assert "https" in client.get(server.url.replace("http:", "https:")).error


def test_a_tls_handshake_that_hangs_is_given_up_at_about_the_timeout(hasty: HttpClient) -> None:
    def silent(connection: socket.socket, over: threading.Event) -> None:
        over.wait()

    with raw(silent) as url:
        began = time.monotonic()
        reply = hasty.get(url.replace("http:", "https:"))
    assert not reply.ok
    assert time.monotonic() - began < TIMEOUT_S + 1.0


def test_latency_is_measured_from_the_first_byte_sent_to_the_last_received(
    client: HttpClient, server: ScriptedService
) -> None:
    pause = threading.Event()

    def late(_body: dict[str, object]) -> Answer:
        pause.wait(0.2)
        return as_json({})

    server.script["POST", "/x"] = late
    assert 0.2 <= client.post(server.url + "/x", {}).latency_s < 1.5


def test_no_error_repeats_the_token(server: ScriptedService) -> None:
    client = HttpClient(timeout_s=5.0, token="line\nbreak-SECRET")
    reply = client.get(server.url + "/x")
    client.close()
    assert not reply.ok
    assert "SECRET" not in reply.seen()


SLOW_DOWN = Answer(b"slow down", 429, "text/plain", {"Retry-After": "7"})


def limited_client(url: str, budget: Budget, slept: list[float], *, probes: bool = False) -> HttpClient:
    """Return a client of ``url`` on a clock that passes while it sleeps."""
    now = [100.0]

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    limiter = Limiter([url], budget, clock=lambda: now[0], sleep=sleep)
    return HttpClient(timeout_s=5.0, limiter=limiter, probes=probes)


def test_a_request_that_was_one_too_many_is_sent_again_when_the_service_says_so(server: ScriptedService) -> None:
    slept: list[float] = []
    answers = iter([SLOW_DOWN])
    server.script["GET", "/x"] = lambda _body: next(answers, as_json({}))
    client = limited_client(server.url, Budget(0, 9, 100.0), slept)
    assert client.get(server.url + "/x").ok
    assert (len(server.asked), slept) == (2, [7.0])
    client.close()


def test_a_probe_is_not_sent_again(server: ScriptedService) -> None:
    slept: list[float] = []
    server.script["GET", "/x"] = SLOW_DOWN
    client = limited_client(server.url, Budget(9, 0, 100.0), slept, probes=True)
    reply = client.get(server.url + "/x")
    assert (reply.apart, reply.seen()) == (
        Apart.LIMITED,
        "HTTP 429: not answered, the service limits the drill",
    )
    assert (len(server.asked), slept) == (1, [])
    client.close()


def test_what_was_not_announced_is_not_sent(server: ScriptedService) -> None:
    server.script["GET", "/x"] = as_json({})
    client = limited_client(server.url, Budget(0, 3, 100.0), [])
    replies = [client.get(server.url + "/x") for _ in range(5)]
    assert [reply.ok for reply in replies] == [True, True, True, False, False]
    assert len(server.asked) == 3
    assert replies[-1].apart is Apart.UNMEASURED
    assert not replies[-1].dead
    client.close()


def test_a_request_during_which_the_drill_stood_still_says_nothing_and_is_sent_again(server: ScriptedService) -> None:
    """Stopped for longer than its timeout, the drill has no right to call the service silent."""
    now = [0.0]
    heart = Heartbeat(lambda: now[0], lambda: now[0])
    heart.beat()

    def stopped_once(_body: dict[str, object]) -> Answer:
        if len(server.asked) == 1:
            now[0] = time.monotonic() + 90
            return Answer(b"x" * (MAX_BODY_BYTES + 1))
        return as_json({})

    server.script["GET", "/x"] = stopped_once
    client = HttpClient(timeout_s=5.0, heartbeat=heart)
    assert client.get(server.url + "/x").ok
    assert len(server.asked) == 2
    client.close()

"""TLS that does not come about: each cause has its own sentence, which says what to do."""

import socket
import ssl
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from drill.checks import preflight
from drill.http import HttpClient, Reply
from drill.tls import look
from drill.verdict import Verdict
from tests.library.certificates import dated, of_private_authority, self_signed
from tests.library.server import Answer, raw, scripted
from tests.library.world import make_drill

Files = tuple[Path, Path]


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return self_signed(tmp_path_factory.mktemp("tls") / "good")


def ask(url: str, ca_file: str | Path = "") -> Reply:
    client = HttpClient(timeout_s=5.0, ca_file=str(ca_file))
    reply = client.get(url + "/x")
    client.close()
    return reply


def answered(files: Files, *, trusted: bool, host: str = "127.0.0.1") -> Reply:
    with scripted(files) as server:
        return ask(server.url.replace("127.0.0.1", host), files[0] if trusted else "")


@pytest.mark.parametrize(
    ("begin", "end", "said"),
    [
        ("20200101000000Z", "20210101000000Z", "certificate has expired; renew it"),
        ("20800101000000Z", "20810101000000Z", "certificate is not yet valid; check the clocks"),
    ],
)
def test_a_certificate_out_of_date_is_told_by_its_date(tmp_path: Path, begin: str, end: str, said: str) -> None:
    """An expired certificate is renewed, an early one is a clock."""
    reply = answered(dated(tmp_path / "tls", begin, end), trusted=True)
    assert (reply.tls, said in reply.error) == (True, True), reply.error


def test_a_self_signed_certificate_is_told_from_one_of_an_unknown_authority(tmp_path: Path, good: Files) -> None:
    """Both ask for a ca_file, but for another one; with it, both are accepted."""
    own = answered(good, trusted=False)
    assert "self-signed certificate; set [service] ca_file to it" in own.error
    cert, key, authority = of_private_authority(tmp_path)
    with scripted((cert, key)) as server:
        other = ask(server.url)
        assert ask(server.url, authority).status == 404
    assert "unable to get local issuer certificate; set [service] ca_file to the certificate of its auth" in other.error


def test_a_certificate_for_another_host_names_the_host(good: Files) -> None:
    """What the URL says and what the certificate says do not fit."""
    reply = answered(good, trusted=True, host="localhost")
    assert "not valid for 'localhost'; use a host name in the URL that stands in the certificate" in reply.error


def test_https_to_a_port_of_plain_http_and_the_other_way_round_are_told_apart(tmp_path: Path, good: Files) -> None:
    """The URL's scheme is wrong, and which one is right."""
    with scripted() as server:
        plain = ask(server.url.replace("http:", "https:"))
    assert plain.error == (
        "no TLS connection: this port does not speak https; write http:// in the URL if it is meant to be plain"
    )
    with scripted(good) as server:
        url = server.url.replace("https:", "http:")
        assert look(url) == "this port speaks https; write https:// in the URL"
        drill = make_drill(tmp_path, toml=f'[service]\ninstances = ["{url}"]\n')
        evidence = preflight.service(drill)
    assert evidence.verdict is Verdict.FAIL
    assert "this port speaks https" in evidence.reason


def test_a_tls_alert_where_http_is_expected_says_that_the_port_speaks_https() -> None:
    """Servers that answer plain HTTP with an alert have said what they speak."""

    def alert(connection: socket.socket, _over: threading.Event) -> None:
        connection.recv(65536)
        connection.sendall(b"\x15\x03\x03\x00\x02\x02\x46")

    with raw(alert) as url:
        reply = ask(url)
    assert (reply.tls, reply.error) == (True, "not HTTP: this port speaks https; write https:// in the URL")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"<h1>400 Bad Request</h1>\r\n<center>No required SSL certificate was sent</center>", "client certificate"),
        (b"<center>The plain HTTP request was sent to HTTPS port</center>", "this port speaks https"),
        (b"Client sent an HTTP request to an HTTPS server.\n", "this port speaks https"),
        (b"Reason: You're speaking plain HTTP to an SSL-enabled server port.", "this port speaks https"),
        (b"<center>400 Bad Request</center>", ""),
    ],
)
def test_what_servers_say_in_http_of_tls_below_it_is_understood(body: bytes, said: str) -> None:
    """nginx, Go and Apache answer 400 with words; the words are read and not repeated."""
    with scripted() as server:
        server.script["GET", "/x"] = Answer(body, 400, "text/html")
        reply = ask(server.url)
    assert (reply.tls, said in reply.seen()) == (bool(said), True)
    assert "Bad Request" not in reply.seen()


def _asking_for_a_certificate(
    files: Files, version: ssl.TLSVersion
) -> Callable[[socket.socket, threading.Event], None]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*files)
    context.load_verify_locations(files[0])
    context.verify_mode = ssl.CERT_REQUIRED
    context.minimum_version = context.maximum_version = version

    def talk(connection: socket.socket, _over: threading.Event) -> None:
        with context.wrap_socket(connection, server_side=True) as secured:
            secured.recv(65536)

    return talk


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_server_that_asks_for_a_client_certificate_is_said_to(
    tmp_path: Path, good: Files, version: ssl.TLSVersion
) -> None:
    """mTLS is no port that does not speak https."""
    with raw(_asking_for_a_certificate(good, version)) as plain_url:
        url = plain_url.replace("http:", "https:")
        drill = make_drill(tmp_path, toml=f'[service]\ninstances = ["{url}"]\nca_file = "{good[0]}"\n')
        del drill.__dict__["client"]
        evidence = preflight.service(drill)
        drill.client.close()
    assert evidence.verdict is Verdict.FAIL
    assert "client certificate (mTLS)" in evidence.reason
    assert "does not speak" not in evidence.reason


def test_a_look_at_a_port_that_is_well_or_that_is_not_there_says_nothing(good: Files) -> None:
    """A look never finds what is not so."""
    with scripted(good) as server:
        assert look(server.url, str(good[0])) == ""
    with scripted() as server:
        assert look(server.url) == ""
    assert look(server.url) == look(server.url.replace("http:", "https:")) == ""

"""A retrieval service that answers exactly what a test scripted, well or badly."""

import json
import socket
import ssl
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, TypeVar

OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
CLASSIC = "text/plain; version=0.0.4; charset=utf-8"


@dataclass
class Answer:
    """One scripted answer."""

    body: bytes = b"{}"
    status: int = 200
    kind: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)


def as_json(value: object, status: int = 200) -> Answer:
    return Answer(json.dumps(value).encode(), status)


def html(status: int = 200) -> Answer:
    return Answer(b"<html><body>please log in</body></html>", status, "text/html")


Script = Answer | Callable[[dict[str, Any]], Answer]


class ScriptedService(ThreadingHTTPServer):
    """Answers ``script[(method, path)]``, or 404; remembers what was asked, and over how many connections."""

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.script: dict[tuple[str, str], Script] = {}
        self.asked: list[tuple[str, str]] = []
        self.headers: list[dict[str, str]] = []
        self.connections: Counter[tuple[str, int]] = Counter()
        self.scheme = "http"

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that hang up."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True
    server: ScriptedService

    def _answer(self) -> None:
        self.server.connections[self.client_address] += 1
        self.server.asked.append((self.command, self.path))
        self.server.headers.append({name.lower(): value for name, value in self.headers.items()})
        size = int(self.headers.get("content-length") or 0)
        sent = self.rfile.read(size)
        script = self.server.script.get((self.command, self.path), Answer(b"{}", 404))
        answer = script if isinstance(script, Answer) else script(json.loads(sent or b"{}"))
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.kind)
        self.send_header("Content-Length", str(len(answer.body)))
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.body)

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = _answer  # noqa: N815 - the base class looks for these

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the base class
        """Log nothing."""


Kind = TypeVar("Kind", bound=ScriptedService)


@contextmanager
def running(server: Kind) -> Iterator[Kind]:
    """Run ``server`` in a thread."""
    with server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def scripted(tls: tuple[Path, Path] | None = None) -> Iterator[ScriptedService]:
    """Run a scripted service; ``tls`` are the files of its certificate and key."""
    server = ScriptedService()
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*tls)
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        server.scheme = "https"
    with running(server):
        yield server


@contextmanager
def raw(talk: Callable[[socket.socket, threading.Event], None]) -> Iterator[str]:
    """Run a server that accepts connections and leaves each to ``talk``, which ends when the event is set."""
    over = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))

    def serve(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            talk(connection, over)

    def accept() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=serve, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        over.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def drip(head: bytes, text: bytes, pause_s: float = 0.05) -> Callable[[socket.socket, threading.Event], None]:
    """Return a talk that sends ``head`` at once, then ``text`` a byte at a time, over and over."""

    def talk(connection: socket.socket, over: threading.Event) -> None:
        connection.recv(65536)
        connection.sendall(head)
        while True:
            for byte in text:
                if over.wait(pause_s):
                    return
                connection.sendall(bytes([byte]))

    return talk

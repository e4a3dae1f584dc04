"""A retrieval service in this process: it obeys its env file at once, and any of its paths can be taken over."""

import json
import ssl
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from dotenv import dotenv_values
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

Take = Callable[["Handler"], None]
"""Answers in place of the service; what it leaves unsaid stays unsaid."""


class Metrics:
    """The metrics of section 7, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.requests = Counter("retrieval_requests_total", "-", ["backend", "tenant"], registry=registry)
        self.latency = Histogram("retrieval_latency_seconds", "-", ["backend", "tenant"], registry=registry)
        Counter("retrieval_errors_total", "-", ["backend", "code", "tenant"], registry=registry)
        Counter("retrieval_dual_write_errors_total", "-", ["target", "tenant"], registry=registry)
        Counter("retrieval_dual_write_skipped_total", "-", ["reason"], registry=registry)
        Counter("retrieval_dual_write_outbox_dropped_total", "-", registry=registry)
        Gauge("retrieval_dual_write_outbox_size", "-", registry=registry)
        for name in ("agreement_at_5", "ndcg_at_10", "latency_seconds"):
            Histogram(f"retrieval_shadow_{name}", "-", ["backend", "sample"], registry=registry)
        Counter("retrieval_shadow_dropped_total", "-", ["reason"], registry=registry)
        Gauge("process_start_time_seconds", "-", registry=registry).set(1_700_000_000)


class Service(ThreadingHTTPServer):
    """Serves the documents of a ``docs.json``; ``taken`` maps paths (``*``: all) to who answers there."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, env_file: Path, docs: Path, tls: tuple[Path, Path] | None = None) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.env_file = env_file
        self.docs: list[dict[str, Any]] = json.loads(docs.read_text())
        self.metrics = Metrics()
        self.taken: dict[str, Take] = {}
        self.scheme = "http"
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
            self.scheme = "https"

    @property
    def url(self) -> str:
        """Its base URL."""
        return f"{self.scheme}://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that hang up."""


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True
    server: Service

    def answer(
        self, body: bytes, kind: str = "application/json", status: int = 200, message: str | None = None
    ) -> None:
        """Send a whole answer."""
        self.send_response(status, message)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _serve(self) -> None:
        self.asked: dict[str, Any] = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"{}")
        take = self.server.taken.get(self.path) or self.server.taken.get("*")
        if take is not None:
            take(self)
        elif self.path == "/metrics":
            self.answer(generate_latest(self.server.metrics.registry), "text/plain; version=0.0.4")
        elif self.path.endswith("/search") and self.command == "POST":
            self.search(self.asked)
        elif self.path.endswith("/embed") and self.command == "POST":
            self.answer(json.dumps({"vectors": [[1.0, len(text), 0.5, -2.0] for text in self.asked["texts"]]}).encode())
        else:
            self.answer(b'{"status": "ok", "answer": "read the runbook"}')

    def search(self, asked: dict[str, Any]) -> None:
        """Answer a search, and count it under the backend of the env file."""
        server, tenant = self.server, asked["tenant"]
        backend = dotenv_values(server.env_file).get("RETRIEVAL_BACKEND") or ""
        with server.metrics.latency.labels(backend, tenant).time():
            first = sum(asked["query"].encode())
            found = [server.docs[(first + number) % len(server.docs)] for number in range(asked["top_k"])]
        server.metrics.requests.labels(backend, tenant).inc()
        results = [{"id": doc["id"], "score": 0.5, "metadata": {"tenant": tenant}} for doc in found]
        self.answer(json.dumps({"results": results}).encode())

    do_GET = do_POST = do_OPTIONS = _serve  # noqa: N815 - the base class looks for these

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the base class
        """Log nothing."""

"""A retrieval service that shares nothing with the sandbox: one process, and it re-reads its env file itself."""

import json
import sys
import threading
import time
from collections import Counter as Counts
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from dotenv import dotenv_values
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

REGISTRY = CollectorRegistry()
ProcessCollector(registry=REGISTRY)
REQUESTS = Counter("retrieval_requests_total", "-", ["backend", "tenant"], registry=REGISTRY)
ERRORS = Counter("retrieval_errors_total", "-", ["backend", "code", "tenant"], registry=REGISTRY)
LATENCY = Histogram("retrieval_latency_seconds", "-", ["backend", "tenant"], registry=REGISTRY)
WRITE_ERRORS = Counter("retrieval_dual_write_errors_total", "-", ["target", "tenant"], registry=REGISTRY)
SKIPPED = Counter("retrieval_dual_write_skipped_total", "-", ["reason"], registry=REGISTRY)
OUTBOX = Gauge("retrieval_dual_write_outbox_size", "-", registry=REGISTRY)
OUTBOX_DROPPED = Counter("retrieval_dual_write_outbox_dropped_total", "-", registry=REGISTRY)
AGREEMENT = Histogram("retrieval_shadow_agreement_at_5", "-", ["backend", "sample"], registry=REGISTRY)
NDCG = Histogram("retrieval_shadow_ndcg_at_10", "-", ["backend", "sample"], registry=REGISTRY)
SHADOW_LATENCY = Histogram("retrieval_shadow_latency_seconds", "-", ["backend", "sample"], registry=REGISTRY)
SHADOW_DROPPED = Counter("retrieval_shadow_dropped_total", "-", ["reason"], registry=REGISTRY)


ASKED: Counts[str] = Counts()
"""Requests by the name that the client gives itself."""


class Flags:
    """The flags as they were read last; ``poll_s`` seconds may pass before a change is noticed."""

    def __init__(self, env_file: Path, poll_s: float) -> None:
        self._env_file, self._poll_s = env_file, poll_s
        self.values = dotenv_values(env_file)
        threading.Thread(target=self._poll, daemon=True).start()

    def _poll(self) -> None:
        while True:
            time.sleep(self._poll_s)
            self.values = dotenv_values(self._env_file)


def serve(env_file: Path, docs: list[dict[str, Any]], poll_s: float) -> None:  # noqa: C901 - one handler, all routes
    """Serve until killed; print the port first."""
    flags = Flags(env_file, poll_s)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_arguments: object) -> None: ...

        def answer(self, body: bytes, kind: str = "application/json", status: int = 200) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def parse_request(self) -> bool:
            """Count who asks, whatever it is."""
            whole = super().parse_request()
            if whole:
                ASKED[self.headers.get("User-Agent", "")] += 1
            return whole

        def do_GET(self) -> None:
            if self.path == "/asked":
                return self.answer(json.dumps(ASKED).encode())
            if self.path == "/metrics":
                return self.answer(generate_latest(REGISTRY), "text/plain; version=0.0.4")
            if self.path == "/debug/config":
                return self.answer(json.dumps({"env": flags.values}).encode())
            return self.answer(b'{"status":"ok"}' if self.path == "/health" else b"{}", status=200)

        def do_OPTIONS(self) -> None:
            self.answer(b"", status=204)

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if self.path.endswith("/embed"):
                vectors = [[1.0, float(len(text)), 0.5, -2.0] for text in asked["texts"]]
                return self.answer(json.dumps({"vectors": vectors}).encode())
            if self.path.endswith("/advise"):
                (first,) = self.search({"query": "which runbook?", "tenant": "default", "top_k": 1})
                return self.answer(json.dumps({"answer": f"read {first['id']}"}).encode())
            return self.answer(json.dumps({"results": self.search(asked)}).encode())

        def search(self, asked: dict[str, Any]) -> list[dict[str, Any]]:
            backend, tenant = flags.values["RETRIEVAL_BACKEND"] or "", asked["tenant"]
            with LATENCY.labels(backend, tenant).time():
                first = sum(asked["query"].encode()) % len(docs)
                found = [docs[(first + number) % len(docs)] for number in range(asked["top_k"])]
            REQUESTS.labels(backend, tenant).inc()
            if flags.values["FF_RETRIEVAL_SHADOW_READ"] != "OFF":
                AGREEMENT.labels(backend, "all").observe(1.0)
            return [{"id": doc["id"], "score": 0.5, "metadata": {"tenant": tenant}} for doc in found]

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(server.server_address[1], flush=True)
    server.serve_forever()


if __name__ == "__main__":
    serve(Path(sys.argv[1]), json.loads(Path(sys.argv[2]).read_text()), float(sys.argv[3]))

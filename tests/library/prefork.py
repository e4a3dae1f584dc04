"""A service of several workers that share one port, as gunicorn forks them: with one page for all, or one each.

Run as a script: ``prefork.py PORT WORKERS PAGES``, where PAGES is ``shared`` (``PROMETHEUS_MULTIPROC_DIR`` is set) or
``own``. Each worker prints its name when it is there. It ends with its standard input.
"""

import json
import os
import signal
import socket
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def serve(listener: socket.socket, *, shared: bool) -> None:
    """Serve in this process until it is killed."""
    from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
    from prometheus_client.multiprocess import MultiProcessCollector

    own = CollectorRegistry()
    requests = Counter("retrieval_requests_total", "Searches.", ["backend", "tenant"], registry=own)
    Counter("retrieval_shadow_dropped_total", "Dropped.", registry=own)
    Histogram("retrieval_latency_seconds", "Latency.", registry=own).observe(0.001)
    Gauge("retrieval_dual_write_outbox_size", "Waiting.", registry=own).set(0)
    page = CollectorRegistry() if shared else own
    if shared:
        MultiProcessCollector(page)  # type: ignore[no-untyped-call]
    name = f"{os.getpid()}-{time.time_ns()}"

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.answer(generate_latest(page) if self.path == "/metrics" else json.dumps({"pid": name}).encode())

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            requests.labels("faiss", "default").inc()
            self.answer(b'{"results": []}')

        def answer(self, body: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/plain" if self.path == "/metrics" else "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("X-Worker", name)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the base class
            """Log nothing."""

    server = ThreadingHTTPServer(listener.getsockname(), Handler, bind_and_activate=False)
    server.socket.close()
    server.socket = listener
    print(name, flush=True)
    server.serve_forever()


def main() -> None:
    """Fork the workers, and end them when nobody holds the standard input any more."""
    port, workers, pages = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(64)
    listener.setblocking(False)
    children = []
    for _ in range(workers):
        child = os.fork()
        if not child:
            serve(listener, shared=pages == "shared")
        children.append(child)
    sys.stdin.read()
    for child in children:
        os.kill(child, signal.SIGKILL)


if __name__ == "__main__":
    main()

"""An HTTP server that answers a search after a known time: ``python -m bench.known_latency SECONDS``, says its port."""

import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ANSWER = b'{"results": [{"id": "a", "score": 1.0, "metadata": {}}]}'


class Handler(BaseHTTPRequestHandler):
    """Answers every POST alike; connections are kept alive."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    latency_s = 0.0

    def do_POST(self) -> None:
        """Read the body, wait, answer in one write."""
        began = time.perf_counter()
        self.rfile.read(int(self.headers["Content-Length"]))
        time.sleep(max(0.0, self.latency_s - (time.perf_counter() - began)))
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(ANSWER)}\r\n\r\n"
        self.wfile.write(head.encode() + ANSWER)

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


if __name__ == "__main__":
    Handler.latency_s = float(sys.argv[1])
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        print(server.server_port, flush=True)
        server.serve_forever()

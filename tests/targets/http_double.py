"""A small HTTP server for answers of documented shape: routes are functions of (path, query, body)."""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

Query = Mapping[str, list[str]]
Answer = tuple[int, Any]
Route = Callable[[str, str, Query, bytes], Answer]


@dataclass
class Asked:
    """What a double was asked, for tests of what is sent."""

    requests: list[tuple[str, str]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)


@contextmanager
def serving(route: Route, headers: Mapping[str, str] | None = None, asked: Asked | None = None) -> Iterator[str]:
    """Serve ``route(method, path, query, body) -> (status, JSON value or bytes)``."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1
        disable_nagle_algorithm = True

        def _serve(self) -> None:
            parts = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if asked is not None:
                asked.requests.append((self.command, unquote(parts.path)))
                asked.headers.append({name.lower(): value for name, value in self.headers.items()})
            query = parse_qs(parts.query, keep_blank_values=True)
            try:
                status, value = route(self.command, unquote(parts.path), query, body)
            except Exception as error:  # noqa: BLE001 - a mistake of the double must not look like a silent server
                status, value = 500, {"error": repr(error)}
            raw = value if isinstance(value, bytes) else json.dumps(value).encode()
            self.send_response(status)
            for name, content in {"Content-Type": "application/json", **(headers or {})}.items():
                self.send_header(name, content)
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(raw)
            self.wfile.flush()

        do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = _serve  # noqa: N815 - the names http.server calls

        def log_message(self, *_: Any) -> None:
            """Stay silent."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 64

        def handle_error(self, *_: Any) -> None:
            """A client that hangs up is no error."""

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

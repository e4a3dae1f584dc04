"""Secrets and personal data planted in all that a drill reads, and the search for them in all that it leaves."""

from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from tests.drill.harness import DEAD, Desk, Ran

PLANTED = (
    "cnrQuote7x",
    "cnrUrlPw3k",
    "cnrUnicode9",
    "cnrScript2m",
    "cnrPemKey5t",
    "cnrPerson4w",
    "cnrBearer8q",
    "cnrDsnPw6h",
    "cnrExport1z",
    "cnrConfig3v",
    "cnrServer2s",
    "cnrCookie7c",
    "cnrAnswer5a",
    "cnrJwtSig9e",
    "cnrPhone0170",
    "cnrHeader6u",
    "cnrNotes1y",
)
"""A word inside each planted value that no escaping changes: who shows the value in whatever disguise shows it."""

ENV = """\
# service
export SESSION_SECRET='cnrExport1z-with-export'
FF_RETRIEVAL_DUAL_WRITE=ON
FF_RETRIEVAL_SHADOW_READ=ON
RETRIEVAL_BACKEND=pgvector
QUOTED_PASSWORD="cnrQuote7x'\\"quoted"
BROKER=amqps://svc:cnrUrlPw3k@mq.internal:5671/v
GREETING=cnrUnicode9-пароль-秘密
BANNER=<script>cnrScript2m(1)</script>
TLS_KEY="-----BEGIN PRIVATE KEY-----
cnrPemKey5tMIIEvQIBADANBgkqhkiG9w0BAQEF
-----END PRIVATE KEY-----"
ONCALL=cnrPerson4w@example.org
SESSION_JWT=eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.cnrJwtSig9e
ON_CALL_PHONE="+49 170 1234567 cnrPhone0170"
PUSH_HEADER="X-Api-Key: cnrHeader6u"
NOTES_SECRET=cnrNotes1y
SERVICE_TOKEN=cnrBearer8q
TARGET_DSN=postgresql://drill:cnrDsnPw6h@127.0.0.1:9/vectors
"""
TOML = f"""\
[service]
base_url = "{DEAD}"
reload_timeout_s = 1
auth_token_env = "SERVICE_TOKEN"
chat_path = "/chat"
chat_body = {{message = "cnrConfig3v, born 1970-01-01"}}
[target]
kind = "pgvector"
dsn_env = "TARGET_DSN"
"""


class _Reflecting(BaseHTTPRequestHandler):
    """Sends the token that it was given back, in every place of an answer that the drill looks at."""

    def _answer(self) -> None:
        self.rfile.read(int(self.headers.get("content-length") or 0))
        token = (self.headers.get("authorization") or "").removeprefix("Bearer ")
        found = self.path == "/metrics"
        lines = (f'retrieval_requests_total{{backend="{token}"}} 1', f"# HELP x {token}", f"process_{token} 1\n")
        body = ("\n".join(lines) if found else f"<h1>401: {token} is not known</h1>").encode()
        self.send_response(200 if found else 401, f"Unauthorized {token}")
        self.send_header("Content-Type", "text/plain" if found else f"text/{token}")
        self.send_header("Location", f"http://{token}.example/")
        self.send_header("WWW-Authenticate", token)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_OPTIONS = _answer  # noqa: N815 - the base class looks for these

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name in the base class
        """Say nothing."""


class _Talkative(BaseHTTPRequestHandler):
    """Answers every request with personal data, in headers, metrics and JSON."""

    server_version = "<script>cnrServer2s</script>"

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self._answer()

    def _answer(self) -> None:
        body = b'{"results": [{"id": "cnrAnswer5a", "score": "cnrAnswer5a"}], "answer": {"cnrAnswer5a": 1}}'
        self.send_response(200)
        self.send_header("Set-Cookie", "session=cnrCookie7c")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name in the base class
        """Say nothing."""


@contextmanager
def talkative_service(*, reflecting: bool = False) -> Iterator[str]:
    """Yield the URL of a service whose every answer holds personal data, or the token that it was sent."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Reflecting if reflecting else _Talkative)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@dataclass(frozen=True)
class Planted:
    """A desk whose env file and configuration are full of secrets."""

    desk: Desk

    @classmethod
    def make(cls, home: Path) -> "Planted":
        """Plant them."""
        env_file = home / "config" / "service.env"
        env_file.parent.mkdir()
        env_file.write_text(ENV)
        env_file.with_name("drill.toml").write_text(TOML)
        return cls(Desk(env_file, home / "left" / "artifacts", home / "left" / "reports", observe_s="1"))

    @property
    def left(self) -> Path:
        """The directory for all that a drill may leave."""
        return self.desk.artifacts.parent

    def hits(self, ran: Ran) -> list[str]:
        """Return where a planted value was found: in the streams or in any written file but the backup."""
        texts = {"the streams": ran.output.encode()} | {str(path.name): path.read_bytes() for path in self._written()}
        assert len(texts) > 1, "the drill left nothing to be searched"
        return [
            f"{word} in {name}"
            for name, data in texts.items()
            for word in PLANTED
            if any(f in data for f in forms(word))
        ]

    def _written(self) -> Iterator[Path]:
        given = {"service.env", "service.env.bak", "drill.toml"}
        for path in (*self.left.rglob("*"), *self.desk.env_file.parent.rglob("*")):
            if path.is_file() and path.name not in given:
                yield path


def forms(word: str) -> tuple[bytes, ...]:
    """Return the word and what it is in base64, wherever it stands in what was encoded."""
    plain = word.encode()
    inner = (b64encode(b"\0" * shift + plain)[(0, 2, 3)[shift] : (shift + len(plain)) * 8 // 6] for shift in range(3))
    return (plain, *inner)

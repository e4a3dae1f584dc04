"""HTTP with every wait and every size bounded: no answer, slow answer and endless answer all cost seconds.

An answer is streamed, and given up at a deadline (``drill.transport``) or a size. It is asked for uncompressed; where a
server compresses all the same, the size bounds what comes out (``drill.unpack``).
"""

import json
import logging
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from drill.limits import UNAVAILABLE, Apart, Told, told
from drill.redirects import slash_only
from drill.unpack import NotUnpacked, unpacked
from drill.words import count

if TYPE_CHECKING:
    import httpx

    from drill.limiter import Limiter
    from drill.standstill import Heartbeat
    from drill.transport import Wire

MAX_BODY_BYTES = 8 * 1024 * 1024
CONNECTIONS = 64
_MEDIA_TYPE = re.compile(r"(?=.{3,80}\Z)[\w!#$%&'*+.^`|~-]+/[\w!#$%&'*+.^`|~-]+", re.ASCII)
"""RFC 9110, 8.3.1, without parameters; at most so many characters are shown."""
SLOW_S = 1.0
"""What gave no answer for longer than this would only keep the next request waiting as long."""
USER_AGENT = "rollback-drill"
ELSEWHERE = "a redirect that is not followed"
BROKEN_OFF = "connection broken off"
"""How errors begin that tell of a connection which was there."""

_TALKATIVE = ("httpx", "httpcore")
"""Loggers that at DEBUG repeat the headers of answers, cookies and banners among them."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer, or why there was none. ``error`` is empty exactly if a whole answer arrived."""

    status: int
    content_type: str
    body: bytes = field(repr=False)
    latency_s: float
    """From the first byte sent to the last byte received."""
    error: str = ""
    waited_s: float = 0.0
    """How long the whole exchange took, connecting included."""
    hint: str = ""
    """What to do about this answer, where that is known."""
    tls: bool = False
    """Whether there was no answer because of TLS: certificate, version, client certificate, or none spoken."""
    date: str = ""
    """When the answer was made by the clock of its host, as its head says."""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Names in lower case."""
    framed: bool = True
    """Whether the answer said itself where its body ends; one that ends with its connection may have been cut off."""
    apart: Apart | None = None
    """Why it says nothing of the service, if it says nothing."""

    @property
    def ok(self) -> bool:
        """Whether a whole answer with a 2xx status arrived."""
        return not self.error and 200 <= self.status < 300

    @property
    def dead(self) -> bool:
        """Whether nobody answered in time: asking more would cost as much time again, and tell nothing new."""
        return bool(self.error) and self.status == 0 and self.waited_s > SLOW_S and self.apart is None

    def json(self) -> Any:
        """Return the decoded JSON body, or ``None`` if the answer is not a 2xx one with JSON in it.

        What it calls itself does not matter: JSON is sent as ``text/plain`` too, and a login page is no JSON.
        """
        if not self.ok:
            return None
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None

    def seen(self) -> str:
        """Say in a few words what came back, without a word of the body."""
        if self.error:
            return self.error
        if self.apart is Apart.LIMITED:
            why = "the service asks to wait" if self.status == UNAVAILABLE else "the service limits the drill"
            return f"HTTP {self.status}: not answered, {self.hint or why}"
        kind = self.content_type.partition(";")[0].strip()
        if not _MEDIA_TYPE.fullmatch(kind):  # not quoted: it may be anything, a secret cut in two among it
            kind = "a content type that is none" if kind else "no content type"
        return f"HTTP {self.status} ({kind}, {count(len(self.body), 'byte')})" + (f": {self.hint}" if self.hint else "")

    def brief(self) -> str:
        """Say it so that many answers of one kind are the same: the status alone, or why there was none."""
        return self.error or f"HTTP {self.status}"


class HttpClient:
    """A client for the service's own endpoints: no proxies or netrc of the environment, TLS verified.

    No redirect is followed but to the same path with or without a slash at its end (``drill.redirects``), which is
    remembered.
    """

    def __init__(
        self,
        *,
        token: str = "",
        ca_file: str = "",
        timeout_s: float = 5.0,
        max_bytes: int = MAX_BODY_BYTES,
        unauthorized: str = "",
        limiter: "Limiter | None" = None,
        heartbeat: "Heartbeat | None" = None,
        probes: bool = False,
    ) -> None:
        """``timeout_s`` bounds a whole exchange, connecting included; ``max_bytes`` the body of an answer.

        ``unauthorized`` is what to do about a 401 or 403. Whatever asks the service has its ``limiter``. ``probes`` are
        sent once; other requests once more, where the service's limiter turned them away or the drill itself stood
        still (``heartbeat``).
        """
        import ssl

        import httpx

        from drill.transport import BoundedTransport

        for name in _TALKATIVE:
            logging.getLogger(name).setLevel(logging.WARNING)
        self.timeout_s = timeout_s
        self._max_bytes = max_bytes
        self._unauthorized = unauthorized
        self._slashed: dict[str, str] = {}
        self._limiter, self._heartbeat, self._probes = limiter, heartbeat, probes
        verify = ssl.create_default_context(cafile=ca_file or None)
        headers = {"User-Agent": USER_AGENT, "Accept-Encoding": "identity"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        transport = BoundedTransport(verify, CONNECTIONS)
        self._client = httpx.Client(transport=transport, headers=headers, trust_env=False, follow_redirects=False)

    def get(self, url: str, *, fresh: bool = False, headers: Mapping[str, str] | None = None) -> Reply:
        """GET ``url``; ``fresh`` takes a new connection, so that another worker may answer."""
        extra = {**(headers or {}), **({"Connection": "close"} if fresh else {})}
        return self.request("GET", url, headers=extra)

    def post(self, url: str, body: object) -> Reply:
        """POST ``body`` as JSON."""
        content = json.dumps(body).encode()
        return self.request("POST", url, content=content, headers={"Content-Type": "application/json"})

    def request(
        self, method: str, url: str, *, content: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Reply:
        """Ask within what the limiter lets through; never raise for what the other side does."""
        url = self._slashed.get(url, url)
        reply = self._tried(method, url, content, headers)
        if there := slash_only(method, url, reply.status, reply.headers.get("location", "")):
            self._slashed[url] = there
            reply = self._tried(method, there, content, headers)
        return reply

    def _tried(self, method: str, url: str, content: bytes | None, headers: Mapping[str, str] | None) -> Reply:
        reply = self._asked(method, url, content, headers)
        return self._asked(method, url, content, headers) if reply.apart and not self._probes else reply

    def _asked(self, method: str, url: str, content: bytes | None, headers: Mapping[str, str] | None) -> Reply:
        if self._limiter is not None and (withheld := self._limiter.admit(url, probe=self._probes)):
            return Reply(0, "", b"", 0.0, withheld.reason, apart=withheld.apart)
        began = time.monotonic()
        reply = self._exchange(method, url, content, headers)
        lost_s = self._heartbeat.lost_s(began) if self._heartbeat is not None else 0.0
        if lost_s and (self._probes or reply.error):
            return replace(reply, error=f"the drill itself stood still for {lost_s:.0f} s", apart=Apart.UNMEASURED)
        return reply

    def _exchange(self, method: str, url: str, content: bytes | None, headers: Mapping[str, str] | None) -> Reply:
        """Do one exchange and never raise for what the other side does."""
        from httpx import Timeout

        from drill.tls import refused_in_http
        from drill.transport import Wire, on

        began = time.monotonic()
        wire = Wire(deadline=began + self.timeout_s)
        timeout = Timeout(self.timeout_s, connect=min(3.0, self.timeout_s))
        try:
            with (
                on(wire),
                self._client.stream(
                    method, url, content=content, headers=dict(headers or {}), timeout=timeout
                ) as response,
            ):
                body, error = _read(response, self._max_bytes)
        except Exception as problem:  # noqa: BLE001 - whatever the other side does, it is no more than "no answer"
            now, said = time.monotonic(), _of_tls(problem, wire)
            error = said or _explain(problem)
            return Reply(0, "", b"", now - (wire.sent or began), error, now - began, tls=bool(said))
        status, kind = response.status_code, response.headers.get("content-type", "")
        latency_s = (wire.received or time.monotonic()) - (wire.sent or began)
        says = told(status, response.headers, time.time())
        if self._limiter is not None:
            self._limiter.note(url, says)
        refused = refused_in_http(status, body)
        elsewhere = ELSEWHERE if response.has_redirect_location else ""
        return Reply(
            status,
            kind,
            body,
            latency_s,
            error,
            waited_s=time.monotonic() - began,
            hint=self._unauthorized if status in {401, 403} else elsewhere or refused or _asks_to_wait(says),
            tls=bool(refused),
            date=response.headers.get("date", ""),
            headers=dict(response.headers),
            framed="content-length" in response.headers or "transfer-encoding" in response.headers,
            apart=Apart.LIMITED if says.limited and self._limiter is not None else None,
        )

    def close(self) -> None:
        """Close all connections."""
        self._client.close()


def _read(response: "httpx.Response", max_bytes: int) -> tuple[bytes, str]:
    """Read the body up to the size; the second item says why it was given up."""
    parts: list[bytes] = []
    size = 0
    try:
        for part in unpacked(response.iter_raw(), response.headers.get("content-encoding", "")):
            size += len(part)
            if size > max_bytes:
                return b"", f"more than {max_bytes} bytes, given up"
            parts.append(part)
    except NotUnpacked as problem:
        return b"", str(problem)
    return b"".join(parts), ""


def _asks_to_wait(says: Told) -> str:
    """Say for how long a service that is down asks to wait, if it does."""
    return f"the service asks to wait {says.wait_s:.0f} s" if says.unavailable and says.wait_s else ""


def _of_tls(problem: Exception, wire: "Wire") -> str:
    """Return what was wrong with TLS; empty if nothing was."""
    from drill.tls import SPEAKS_TLS, explain

    plain = wire.first[:1] in {b"\x15", b"\x16"} and wire.first[1:2] == b"\x03"  # a TLS record where HTTP is expected
    return f"not HTTP: {SPEAKS_TLS}" if plain else explain(problem)


def _explain(problem: Exception) -> str:
    """Say in a few words why there was no answer; never in those of the exception, which may quote anything."""
    import socket

    names = {
        "ConnectTimeout": "no connection in time",
        "ReadTimeout": "no whole answer in time",
        "WriteTimeout": "request not taken in time",
        "PoolTimeout": "too many requests without an answer",
        "ConnectError": "connection refused or unreachable",
        "ReadError": BROKEN_OFF,
        "WriteError": BROKEN_OFF,
        "RemoteProtocolError": f"{BROKEN_OFF} or not HTTP",
    }
    cause = problem.__context__  # the pool of httpcore takes the cause away, the context stays
    if isinstance(cause, socket.gaierror | UnicodeError):
        return "host name not resolved"
    name = type(problem).__name__
    return names.get(name, f"no answer ({name})")

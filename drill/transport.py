"""Connections of which every read and write ends by one deadline, and is timed where it happens.

httpx and httpcore bound each single read: a server that sends a byte a second, in headers or body, would hold a client
for ever. Here whatever is left of the whole exchange bounds the next wait. And the clock is read at the socket: what
Python does before and after takes half a millisecond, which is not the service's.
"""

import math
import socket
import ssl
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import httpcore
import httpx

from drill.resolve import addresses


@dataclass(slots=True)
class Wire:
    """One exchange as it is on the wire; all times are monotonic seconds."""

    deadline: float = math.inf
    """When it must have ended."""
    sent: float | None = None
    """When its first byte went out, on a connection that was there: connecting and TLS are not the answer's time."""
    received: float | None = None
    """When the last bytes so far came in."""
    first: bytes = b""
    """The first bytes that came in."""


_wire: ContextVar[Wire | None] = ContextVar("wire", default=None)


@contextmanager
def on(wire: Wire) -> Iterator[None]:
    """Bound every wait on a connection inside this block, in this thread, and note what is sent and received."""
    token = _wire.set(wire)
    try:
        yield
    finally:
        _wire.reset(token)


def _left(timeout: float | None, error: type[Exception]) -> float:
    """Return the seconds left for the next wait; raise ``error`` if there are none."""
    wire = _wire.get()
    left = math.inf if wire is None else wire.deadline - time.monotonic()
    if left <= 0:
        raise error("the deadline of the exchange has passed")
    return left if timeout is None else min(left, timeout)


class BoundedTransport(httpx.BaseTransport):
    """httpx's transport over such connections; a request with ``Connection: close`` always gets a new one."""

    def __init__(self, context: ssl.SSLContext, connections: int) -> None:
        self._pool, self._fresh = (
            httpcore.ConnectionPool(
                context,
                max_connections=connections,
                max_keepalive_connections=kept,
                keepalive_expiry=5.0,
                network_backend=_Backend(),
            )
            for kept in (connections, 0)
        )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send ``request``; raises the exceptions of httpcore."""
        url = request.url
        pool = self._fresh if request.headers.get("connection") == "close" else self._pool
        reply = pool.handle_request(
            httpcore.Request(
                request.method,
                httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
                headers=request.headers.raw,
                content=request.stream,
                extensions=request.extensions,
            )
        )
        return httpx.Response(
            reply.status, headers=reply.headers, stream=_Body(reply.stream), extensions=reply.extensions
        )

    def close(self) -> None:
        """Close all connections."""
        self._pool.close()
        self._fresh.close()


class _Body(httpx.SyncByteStream):
    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __iter__(self) -> Iterator[bytes]:
        yield from self._stream

    def close(self) -> None:
        self._stream.close()


class _Backend(httpcore.SyncBackend):
    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        """Try the addresses of ``host`` in turn, all of them within the deadline."""
        problem: Exception = httpcore.ConnectError("no address")
        for address in _addresses(host, port):
            try:
                wait_s = _left(timeout, httpcore.ConnectTimeout)
                return _Stream(super().connect_tcp(address, port, wait_s, local_address, socket_options))
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                problem = error
        raise problem


def _addresses(host: str, port: int) -> list[str]:
    """Look ``host`` up within what is left of the exchange."""
    try:
        return addresses(host, port, _left(None, httpcore.ConnectTimeout))
    except TimeoutError as error:
        raise httpcore.ConnectTimeout("name not resolved in time") from error
    except (OSError, UnicodeError) as error:
        raise httpcore.ConnectError("name not resolved") from error


class _Stream(httpcore.NetworkStream):
    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        data = self._stream.read(max_bytes, _left(timeout, httpcore.ReadTimeout))
        if wire := _wire.get():
            wire.received = time.monotonic()
            wire.first = wire.first or data[:2]
        self._acknowledge()
        return data

    def _acknowledge(self) -> None:
        """Acknowledge what was read at once.

        A server that sends headers and body in two writes waits with the second one until the first is acknowledged
        (Nagle), and the kernel may hold that back for 40 ms: a delay of this client, not of the service.
        """
        sock = self._stream.get_extra_info("socket")
        if sock is not None and hasattr(socket, "TCP_QUICKACK"):
            with suppress(OSError):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        wait_s = _left(timeout, httpcore.WriteTimeout)
        if (wire := _wire.get()) and wire.sent is None:
            wire.sent = time.monotonic()
        self._stream.write(buffer, wait_s)

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        wait_s = _left(timeout, httpcore.ConnectTimeout)
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, wait_s))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)

"""Receivers of what a drill tells: one that listens, and those that do their worst."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.library.server import Answer, as_json, drip, html, raw, scripted

GRAFANA = "/api/annotations"
HOOK = "/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX"
"""The path of a webhook, which is its secret."""
TOKEN = "glsa_mUchLongerThanAnyWord_0123abcd"


@dataclass
class Ears:
    """What a receiver was told."""

    url: str
    bodies: dict[str, list[Any]] = field(default_factory=dict)
    headers: list[dict[str, str]] = field(default_factory=list)


@contextmanager
def listening(status: int = 200) -> Iterator[Ears]:
    """Run a receiver that takes everything, or answers with ``status``."""
    with scripted() as server:
        ears = Ears(server.url, headers=server.headers)

        def hear(path: str) -> Callable[[dict[str, Any]], Answer]:
            def answer(body: dict[str, Any]) -> Answer:
                ears.bodies.setdefault(path, []).append(body)
                return as_json({"message": "noted"}, status)

            return answer

        for path in (GRAFANA, HOOK):
            server.script[("POST", path)] = hear(path)
        yield ears


@contextmanager
def redirecting(ears: Ears) -> Iterator[str]:
    """Run a receiver that sends everybody to another one."""
    with scripted() as server:
        for path in (GRAFANA, HOOK):
            answer = Answer(b"", 307, headers={"Location": ears.url + path})
            server.script[("POST", path)] = answer
        yield server.url


@contextmanager
def echoing() -> Iterator[str]:
    """Run a receiver that repeats, in status line, headers and body, all it was sent."""

    def talk(connection: socket.socket, _over: threading.Event) -> None:
        head = connection.recv(65536).decode("latin-1")
        told = head.replace("\r", " ").replace("\n", " ")
        body = json.dumps({"error": told}).encode()
        lines = [f"HTTP/1.1 400 {told}", f"Content-Type: {told}", f"X-Told: {told}", f"Content-Length: {len(body)}"]
        connection.sendall("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body)

    with raw(talk) as url:
        yield url


@contextmanager
def black_hole() -> Iterator[str]:
    """Run a receiver that accepts connections and never says a word."""
    with raw(lambda _connection, over: (over.wait(), None)[1]) as url:
        yield url


@contextmanager
def endless() -> Iterator[str]:
    """Run a receiver whose answer comes a byte at a time and never ends."""
    with raw(drip(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n", b" ")) as url:
        yield url


@contextmanager
def nonsense() -> Iterator[str]:
    """Run a receiver that speaks no HTTP."""
    with raw(lambda connection, _over: connection.sendall(b"\0\xff" * 5000)) as url:
        yield url


@contextmanager
def login_page() -> Iterator[str]:
    """Run a receiver behind a login: 403 with a page."""
    with scripted() as server:
        for path in (GRAFANA, HOOK):
            server.script[("POST", path)] = html(403)
        yield server.url

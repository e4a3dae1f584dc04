"""Looking names up: a resolver that hangs holds nobody up."""

import socket
import threading
import time
from typing import Any

import pytest

from drill import resolve
from drill.http import HttpClient


class Resolver:
    """Stands for the system's resolver: hangs until it is let go."""

    def __init__(self) -> None:
        self.asked = 0
        self.go = threading.Event()

    def __call__(self, host: str, port: int, *_: Any, flags: int = 0, **__: Any) -> list[Any]:
        if flags == socket.AI_NUMERICHOST:
            raise socket.gaierror(socket.EAI_NONAME, "no number")
        self.asked += 1
        self.go.wait()
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))] * 2


@pytest.fixture
def hanging(monkeypatch: pytest.MonkeyPatch) -> Resolver:
    resolver = Resolver()
    monkeypatch.setattr(socket, "getaddrinfo", resolver)
    return resolver


def test_a_resolver_that_hangs_is_given_up_in_time_and_costs_one_thread_per_name(hanging: Resolver) -> None:
    began = time.monotonic()
    for _ in range(5):
        with pytest.raises(TimeoutError):
            resolve.addresses("a.example", 80, 0.02)
    assert time.monotonic() - began < 5
    assert hanging.asked == 1
    hanging.go.set()


def test_who_asks_again_gets_the_answer_of_the_lookup_that_runs(hanging: Resolver) -> None:
    threading.Timer(0.05, hanging.go.set).start()
    assert resolve.addresses("b.example", 80, 10) == ["127.0.0.1"]
    assert resolve.addresses("b.example", 80, 10) == ["127.0.0.1"]
    assert hanging.asked == 2


def test_a_client_waits_for_a_name_no_longer_than_for_an_answer(hanging: Resolver) -> None:
    client = HttpClient(timeout_s=0.3)
    began = time.monotonic()
    reply = client.get("http://hanging.example/")
    took_s = time.monotonic() - began
    client.close()
    hanging.go.set()
    assert reply.error == "no connection in time"
    assert took_s < 3


def test_numbers_are_not_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[object] = []
    monkeypatch.setattr(resolve, "_lookup", started.append)
    assert resolve.addresses("127.0.0.1", 80, 0) == ["127.0.0.1"]
    assert resolve.addresses("::1", 80, 0) == ["::1"]
    assert started == []


@pytest.mark.parametrize("host", ["no-such-host.invalid", "\ud800", "a" * 70 + ".example"])
def test_what_the_resolver_says_is_raised(host: str) -> None:
    with pytest.raises((OSError, UnicodeError)):
        resolve.addresses(host, 80, 30)

"""Sending to receivers that may be down, slow or hostile, in a time that is bounded whatever they do."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from drill.notify.message import Json
from drill.secret import Secret

if TYPE_CHECKING:
    from drill.http import HttpClient

BUDGET_S = 2.5
"""What all deliveries together may take. They begin at once, each in a thread of its own."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """What one receiver is sent, in order; it stops at the first body that is not taken."""

    name: str
    """As the operator knows it."""
    url: Secret
    bodies: Sequence[Json]
    token: Secret = field(default_factory=lambda: Secret(""))


Post = Callable[[Delivery, float], str]
"""Sends a delivery before a deadline (monotonic) and returns the problem, empty if there was none."""


def deliver(deliveries: Sequence[Delivery], post: Post, budget_s: float = BUDGET_S) -> list[str]:
    """Send all and return one line per receiver that was not told; never raises, never takes longer than the budget.

    A thread that is still waiting then is left behind: name resolution knows no timeout, and a daemon thread ends with
    the process.
    """
    deadline = time.monotonic() + budget_s
    problems = {one.name: f"no answer within {budget_s:g} s" for one in deliveries}

    def run(one: Delivery) -> None:
        try:
            problems[one.name] = post(one, deadline)
        except Exception as error:  # noqa: BLE001 - whatever a receiver or its URL does, the drill has ended already
            problems[one.name] = f"could not be sent ({type(error).__name__})"

    threads = [threading.Thread(target=run, args=(one,), daemon=True) for one in deliveries]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    return [f"{name} was not told: {problem}" for name, problem in problems.items() if problem]


def post_with(ca_file: str) -> Post:
    """Return how to POST each body as JSON; TLS is verified by ``ca_file``, or by the system's authorities."""

    def post(one: Delivery, deadline: float) -> str:
        from drill.http import HttpClient

        if not _is_http(one.url.reveal()):
            return "its URL is not http://host or https://host; check the variable that holds it"
        client = HttpClient(token=one.token.reveal(), ca_file=ca_file)
        try:
            return _post_all(client, one, deadline)
        finally:
            client.close()

    return post


def _post_all(client: "HttpClient", one: Delivery, deadline: float) -> str:
    for body in one.bodies:
        client.timeout_s = max(0.001, deadline - time.monotonic())
        reply = client.post(one.url.reveal(), body)
        if not reply.ok:
            # Of what came back only the status: all else is the receiver's words, which may repeat our token.
            return f"{reply.error or f'HTTP {reply.status}'}; expected 2xx"
    return ""


def _is_http(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False

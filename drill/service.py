"""The service under drill: are its instances up, do they answer, and how do they take a new env file."""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from drill.command import run_command
from drill.config import Service
from drill.http import HttpClient, Reply

POLL_S, SLOWEST_POLL_S = 0.1, 1.0
"""Seconds between two looks at a service that is awaited, at least and at most."""

S = TypeVar("S")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Health:
    """What one instance answered to a health request."""

    instance: str
    reply: Reply

    @property
    def ok(self) -> bool:
        """Whether the instance says that it is healthy: by the status of a whole answer, whatever it holds."""
        return self.reply.ok

    @property
    def down(self) -> bool:
        """Whether it is seen to be unwell; one that limits the drill says nothing of how it is."""
        return not self.ok and self.reply.apart is None


@dataclass(frozen=True, slots=True)
class ReloadOutcome:
    """How a reload went. ``problem`` is empty if every instance came back."""

    seconds: float
    problem: str = ""


def pause_s(waited_s: float) -> float:
    """Return how long to wait before the next look: a tenth of the time waited, so that a long wait is no load."""
    return min(SLOWEST_POLL_S, max(POLL_S, waited_s / 10))


def each(work: Callable[[S], T], items: Sequence[S]) -> list[T]:
    """Do ``work`` for all instances at the same time: a dead one costs its own timeout only, once."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(max(1, len(items)), thread_name_prefix="instance") as pool:
        return list(pool.map(work, items))


class RetrievalService:
    """The instances of the retrieval service, each addressed on its own."""

    def __init__(self, settings: Service, client: HttpClient, tell: Callable[[bytes], str] = lambda _said: "") -> None:
        """``tell`` makes of what a command said last a clause without secrets; by default nothing is told."""
        self.settings = settings
        self.tell = tell
        self.client = client
        self.instances = settings.urls

    def health(self, instances: Sequence[str] | None = None) -> list[Health]:
        """Ask these instances for their health, by default every one."""
        asked = self.instances if instances is None else instances
        return each(lambda url: Health(url, self.client.get(url + self.settings.health_path)), asked)

    def search(self, instance: str, query: str, tenant: str, top_k: int) -> Reply:
        """Ask one instance a query."""
        body = {"query": query, "top_k": top_k, "tenant": tenant}
        return self.client.post(instance + self.settings.search_path, body)

    def reload(
        self, env_file: Path, tick: Callable[[str], None], awaited: Sequence[str] | None = None
    ) -> ReloadOutcome:
        """Make the service take the env file: run the reload command, then wait until instances are healthy.

        ``awaited`` are those that are waited for, by default all. Without a command the service re-reads by itself,
        and only the health is awaited. Never raises.
        """
        began = time.monotonic()
        deadline = began + self.settings.reload_timeout_s
        problem = self.run_reload(env_file, deadline, tick)
        problem = problem or self._await_health(deadline, tick, self.instances if awaited is None else awaited)
        return ReloadOutcome(time.monotonic() - began, problem)

    def run_reload(self, env_file: Path, deadline: float, tick: Callable[[str], None]) -> str:
        """Run the reload command, if there is one, and wait for nothing else; return what went wrong."""
        command = self.settings.reload_command
        return self.run(command, env_file, deadline, lambda: tick("restarting the service")) if command else ""

    def run(self, command: Sequence[str], env_file: Path, deadline: float, tick: Callable[[], None]) -> str:
        """Run a command of the configuration until ``deadline`` (monotonic); return what went wrong, empty if nothing.

        What it said last is told only as ``tell`` lets it: it may hold anything.
        """
        ended = run_command(command, {**os.environ, "DRILL_ENV_FILE": str(env_file.absolute())}, deadline, tick)
        told = "" if not ended.problem or ended.said is None else self.tell(ended.said)
        return f"{ended.problem}; {told}" if told else ended.problem

    def _await_health(self, deadline: float, tick: Callable[[str], None], awaited: Sequence[str]) -> str:
        began = time.monotonic()
        while True:
            sick = [health for health in self.health(awaited) if health.down]
            if not sick:
                return ""
            if time.monotonic() > deadline:
                return self.not_healthy(sick)
            tick("waiting for the service to be healthy")
            time.sleep(pause_s(time.monotonic() - began))

    def not_healthy(self, sick: Sequence[Health]) -> str:
        """Say who has not come back in time."""
        seen = "; ".join(f"{health.instance}: {health.reply.seen()}" for health in sick)
        return f"not healthy within {self.settings.reload_timeout_s:g} s ([service] reload_timeout_s): {seen}"

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

POLL_S = 0.05

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Health:
    """What one instance answered to a health request."""

    instance: str
    reply: Reply

    @property
    def ok(self) -> bool:
        """Whether the instance says that it is healthy."""
        return self.reply.ok and "html" not in self.reply.content_type


@dataclass(frozen=True, slots=True)
class ReloadOutcome:
    """How a reload went. ``problem`` is empty if every instance came back."""

    seconds: float
    problem: str = ""


def each(work: Callable[[str], T], instances: Sequence[str]) -> list[T]:
    """Do ``work`` for all instances at the same time: a dead one costs its own timeout only, once."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(max(1, len(instances)), thread_name_prefix="instance") as pool:
        return list(pool.map(work, instances))


class RetrievalService:
    """The instances of the retrieval service, each addressed on its own."""

    def __init__(self, settings: Service, client: HttpClient, tell: Callable[[bytes], str] = lambda _said: "") -> None:
        """``tell`` makes of what a command said last a clause without secrets; by default nothing is told."""
        self.settings = settings
        self.tell = tell
        self.client = client
        self.instances = settings.urls

    def health(self) -> list[Health]:
        """Ask every instance for its health."""
        return each(lambda url: Health(url, self.client.get(url + self.settings.health_path)), self.instances)

    def search(self, instance: str, query: str, tenant: str, top_k: int) -> Reply:
        """Ask one instance a query."""
        body = {"query": query, "top_k": top_k, "tenant": tenant}
        return self.client.post(instance + self.settings.search_path, body)

    def reload(self, env_file: Path, tick: Callable[[str], None]) -> ReloadOutcome:
        """Make the service take the env file: run the reload command, then wait until every instance is healthy.

        Without a command the service re-reads by itself, and only the health is awaited. Never raises.
        """
        began = time.monotonic()
        deadline = began + self.settings.reload_timeout_s
        command = self.settings.reload_command
        problem = self.run(command, env_file, deadline, lambda: tick("restarting the service")) if command else ""
        problem = problem or self._await_health(deadline, tick)
        return ReloadOutcome(time.monotonic() - began, problem)

    def run(self, command: Sequence[str], env_file: Path, deadline: float, tick: Callable[[], None]) -> str:
        """Run a command of the configuration until ``deadline`` (monotonic); return what went wrong, empty if nothing.

        What it said last is told only as ``tell`` lets it: it may hold anything.
        """
        ended = run_command(command, {**os.environ, "DRILL_ENV_FILE": str(env_file.absolute())}, deadline, tick)
        told = "" if not ended.problem or ended.said is None else self.tell(ended.said)
        return f"{ended.problem}; {told}" if told else ended.problem

    def _await_health(self, deadline: float, tick: Callable[[str], None]) -> str:
        while True:
            sick = [health for health in self.health() if not health.ok]
            if not sick:
                return ""
            if time.monotonic() > deadline:
                seen = "; ".join(f"{health.instance}: {health.reply.seen()}" for health in sick)
                return f"not healthy within {self.settings.reload_timeout_s:g} s: {seen}"
            tick("waiting for the service to be healthy")
            time.sleep(POLL_S)

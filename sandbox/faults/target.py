"""Faults of the target, injected between the service and the database."""

import asyncio
import random
import time
from typing import TYPE_CHECKING

from sandbox.embedding import embed
from sandbox.faults.hooks import Hooks
from sandbox.faults.registry import fault
from sandbox.service import metrics
from sandbox.service.errors import RetrievalError, TargetError
from sandbox.service.target import TABLE, connect

if TYPE_CHECKING:
    from sandbox.service.core import RetrievalService

SLOW_SHARE = 0.4
SLOW_S = (0.15, 0.4)
FAILING_PERIOD_S = 15.0
FAILING_S = 7.0
_DRIFT = f"""
update {TABLE} set embedding = %(vector)s where hashtext(id) %% 2 = 0 and embedding <> %(vector)s
"""  # noqa: S608 - a constant table name


@fault
class TargetSlow(Hooks):
    """Two in five calls to the target take 150 to 400 ms longer."""

    def __init__(self, instance: int) -> None:
        super().__init__(instance)
        self._random = random.Random(instance)  # noqa: S311 - no secret

    def target_call(self) -> None:
        """Sleep in the worker thread."""
        if self._random.random() < SLOW_SHARE:
            time.sleep(self._random.uniform(*SLOW_S))


@fault
class TargetFailing(Hooks):
    """The target fails every call for 7 s in every 15 s."""

    def target_call(self) -> None:
        """Fail while in the bad part of the period; the same part for all instances."""
        if time.time() % FAILING_PERIOD_S < FAILING_S:
            raise TargetError("the target is failing")


@fault
class VectorsDrifted(Hooks):
    """Half of the target's documents have the vector of another text; their content is right."""

    def __init__(self, instance: int) -> None:
        super().__init__(instance)
        self._done = False

    async def tick(self, service: "RetrievalService") -> None:
        """Give it to them once, past the service; it stays when the fault is switched off, as it would in life."""
        if not self._done:
            self._done = await asyncio.to_thread(_drift, service.settings.dsn)


def _drift(dsn: str) -> bool:
    import psycopg

    try:
        with connect(dsn) as connection:
            connection.execute(_DRIFT, {"vector": embed(["another text"])[0]})
    except psycopg.Error:  # busy or restarting: the next tick tries again
        return False
    return True


@fault
class TargetDown(Hooks):
    """The target refuses every call."""

    def target_call(self) -> None:
        """Fail."""
        raise TargetError("the target is down")


@fault
class BackgroundTargetCalls(Hooks):
    """A background job goes on searching the target whatever the flags say."""

    async def tick(self, service: "RetrievalService") -> None:
        """Search the target once."""
        tenant = service.settings.default_tenant
        try:
            await service.measured_search(service.target.name, tenant, "background consistency job", 5)
        except RetrievalError:
            return


@fault
class TargetConnectionErrors(Hooks):
    """A connection pool goes on trying to reach the target, and counts that it cannot."""

    async def tick(self, service: "RetrievalService") -> None:
        """Count one failed attempt; no search is counted."""
        metrics.ERRORS.labels(service.target.name, "connection", service.settings.default_tenant).inc()


@fault
class CircuitFlapping(Hooks):
    """The circuit breaker of a dual-write that should be off opens and closes, and skips a write each time."""

    def __init__(self, instance: int) -> None:
        super().__init__(instance)
        self._ticks = 0

    async def tick(self, service: "RetrievalService") -> None:  # noqa: ARG002 - the hook's signature
        """Skip one write a second."""
        self._ticks += 1
        if self._ticks % 5 == 0:
            metrics.DUAL_WRITE_SKIPPED.labels("circuit_open").inc()


@fault
class ShadowQueueDrops(Hooks):
    """The queue of shadow reads is still filled, and drops what it is given."""

    async def tick(self, service: "RetrievalService") -> None:  # noqa: ARG002 - the hook's signature
        """Drop one shadow read."""
        metrics.SHADOW_DROPPED.labels("queue_full").inc()

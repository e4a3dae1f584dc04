"""Dual-write: what the primary holds also goes to the target, without making the user wait for it."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

from sandbox.content import Document
from sandbox.service import metrics
from sandbox.service.breaker import CircuitBreaker
from sandbox.service.errors import RetrievalError, TargetError
from sandbox.service.executor import BoundedExecutor
from sandbox.service.outbox import Key, Outbox
from sandbox.service.outbox_file import OutboxFile
from sandbox.service.primary import FaissStore
from sandbox.service.target import PgVectorTarget

FAILURES_TO_OPEN = 3
COOLDOWN_S = 5.0
OUTBOX_MAX = 1000
OUTBOX_MAX_AGE_S = 1800.0
REPLAY_EVERY_S = 0.5
REPLAY_BATCH = 25
WRITE_TIMEOUT_S = 2.0
USER_WAIT_S = 0.1
"""How long a user's write waits for the target at most; the write itself goes on in the background."""


class DualWriter:
    """Writes to the target through a circuit breaker; what it misses waits in the outbox and is replayed."""

    def __init__(
        self, primary: FaissStore, target: PgVectorTarget, wanted: Callable[[str], bool], kept: Path | None = None
    ) -> None:
        """``kept`` is where the outbox is kept over a restart; ``None``: nowhere."""
        self.breaker = CircuitBreaker(FAILURES_TO_OPEN, COOLDOWN_S)
        self.outbox = Outbox(OUTBOX_MAX, OUTBOX_MAX_AGE_S)
        self._file = OutboxFile(kept, self.outbox)
        self._file.load()
        self._primary = primary
        self._target = target
        self._wanted = wanted
        self._executor = BoundedExecutor("dual-write", threads=2, waiting=8, timeout_s=WRITE_TIMEOUT_S)
        self._running: set[asyncio.Task[None]] = set()
        self._dropped = 0

    async def offer(self, tenant: str, documents: Sequence[Document]) -> None:
        """Send what the primary has just taken; return after ``USER_WAIT_S`` at the latest. Never raises."""
        if not self._wanted(tenant):
            return
        keys = [Key(tenant, document.id) for document in documents]
        if not self.breaker.allow():
            self._skip(keys, "circuit_open")
            return
        task = asyncio.create_task(self._write(keys, documents))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        await asyncio.wait({task}, timeout=USER_WAIT_S)

    async def offer_delete(self, tenant: str, ids: Sequence[str]) -> None:
        """Delete on the target what the primary has just deleted. Never raises; what fails is not tried again."""
        if not self._wanted(tenant) or not self.breaker.allow():
            return
        self.outbox.discard([Key(tenant, one) for one in ids])
        try:
            await self._executor.call(lambda: self._target.delete(tenant, ids))
        except TargetError:
            metrics.DUAL_WRITE_ERRORS.labels(self._target.name, tenant).inc()
            self.breaker.failure()
        else:
            self.breaker.success()

    async def replay_forever(self) -> None:
        """Replay the outbox whenever dual-write is on and the breaker lets calls through."""
        while True:
            await asyncio.sleep(REPLAY_EVERY_S)
            self.outbox.expire()
            await self._replay()
            self.publish()

    async def replay_now(self, delivered: Callable[[Key], bool]) -> int:
        """Send all that waits, whatever the flag says; return how many documents still wait.

        Those that are not to be ``delivered`` are taken out and lost, as a broken replay does.
        """
        waiting = list(self.outbox.ages())
        self.outbox.discard([key for key in waiting if not delivered(key)])
        for _ in range(len(waiting)):
            if not (keys := self.outbox.oldest(REPLAY_BATCH)):
                break
            await self._write(keys, self._primary.get(keys[0].tenant, [key.id for key in keys]))
        self.publish()
        return len(self.outbox)

    async def _replay(self) -> None:
        keys = self.outbox.oldest(REPLAY_BATCH)
        if not keys or not self._wanted(keys[0].tenant) or not self.breaker.allow():
            return
        try:
            documents = self._primary.get(keys[0].tenant, [key.id for key in keys])
        except RetrievalError:
            self.breaker.failure()
            return
        await self._write(keys, documents)

    async def _write(self, keys: Sequence[Key], documents: Sequence[Document]) -> None:
        tenant = keys[0].tenant
        try:
            await self._executor.call(lambda: self._target.upsert(tenant, documents))
        except TargetError:
            metrics.DUAL_WRITE_ERRORS.labels(self._target.name, tenant).inc()
            self.breaker.failure()
            self.outbox.add(keys)
        else:
            self.breaker.success()
            self.outbox.discard(keys)
        self.publish()

    def _skip(self, keys: Sequence[Key], reason: str) -> None:
        metrics.DUAL_WRITE_SKIPPED.labels(reason).inc(len(keys))
        self.outbox.add(keys)
        self.publish()

    def publish(self) -> None:
        """Bring the outbox's metrics up to date."""
        metrics.OUTBOX_SIZE.set(len(self.outbox))
        metrics.OUTBOX_DROPPED.inc(self.outbox.dropped - self._dropped)
        self._dropped = self.outbox.dropped
        metrics.OUTBOX_AGE.set(max(self.outbox.ages().values(), default=0.0))
        self._file.save()

"""Shadow-read: a sample of searches also asks the side that did not serve, and the answers are compared."""

import asyncio
import random
from collections.abc import Callable, Sequence
from time import perf_counter

from sandbox.content import Hit
from sandbox.service import metrics
from sandbox.service.errors import RetrievalError
from sandbox.service.executor import BoundedExecutor, Overloaded
from sandbox.service.ranking import agreement_at, ndcg_at

THREADS = 2
WAITING = 8
TIMEOUT_S = 1.0


class ShadowReader:
    """Never delays the user: offers are dropped, and counted, when there is no room or no answer in time."""

    def __init__(self, draw: Callable[[], float] = random.random, timeout_s: float = TIMEOUT_S) -> None:
        self._draw = draw
        self._executor = BoundedExecutor("shadow", THREADS, WAITING, timeout_s)
        self._running: set[asyncio.Task[None]] = set()

    def offer(self, backend: str, rate: float, served: Sequence[Hit], read: Callable[[], list[Hit]]) -> None:
        """With probability ``rate`` run ``read`` on ``backend`` in the background and compare it with ``served``."""
        if rate <= 0.0 or self._draw() >= rate:
            return
        task = asyncio.create_task(self._compare(backend, f"{rate:g}", served, read))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def settle(self) -> None:
        """Wait for the comparisons under way."""
        await asyncio.gather(*self._running)

    async def _compare(self, backend: str, sample: str, served: Sequence[Hit], read: Callable[[], list[Hit]]) -> None:
        started = perf_counter()
        try:
            hits = await self._executor.call(read)
        except Overloaded:
            metrics.SHADOW_DROPPED.labels("queue_full").inc()
            return
        except RetrievalError as error:
            metrics.SHADOW_DROPPED.labels("timeout" if error.code == "timeout" else "error").inc()
            return
        metrics.SHADOW_LATENCY.labels(backend, sample).observe(perf_counter() - started)
        reference, other = [hit.id for hit in served], [hit.id for hit in hits]
        metrics.SHADOW_AGREEMENT.labels(backend, sample).observe(agreement_at(reference, other))
        metrics.SHADOW_NDCG.labels(backend, sample).observe(ndcg_at(reference, other))

"""The retrieval service itself, without HTTP: search, embed, ingest, advise."""

import asyncio
from collections.abc import Sequence
from time import perf_counter
from typing import TYPE_CHECKING

from sandbox.content import Document, Hit
from sandbox.embedding import embed
from sandbox.faults.active import ActiveFaults
from sandbox.service import metrics
from sandbox.service.dual_write import DualWriter
from sandbox.service.errors import RetrievalError, UnknownTenantError
from sandbox.service.executor import BoundedExecutor
from sandbox.service.primary import FaissStore
from sandbox.service.settings import Settings
from sandbox.service.shadow import ShadowReader
from sandbox.service.target import PgVectorTarget

if TYPE_CHECKING:
    from sandbox.embedding import Vectors

READ_THREADS = 12
READ_TIMEOUT_S = 2.0
ADVICE_PASSAGES = 3
TICK_S = 0.2


class RetrievalService:
    """One instance: the primary, the target, and the ways between them."""

    def __init__(self, settings: Settings, faults: ActiveFaults) -> None:
        self._settings = settings
        self.faults = faults
        self.primary = FaissStore(settings.faiss_dir, settings.tenants)
        self.target = PgVectorTarget(settings.dsn, faults.target_call)
        self.dual_writer = DualWriter(
            self.primary,
            self.target,
            lambda tenant: faults.dual_writes() and tenant in self.settings.dual_write_tenants,
            settings.faiss_dir.parent / f"outbox-{faults.instance}.json",
        )
        self.shadow = ShadowReader()
        self._reads = BoundedExecutor("target-read", READ_THREADS, waiting=24, timeout_s=READ_TIMEOUT_S)
        self._background: list[asyncio.Task[None]] = []
        self._queued: set[asyncio.Task[None]] = set()

    @property
    def settings(self) -> Settings:
        """The settings in force."""
        return self.faults.settings(self._settings)

    def start(self) -> None:
        """Load the primary and begin the background work; call from the event loop."""
        self.primary.start()
        self._background = [
            asyncio.create_task(self.dual_writer.replay_forever()),
            asyncio.create_task(self._tick_forever()),
        ]

    def close(self) -> None:
        """End the background work."""
        self.primary.close()
        for task in self._background:
            task.cancel()
        self.dual_writer.publish()

    async def search(self, tenant: str, query: str, top_k: int) -> list[Hit]:
        """Return the ``top_k`` nearest documents from the backend in force; raise ``RetrievalError``."""
        settings = self.settings
        self._check_tenant(tenant)
        hits = await self.measured_search(settings.backend, tenant, query, top_k)
        if settings.shadow_read and tenant in settings.migrating:
            self._shadow(settings, tenant, query, top_k, hits)
        return self.faults.hits(tenant, hits)

    async def measured_search(self, backend: str, tenant: str, query: str, top_k: int) -> list[Hit]:
        """Search one backend; requests, errors and latency are counted here and nowhere else."""
        metrics.REQUESTS.labels(backend, tenant).inc()
        started = perf_counter()
        try:
            await self.faults.search()
            owner = self.faults.tenant(tenant, self.settings.tenants)
            return await self.faults.read(
                (backend, owner, query, top_k), lambda: self._read(backend, owner, query, top_k)
            )
        except RetrievalError as error:
            metrics.ERRORS.labels(backend, error.code, tenant).inc()
            raise
        finally:
            metrics.LATENCY.labels(backend, tenant).observe(perf_counter() - started)

    async def _read(self, backend: str, tenant: str, query: str, top_k: int) -> list[Hit]:
        vector = embed([query])[0]
        if backend == "faiss":
            return self.primary.search(tenant, vector, top_k)
        return await self._reads.call(lambda: self.target.search(tenant, vector, top_k))

    def _shadow(self, settings: Settings, tenant: str, query: str, top_k: int, hits: list[Hit]) -> None:
        vector = embed([query])[0]
        store: FaissStore | PgVectorTarget = self.target if settings.backend == "faiss" else self.primary

        def read() -> list[Hit]:
            return self.faults.shadow_hits(store.search(tenant, vector, top_k))

        other = settings.target_backend if settings.backend == "faiss" else "faiss"
        self.shadow.offer(other, settings.shadow_sample_rate, hits, read)

    async def embed(self, texts: Sequence[str]) -> "Vectors":
        """Return one vector a text; raise ``RetrievalError``."""
        await self.faults.embedding()
        return self.faults.vectors(await asyncio.to_thread(embed, texts))

    async def ingest(self, tenant: str, documents: Sequence[Document]) -> None:
        """Write to the primary, durably, then offer to the target; raise ``RetrievalError`` if the primary fails."""
        self._check_tenant(tenant)
        documents = self.faults.ingested(tenant, documents)
        await asyncio.wrap_future(self.primary.ingest(tenant, documents))
        await self.dual_writer.offer(tenant, documents)

    def ingest_later(self, tenant: str, documents: Sequence[Document], seconds: float) -> None:
        """Write in the background, as a service does that takes writes from a queue of its own."""
        self._check_tenant(tenant)

        async def later() -> None:
            await asyncio.sleep(seconds)
            await self.ingest(tenant, documents)

        task = asyncio.create_task(later())
        self._queued.add(task)
        task.add_done_callback(self._queued.discard)

    async def delete(self, tenant: str, ids: Sequence[str]) -> None:
        """Delete from the primary, durably, then from the target; raise ``RetrievalError`` if the primary fails."""
        self._check_tenant(tenant)
        await asyncio.wrap_future(self.primary.delete(tenant, ids))
        await self.dual_writer.offer_delete(tenant, ids)

    async def advise(self, tenant: str, question: str) -> tuple[str, list[str]]:
        """Return an answer made of the best passages, and their ids; raise ``RetrievalError``."""
        hits = await self.search(tenant, question, ADVICE_PASSAGES)
        await self.faults.chat()
        return self.faults.answer(" ".join(hit.text for hit in hits)), [hit.id for hit in hits]

    def ready(self) -> bool:
        """Return whether the backend in force can answer every tenant."""
        settings = self.settings
        return settings.backend != "faiss" or all(self.primary.count(tenant) for tenant in settings.tenants)

    def _check_tenant(self, tenant: str) -> None:
        if tenant not in self._settings.tenants:
            raise UnknownTenantError(tenant)

    async def _tick_forever(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            self.faults.refresh()
            await self.faults.tick(self)

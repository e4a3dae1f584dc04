"""The primary: per tenant a FAISS index in memory, kept in step with a snapshot that all instances share."""

import logging
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from time import monotonic, sleep
from typing import TYPE_CHECKING

from sandbox.content import Document, Hit
from sandbox.embedding import embed
from sandbox.service import snapshot as snapshots
from sandbox.service.errors import RetrievalError, SnapshotError, UnknownTenantError
from sandbox.service.snapshot import Snapshot

if TYPE_CHECKING:
    from sandbox.embedding import Vectors

log = logging.getLogger("sandbox.primary")

REFRESH_S = 0.5
FLUSH_GAP_S = 0.25
"""Writes of one tenant that arrive within this time of its last flush share the next one."""


class FaissStore:
    """All tenants' indexes. Searches run on an immutable snapshot; one thread a tenant writes and refreshes."""

    def __init__(self, directory: Path, tenants: Sequence[str]) -> None:
        self._tenants = {tenant: _TenantIndex(directory / tenant) for tenant in tenants}

    def start(self) -> None:
        """Load every tenant's snapshot and begin to write and refresh in the background."""
        for tenant in self._tenants.values():
            tenant.refresh()
            Thread(target=tenant.run, daemon=True).start()

    def close(self) -> None:
        """End the background work, after the writes that wait."""
        for tenant in self._tenants.values():
            tenant.pending.put(None)

    def search(self, tenant: str, vector: "Vectors", top_k: int) -> list[Hit]:
        """Return the ``top_k`` nearest documents; raise ``SnapshotError`` if the tenant has no usable snapshot."""
        current = self._tenant(tenant).current()
        scores, rows = current.index.search(vector.reshape(1, -1), min(top_k, len(current.documents)))
        pairs = zip(scores[0].tolist(), rows[0].tolist(), strict=True)
        return [_hit(tenant, current.documents[row], score) for score, row in pairs if row >= 0]

    def get(self, tenant: str, ids: Sequence[str]) -> list[Document]:
        """Return those of ``ids`` that the primary holds."""
        current = self._tenant(tenant).current()
        return [current.documents[current.rows[one]] for one in ids if one in current.rows]

    def ingest(self, tenant: str, documents: Sequence[Document]) -> "Future[None]":
        """Write ``documents``; the future is done when they are durable, or has the ``RetrievalError``."""
        done: Future[None] = Future()
        self._tenant(tenant).pending.put((list(documents), done))
        return done

    def delete(self, tenant: str, ids: Sequence[str]) -> "Future[None]":
        """Delete documents; the future is done when they are durably gone, or has the ``RetrievalError``."""
        done: Future[None] = Future()
        self._tenant(tenant).pending.put((list(ids), done))
        return done

    def count(self, tenant: str) -> int:
        """Return how many documents the tenant has, 0 without a snapshot."""
        snapshot = self._tenant(tenant).snapshot
        return len(snapshot.documents) if snapshot else 0

    def _tenant(self, name: str) -> "_TenantIndex":
        if name not in self._tenants:
            raise UnknownTenantError(name)
        return self._tenants[name]


def _hit(tenant: str, document: Document, score: float) -> Hit:
    return Hit(document.id, score, document.text, {**document.meta, "tenant": tenant})


Batch = tuple[list[Document | str], "Future[None]"]
"""Documents to write, and ids of documents to delete."""


class _TenantIndex:
    def __init__(self, directory: Path) -> None:
        self.snapshot: Snapshot | None = None
        self.pending: SimpleQueue[Batch | None] = SimpleQueue()
        """Writes to do; ``None`` ends the thread."""
        self._directory = directory

    def current(self) -> Snapshot:
        if self.snapshot is None:
            raise SnapshotError(f"no FAISS snapshot for tenant {self._directory.name}")
        return self.snapshot

    def run(self) -> None:
        flushed, closing = 0.0, False
        while not closing:
            try:
                taken = [self.pending.get(timeout=REFRESH_S)]
            except Empty:
                self.refresh()
                continue
            sleep(max(0.0, flushed + FLUSH_GAP_S - monotonic()))
            while not self.pending.empty():
                taken.append(self.pending.get())
            closing = None in taken
            if batches := [batch for batch in taken if batch is not None]:
                self._flush(batches)
                flushed = monotonic()

    def refresh(self) -> None:
        """Take over what another instance has written; keep the old snapshot if the new one is unusable."""
        try:
            if self.snapshot is None or snapshots.stamp(self._directory) != self.snapshot.stamp:
                with snapshots.locked(self._directory, exclusive=False):
                    self.snapshot = self._read()
        except SnapshotError as error:
            log.warning("%s", error)

    def _read(self) -> Snapshot:
        old = self.snapshot
        known = dict(zip(old.lines, old.documents, strict=True)) if old else {}
        return snapshots.read(self._directory, known)

    def _flush(self, batches: Sequence[Batch]) -> None:
        last = {one if isinstance(one, str) else one.id: one for batch, _ in batches for one in batch}
        documents = [one for one in last.values() if isinstance(one, Document)]
        gone = {one for one in last.values() if isinstance(one, str)}
        try:
            with snapshots.locked(self._directory, exclusive=True):
                self.snapshot = snapshots.write(self._directory, snapshots.without(self._merged(documents), gone))
        except (RetrievalError, OSError) as error:
            failure = error if isinstance(error, RetrievalError) else SnapshotError(f"snapshot not written: {error}")
            for _, done in batches:
                done.set_exception(failure)
            return
        for _, done in batches:
            done.set_result(None)

    def _merged(self, documents: Sequence[Document]) -> Snapshot:
        base = self.snapshot
        if base is None or snapshots.stamp(self._directory) != base.stamp:
            base = self._read()
        if not documents:
            return base
        return snapshots.merge(base, documents, embed([document.text for document in documents]))

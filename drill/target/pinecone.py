"""Pinecone as the target: ids by listing, all else by fetching, a namespace for each tenant.

Pitfalls that shaped it (documented, or from the SDK's issue tracker; no server of this kind could be run):

- Listing gives ids only (serverless indexes, 100 a page); the hash is fetched, from the metadata.
- Everything is eventually consistent, the statistics most of all: counts are those of the listing, and after a delete
  it is waited until what was deleted is not fetched any more.
- ``delete`` answers nothing, neither what was there nor how far the log is, and takes no condition on ids: a document
  is compared just before its delete.
- Ids are ASCII of at most 512 characters and travel in the URL of a fetch.
- ``list`` 200 and ``fetch`` 100 requests a second and index, ``delete`` 5,000 records a second and namespace.
"""

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import quote

from drill.errors import CannotMeasure
from drill.target import fields
from drill.target.base import Pair, Row
from drill.target.connection import Access, quietly, require, silence
from drill.target.failure import asking
from drill.target.settings import PineconeKeys

KIND = "pinecone"
PAGE = 100
DELETED = 1_000
WRITTEN = 100
MAX_ID = 512
MAX_URL = 6_000
"""Bytes of ids in the URL of one fetch."""
POLL_S = 0.25
ATTEMPTS = 4
"""How often the client tries a request; there is no way to say otherwise."""


def open_pinecone(
    settings: PineconeKeys, values: Mapping[str, str | None], tenants: Collection[str]
) -> "PineconeTarget":
    """Connect as ``settings`` say. Raises CannotMeasure (client missing, no index), TargetUnavailable."""
    require(KIND, "pinecone", lambda: __import__("pinecone"))
    silence("pinecone", "httpx")
    access = Access(settings, values)
    endpoint, key = access.endpoint(), access.secret("api_key_env").reveal()
    if endpoint is None and not settings.index:
        raise CannotMeasure("target pinecone: no index is configured; set [target] index, or url to the index's host")
    if "{tenant}" not in settings.namespace and len(tenants) > 1:
        raise CannotMeasure(
            "target pinecone: one namespace for several tenants; Pinecone cannot list by metadata, expected "
            "{tenant} in [target] namespace, or one tenant"
        )
    with quietly(), asking(KIND, "connect"):
        import pinecone

        client = pinecone.Pinecone(
            api_key=key, timeout=settings.statement_timeout_s / ATTEMPTS, ssl_ca_certs=settings.ca_file or None
        )
        index = client.index(host=endpoint.url) if endpoint else client.index(settings.index)
    return PineconeTarget(settings, index, tenants)


class PineconeTarget:
    """One index; a namespace that does not exist is an empty tenant, since Pinecone makes and drops them by itself."""

    def __init__(self, settings: PineconeKeys, index: Any, tenants: Collection[str]) -> None:
        self._settings = settings
        self._index = index
        self._tenants = tuple(tenants)
        self._gone: dict[str, set[Pair]] = {}
        try:
            self._check_namespaces()
        except BaseException:
            self.close()
            raise

    def counts(self) -> dict[str, int]:
        """Return how many ids are listed for each tenant in scope."""
        found = {tenant: sum(len(page) for page in self._listed(tenant)) for tenant in self._tenants}
        return {tenant: count for tenant, count in found.items() if count}

    def scan(self, tenant: str) -> Iterator[list[Pair]]:
        """Yield pages of at most 100 documents."""
        for ids in self._listed(tenant):
            yield [self._pair(key, vector) for key, vector in self._fetched(tenant, ids)]

    def present(self, tenant: str, ids: Collection[str]) -> set[Pair]:
        """Return those of ``ids`` that exist now, each with its content hash."""
        return {self._pair(key, vector) for key, vector in self._fetched(tenant, ids)}

    def export(self, tenant: str, ids: Collection[str]) -> list[Row]:
        """Return those of ``ids`` that exist now, with dense and sparse values and their metadata."""
        return [self._row(key, vector) for key, vector in self._fetched(tenant, ids)]

    def delete(self, tenant: str, pairs: Collection[Pair]) -> set[str]:
        """Delete what has the given hash, looked at just before; return what cannot be fetched any more."""
        doomed = set(pairs) & self.present(tenant, [key for key, _ in pairs])
        for block in fields.chunks(sorted(key for key, _ in doomed), DELETED):
            with asking(KIND, "delete"):
                self._index.delete(ids=block, namespace=self._namespace(tenant))
        self._gone.setdefault(tenant, set()).update(doomed)
        self.flush()
        ids = {key for key, _ in pairs}
        return ids - {key for key, _ in self.present(tenant, ids)}

    def flush(self) -> None:
        """Wait until what was deleted is not fetched any more, at most ``visible_within_s``: then look yourself."""
        deadline = time.monotonic() + self._settings.visible_within_s
        for tenant, pairs in self._gone.items():
            while pairs & self.present(tenant, [key for key, _ in pairs]) and time.monotonic() < deadline:
                time.sleep(POLL_S)
        self._gone = {}

    def restore(self, tenant: str, rows: Sequence[Row]) -> None:
        """Upsert the documents that are absent, and wait until they can be fetched."""
        there = {key for key, _ in self.present(tenant, [row.id for row in rows])}
        absent = [row for row in rows if row.id not in there]
        for block in fields.chunks(absent, WRITTEN):
            with asking(KIND, "write back"):
                self._index.upsert(vectors=[_vector(row) for row in block], namespace=self._namespace(tenant))
        deadline = time.monotonic() + self._settings.visible_within_s
        wanted = {row.id for row in absent}
        while wanted - {key for key, _ in self.present(tenant, wanted)} and time.monotonic() < deadline:
            time.sleep(POLL_S)

    def describe(self) -> Mapping[str, str]:
        """Return kind, client version, index and namespace; Pinecone does not tell its own version."""
        import pinecone

        return {
            "kind": KIND,
            "server": "Pinecone (hosted)",
            "client": f"pinecone {pinecone.__version__}",
            "index": self._settings.index,
            "namespace": self._settings.namespace,
        }

    def close(self) -> None:
        """Close the connections."""
        with suppress(Exception):
            self._index.close()

    def _check_namespaces(self) -> None:
        """Reach the index, and refuse if it has documents but none of them in a namespace of ours."""
        with asking(KIND, "connect"):
            known = set(self._index.describe_index_stats().namespaces or {})
        wanted = {self._namespace(tenant) for tenant in self._tenants}
        if known and wanted and not (wanted | ({"__default__"} if "" in wanted else set())) & known:
            raise fields.not_there(KIND, "namespace", self._settings.namespace, "namespace")

    def _namespace(self, tenant: str) -> str:
        return fields.place(self._settings.namespace, tenant)

    def _listed(self, tenant: str) -> Iterator[list[str]]:
        token: str | None = None
        while True:
            with asking(KIND, "list ids"):
                page = self._index.list_paginated(
                    namespace=self._namespace(tenant), limit=PAGE, **({"pagination_token": token} if token else {})
                )
            if ids := [item.id for item in page.vectors or []]:
                yield ids
            token = page.pagination.next if page.pagination else None
            if not token:
                return

    def _fetched(self, tenant: str, ids: Collection[str]) -> Iterator[tuple[str, Any]]:
        for block in _urls(ids):
            with asking(KIND, "fetch"):
                answer = self._index.fetch(ids=block, namespace=self._namespace(tenant))
            yield from answer.vectors.items()

    def _pair(self, key: str, vector: Any) -> Pair:
        return key, fields.document_hash(self._settings, vector.metadata or {})

    def _row(self, key: str, vector: Any) -> Row:
        sparse = vector.sparse_values
        both = {"indices": list(sparse.indices), "values": list(sparse.values)} if sparse else None
        payload = fields.to_payload(metadata=vector.metadata, sparse=both)
        values = list(vector.values or [])
        return Row(key, self._pair(key, vector)[1], fields.floats_to_bytes(values) if values else None, payload)


def _vector(row: Row) -> dict[str, Any]:
    saved = fields.from_payload(row.payload)
    parts = {
        "id": row.id,
        "values": fields.bytes_to_floats(row.vector),
        "metadata": saved["metadata"],
        "sparse_values": saved["sparse"],
    }
    return {name: value for name, value in parts.items() if value is not None}


def _urls(ids: Collection[str]) -> Iterator[list[str]]:
    """Yield the ids that Pinecone can hold, as many at a time as a URL can."""
    block: list[str] = []
    size = 0
    for key in dict.fromkeys(ids):
        if not key.isascii() or "\0" in key or not 0 < len(key) <= MAX_ID:
            continue
        length = len(quote(key, safe="")) + len("&ids=")
        if block and (size + length > MAX_URL or len(block) == PAGE):
            yield block
            block, size = [], 0
        block.append(key)
        size += length
    if block:
        yield block

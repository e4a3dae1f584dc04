"""Chroma as the target: a collection for each tenant, or one with the tenant in the metadata.

Pitfalls that shaped it (measured on 1.5.9, or documented):

- ``get`` of more than 32,766 records with metadata fails, Chroma Cloud answers at most 300: pages are of any length,
  and only an empty one ends a scan.
- Pages are by offset, so a delete while scanning makes records be skipped: a scan is finished before the first delete.
- ``delete`` reports more than it deleted, and takes no different hash for each id: a batch is deleted where the id is
  one of the batch's *and* the hash one of its hashes.
- Records come in the order of insertion, not of their ids.
- Chroma's ``HttpClient`` asks the server while it is made, and waits without end for an answer; so its parts are put
  together here, with bounds on every wait. It would also read ``.env`` of the working directory.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from drill.target import fields
from drill.target.base import Pair, Row
from drill.target.connection import Access, quietly, require, silence
from drill.target.failure import asking
from drill.target.settings import ChromaKeys

KIND = "chroma"
PAGE = 5_000
LOOKED_UP = 250
"""Ids a request; Chroma Cloud takes at most 300."""


def open_chroma(settings: ChromaKeys, values: Mapping[str, str | None], tenants: Collection[str]) -> "ChromaTarget":
    """Connect as ``settings`` say. Raises CannotMeasure (client missing, no address), TargetUnavailable."""
    with quietly():
        require(KIND, "chromadb", lambda: __import__("chromadb"))
    return ChromaTarget(settings, _connect(settings, Access(settings, values)), tenants)


class ChromaTarget:
    """Collections by name; each is looked up once."""

    def __init__(self, settings: ChromaKeys, server: Any, tenants: Collection[str]) -> None:
        self._settings = settings
        self._server = server
        self._tenants = tuple(tenants)
        self._shared = "{tenant}" not in settings.collection
        self._known: dict[str, Any] = {}
        try:
            self._check_collections()
        except BaseException:
            self.close()
            raise

    def counts(self) -> dict[str, int]:
        """Return the exact count of the tenants in scope; Chroma cannot count by metadata, so those are listed."""
        found = {tenant: self._count(tenant) for tenant in self._tenants}
        return {tenant: count for tenant, count in found.items() if count}

    def scan(self, tenant: str) -> Iterator[list[Pair]]:
        """Yield pages of at most 5,000 documents; nothing may be deleted until the last one was read."""
        for page in self._pages(tenant, self._seen()):
            yield self._pairs(page)

    def present(self, tenant: str, ids: Collection[str]) -> set[Pair]:
        """Return those of ``ids`` that exist now, each with its content hash."""
        return {pair for page in self._some(tenant, ids, self._seen()) for pair in self._pairs(page)}

    def export(self, tenant: str, ids: Collection[str]) -> list[Row]:
        """Return those of ``ids`` that exist now, with vectors, metadata, documents and URIs."""
        wanted = ["embeddings", "metadatas", "documents", "uris"]
        return [row for page in self._some(tenant, ids, wanted) for row in self._rows(page)]

    def delete(self, tenant: str, pairs: Collection[Pair]) -> set[str]:
        """Delete what still has one of the given hashes; return what cannot be read any more.

        A document without a stated hash, or where the text is hashed here, is compared just before its delete.
        """
        doomed = set(pairs) & self.present(tenant, [key for key, _ in pairs])
        for block in fields.chunks(sorted(doomed), LOOKED_UP):
            for some, where in self._conditions(block):
                with asking(KIND, "delete"):
                    self._collection(tenant).delete(ids=some, where=self._where(tenant, where))
        ids = {key for key, _ in pairs}
        return ids - {key for key, _ in self.present(tenant, ids)}

    def flush(self) -> None:
        """Do nothing: a server reads what it has answered to have written."""

    def restore(self, tenant: str, rows: Sequence[Row]) -> None:
        """Add the documents that are absent."""
        there = {key for key, _ in self.present(tenant, [row.id for row in rows])}
        for block in fields.chunks([row for row in rows if row.id not in there], LOOKED_UP):
            saved = [fields.from_payload(row.payload) for row in block]
            with asking(KIND, "write back"):
                self._collection(tenant).add(
                    ids=[row.id for row in block],
                    embeddings=[fields.bytes_to_floats(row.vector) for row in block],
                    metadatas=_or_none([one["metadata"] for one in saved]),
                    documents=_or_none([one["document"] for one in saved]),
                    uris=_or_none([one["uri"] for one in saved]),
                )

    def describe(self) -> Mapping[str, str]:
        """Return kind, versions and collection."""
        import chromadb

        with asking(KIND, "ask the version"):
            server = self._server.get_version()
        return {
            "kind": KIND,
            "server": f"Chroma {server}",
            "client": f"chromadb {chromadb.__version__}",
            "collection": self._settings.collection,
        }

    def close(self) -> None:
        """Close the connections."""
        with suppress(Exception):
            self._server._session.close()  # noqa: SLF001 - see _connect

    def _check_collections(self) -> None:
        names = [fields.place(self._settings.collection, tenant) for tenant in self._tenants]
        if names and not any(self._named(name) is not None for name in dict.fromkeys(names)):
            raise fields.not_there(KIND, "collection", self._settings.collection, "collection")

    def _named(self, name: str) -> Any:
        """Return a collection, None if there is none of that name."""
        from chromadb.api.models.Collection import Collection
        from chromadb.errors import NotFoundError

        if name not in self._known:
            with asking(KIND, "connect"):
                try:
                    model = self._server.get_collection(
                        name, tenant=self._settings.account, database=self._settings.database
                    )
                except NotFoundError:
                    return None
                self._known[name] = Collection(self._server, model, embedding_function=None)
        return self._known[name]

    def _collection(self, tenant: str) -> Any:
        return self._named(fields.place(self._settings.collection, tenant))

    def _count(self, tenant: str) -> int:
        if self._settings.tenant_field:
            return sum(len(page["ids"]) for page in self._pages(tenant, []))
        collection = self._collection(tenant)
        if collection is None:
            return 0
        with asking(KIND, "count"):
            return int(collection.count())

    def _pages(self, tenant: str, include: list[str]) -> Iterator[Any]:
        collection = self._collection(tenant)
        offset = 0
        while collection is not None:
            with asking(KIND, "scan"):
                page = collection.get(limit=PAGE, offset=offset, include=include, where=self._where(tenant, None))
            if not page["ids"]:
                return
            yield page
            offset += len(page["ids"])

    def _some(self, tenant: str, ids: Collection[str], include: list[str]) -> Iterator[Any]:
        collection = self._collection(tenant)
        if collection is None:
            return
        for block in fields.chunks(dict.fromkeys(ids), LOOKED_UP):
            with asking(KIND, "look up documents"):
                yield collection.get(ids=block, include=include, where=self._where(tenant, None))

    def _where(self, tenant: str, condition: dict[str, Any] | None) -> dict[str, Any] | None:
        of_tenant = {self._settings.tenant_field: tenant} if self._settings.tenant_field else None
        both = [one for one in (of_tenant, condition) if one]
        return {"$and": both} if len(both) > 1 else both[0] if both else None

    def _conditions(self, block: list[Pair]) -> Iterator[tuple[list[str], dict[str, Any] | None]]:
        """Yield ids and the condition on their hash; without a stated hash there is none to give."""
        field = self._settings.hash_field
        stated = [pair for pair in block if field and pair[1]]
        if stated:
            hashes = {spelled for _, value in stated for spelled in (value, value.upper())}
            yield [key for key, _ in stated], {field: {"$in": sorted(hashes)}}
        if others := [key for key, value in block if not (field and value)]:
            yield others, None

    def _seen(self) -> list[str]:
        settings = self._settings
        return ["metadatas"] if settings.hash_field or settings.text_field else ["documents"]

    def _pairs(self, page: Any) -> list[Pair]:
        metadatas = page["metadatas"] or [None] * len(page["ids"])
        documents = page["documents"] or [None] * len(page["ids"])
        return [
            (key, fields.document_hash(self._settings, metadata or {}, document))
            for key, metadata, document in zip(page["ids"], metadatas, documents, strict=True)
        ]

    def _rows(self, page: Any) -> Iterator[Row]:
        parts = [page["embeddings"], page["metadatas"], page["documents"], page["uris"]]
        columns = [[None] * len(page["ids"]) if part is None else part for part in parts]
        for (key, hashed), *rest in zip(self._pairs(page), *columns, strict=True):
            vector, metadata, document, uri = rest
            payload = fields.to_payload(metadata=metadata, document=document, uri=uri)
            yield Row(key, hashed, fields.floats_to_bytes(vector), payload)


def _or_none(values: list[Any]) -> list[Any] | None:
    """Return None for a column that holds nothing: Chroma takes no list of nothing."""
    return values if any(value is not None for value in values) else None


def _connect(settings: ChromaKeys, access: Access) -> Any:
    """Return Chroma's own client of the HTTP interface; nothing is sent yet."""
    endpoint = access.required_endpoint(8000)
    token = access.secret("token_env").reveal()
    silence("httpx", "chromadb")
    with quietly(), asking(KIND, "connect"):
        import httpx
        from chromadb.api import ServerAPI
        from chromadb.config import Settings, System

        configured = Settings(
            _env_file=None,
            chroma_api_impl="chromadb.api.fastapi.FastAPI",
            chroma_server_host=endpoint.url,
            chroma_server_http_port=endpoint.port,
            chroma_server_ssl_enabled=endpoint.secure,
            chroma_server_ssl_verify=settings.ca_file or None,
            chroma_server_headers={"Authorization": f"Bearer {token}", "X-Chroma-Token": token} if token else {},
            anonymized_telemetry=False,
        )
        server: Any = System(configured).instance(ServerAPI)
        server._session.timeout = httpx.Timeout(  # noqa: SLF001 - the client offers no other way to bound a wait
            settings.statement_timeout_s, connect=settings.connect_timeout_s
        )
        return server

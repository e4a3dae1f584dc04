"""Milvus or Zilliz as the target: query iterator, strong reads, deletes by an expression on id and content hash.

Pitfalls that shaped it (measured on 2.3.5 and milvus-lite 3.2.2, or from the projects' issue trackers):

- An iterator takes at most 16,384 rows a batch, and has been seen to return fewer rows than ``count(*)``: the caller
  compares a scan with the count. ``count(*)`` in turn counts a primary key twice that was inserted twice.
- From servers that give it no timestamp (2.3.5) an iterator reads what was there a while ago, whatever consistency
  level it asks for; a strong read just before it makes the server catch up.
- Paging by ``id > last`` is not in order on milvus-lite and loses rows: only the iterator is used.
- ``delete_count`` counts ids that were never there, and collection statistics ignore deletes.
- ``insert`` does not replace a primary key but adds it again: writing back is an ``upsert`` of what is absent.
- Deletes are logical: a read sees them only with ``consistency_level="Strong"``.
- The client's own quoting breaks on ids with quotes, and it logs what it was asked, with values.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from drill.document_id import as_whole, id_text
from drill.errors import CannotMeasure, TargetUnavailable
from drill.target import fields
from drill.target.base import Pair, Row
from drill.target.connection import Access, environment, quietly, require, silence
from drill.target.failure import asking
from drill.target.settings import MilvusKeys

KIND = "milvus"
PAGE = 16_384
LOOKED_UP = 500
"""Ids an expression; with ids of 1 KB it is half a megabyte."""
STRONG = {"consistency_level": "Strong"}


def open_milvus(settings: MilvusKeys, values: Mapping[str, str | None], tenants: Collection[str]) -> "MilvusTarget":
    """Connect as ``settings`` say. Raises CannotMeasure (client missing, no address), TargetUnavailable."""
    # Its client would read the .env that lies above where it is installed: in the drill's own checkout, say.
    with quietly(), environment(PYTHON_DOTENV_DISABLED="1"):
        require(KIND, "pymilvus", lambda: __import__("pymilvus"))
    access = Access(settings, values)
    endpoint = access.required_endpoint(19530)
    token = access.secret("token_env").reveal()
    if not token and endpoint.username:
        token = f"{endpoint.username}:{endpoint.password.reveal()}"
    silence("pymilvus")
    with quietly(), asking(KIND, "connect"):
        from pymilvus import MilvusClient

        client = MilvusClient(
            uri=endpoint.url,
            token=token,
            db_name=settings.database,
            timeout=settings.connect_timeout_s,
            dedicated=True,
            **({"server_pem_path": settings.ca_file} if settings.ca_file else {}),
        )
    return MilvusTarget(settings, client, tenants)


class MilvusTarget:
    """One collection for all tenants, or one for each."""

    def __init__(self, settings: MilvusKeys, client: Any, tenants: Collection[str]) -> None:
        self._settings = settings
        self._client = client
        self._tenants = tuple(tenants)
        self._shared = "{tenant}" not in settings.collection
        self._timeout = {"timeout": settings.statement_timeout_s}
        self._numeric = False
        try:
            self._check_collections()
        except BaseException:
            self.close()
            raise

    def counts(self) -> dict[str, int]:
        """Return the exact count of the tenants in scope; Milvus cannot list its tenants."""
        found = {tenant: self._count(tenant) for tenant in self._tenants if self._exists(tenant)}
        return {tenant: count for tenant, count in found.items() if count}

    def scan(self, tenant: str) -> Iterator[list[Pair]]:
        """Yield pages of at most 16,384 documents."""
        if not self._exists(tenant):
            return
        self._count(tenant)  # a strong read: an iterator alone may be served from before the last writes (2.3.5)
        with asking(KIND, "scan"):
            rows = self._client.query_iterator(
                self._collection(tenant),
                batch_size=PAGE,
                filter=self._filter(tenant),
                output_fields=self._wanted(),
                **STRONG,
                **self._timeout,
            )
        try:
            while page := self._next(rows):
                yield [self._pair(row) for row in page]
        finally:
            with suppress(Exception):
                rows.close()

    def present(self, tenant: str, ids: Collection[str]) -> set[Pair]:
        """Return those of ``ids`` that exist now, each with its content hash."""
        return {self._pair(row) for row in self._rows(tenant, ids, self._wanted())}

    def possible(self, ids: Collection[str]) -> list[str]:
        """Return those of ``ids`` that the primary key can hold."""
        return [key for key in ids if not self._numeric or as_whole(key) is not None]

    def export(self, tenant: str, ids: Collection[str]) -> list[Row]:
        """Return those of ``ids`` that exist now, with every field. Raises CannotMeasure for one JSON cannot hold."""
        return [self._row(row) for row in self._rows(tenant, ids, ["*"])]

    def delete(self, tenant: str, pairs: Collection[Pair]) -> set[str]:
        """Delete what still has one of the given hashes; return what cannot be read any more.

        Where the text is hashed here, a document is compared just before its delete.
        """
        doomed = set(pairs) if self._settings.hash_field else set(pairs) & self.present(tenant, [k for k, _ in pairs])
        for block in fields.chunks(sorted(doomed), LOOKED_UP):
            condition = [self._named([key for key, _ in block])]
            if field := self._settings.hash_field:
                hashes = {spelled for _, value in block for spelled in (value, value.upper())}
                condition.append(f"{field} in [{', '.join(map(_quoted, sorted(hashes)))}]")
            with asking(KIND, "delete"):
                self._client.delete(self._collection(tenant), filter=self._filter(tenant, *condition), **self._timeout)
        ids = {key for key, _ in pairs}
        return ids - {key for key, _ in self.present(tenant, ids)}

    def flush(self) -> None:
        """Do nothing: every read is a strong one."""

    def restore(self, tenant: str, rows: Sequence[Row]) -> None:
        """Upsert the documents that are absent."""
        there = {key for key, _ in self.present(tenant, [row.id for row in rows])}
        for block in fields.chunks([row for row in rows if row.id not in there], LOOKED_UP):
            data = [fields.from_payload(row.payload) for row in block]
            for one, row in zip(data, block, strict=True):
                if row.vector is not None:
                    one[self._settings.vector_field] = fields.bytes_to_floats(row.vector)
            with asking(KIND, "write back"):
                self._client.upsert(self._collection(tenant), data=data, **self._timeout)

    def describe(self) -> Mapping[str, str]:
        """Return kind, versions and collection."""
        import pymilvus

        with asking(KIND, "ask the version"):
            server = self._client.get_server_version()
        return {
            "kind": KIND,
            "server": f"Milvus {server}",
            "client": f"pymilvus {pymilvus.__version__}",
            "collection": self._settings.collection,
        }

    def close(self) -> None:
        """Close the connection."""
        with suppress(Exception):
            self._client.close()

    def _check_collections(self) -> None:
        settings = self._settings
        names = dict.fromkeys(self._collection(tenant) for tenant in self._tenants or ("",))
        existing = [name for name in names if self._has(name)]
        if not existing and (self._shared or self._tenants):
            raise fields.not_there(KIND, "collection", settings.collection, "collection")
        for name in existing:
            with asking(KIND, "read the schema"):
                schema = self._client.describe_collection(name, **self._timeout)
            self._check_schema(name, schema)

    def _check_schema(self, name: str, schema: Mapping[str, Any]) -> None:
        settings = self._settings
        known = {field["name"]: field for field in schema["fields"]}
        wanted = [settings.id_field, settings.vector_field, *fields.wanted_fields(settings)]
        wanted += [settings.tenant_field] if self._shared and settings.tenant_field else []
        missing = [field for field in wanted if field not in known]
        dynamic = schema.get("enable_dynamic_field") and {settings.id_field, settings.vector_field} <= known.keys()
        if missing and not dynamic:
            raise TargetUnavailable(
                f"target milvus: collection {name!r} has no field {missing[0]!r}; check [target] *_field"
            )
        key = known[settings.id_field]
        if not key.get("is_primary") or schema.get("auto_id"):
            raise TargetUnavailable(
                f"target milvus: {settings.id_field!r} is not a primary key that the service sets; the document's id "
                "must be, check [target] id_field"
            )
        self._numeric = "INT" in getattr(key["type"], "name", "")

    def _has(self, name: str) -> bool:
        with asking(KIND, "connect"):
            return bool(self._client.has_collection(name, **self._timeout))

    def _exists(self, tenant: str) -> bool:
        return self._shared or self._has(self._collection(tenant))

    def _collection(self, tenant: str) -> str:
        return fields.place(self._settings.collection, tenant)

    def _count(self, tenant: str) -> int:
        with asking(KIND, "count"):
            [row] = self._client.query(
                self._collection(tenant),
                filter=self._filter(tenant),
                output_fields=["count(*)"],
                **STRONG,
                **self._timeout,
            )
        return int(row["count(*)"])

    def _filter(self, tenant: str, *more: str) -> str:
        field = self._settings.tenant_field
        of_tenant = [f"{field} == {_quoted(tenant)}"] if self._shared and field else []
        return " and ".join([*of_tenant, *more])

    def _named(self, ids: Collection[str]) -> str:
        """Return the expression that a document is one of ``ids``; a number is never asked for by a text."""
        names = self.possible(ids) if self._numeric else map(_quoted, ids)
        return f"{self._settings.id_field} in [{', '.join(names)}]"

    def _next(self, rows: Any) -> list[Any]:
        with asking(KIND, "scan"):
            return list(rows.next())

    def _rows(self, tenant: str, ids: Collection[str], wanted: list[str]) -> Iterator[Mapping[str, Any]]:
        if not ids or not self._exists(tenant):
            return
        for block in fields.chunks(dict.fromkeys(ids), LOOKED_UP):
            with asking(KIND, "look up documents"):
                yield from self._client.query(
                    self._collection(tenant),
                    filter=self._filter(tenant, self._named(block)),
                    output_fields=wanted,
                    limit=PAGE,
                    **STRONG,
                    **self._timeout,
                )

    def _wanted(self) -> list[str]:
        return [self._settings.id_field, *fields.wanted_fields(self._settings)]

    def _pair(self, row: Mapping[str, Any]) -> Pair:
        return id_text(row[self._settings.id_field]), fields.document_hash(self._settings, row)

    def _row(self, row: Mapping[str, Any]) -> Row:
        key, hashed = self._pair(row)
        rest = {name: value for name, value in row.items() if name != self._settings.vector_field}
        try:
            payload = fields.to_payload(**rest)
        except TypeError:
            raise CannotMeasure(
                "target milvus: a document has a field that cannot be kept in the quarantine (binary, sparse or "
                "16-bit vector); nothing is deleted without being kept, purge this collection by hand"
            ) from None
        return Row(key, hashed, fields.floats_to_bytes(row.get(self._settings.vector_field)), payload)


def _quoted(text: str) -> str:
    """Return a string literal of Milvus' expressions."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + escaped.replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t") + '"'

"""Weaviate as the target: cursor scan by uuid, deletes in small batches by uuid and content hash.

Pitfalls that shaped it (from the documentation and the projects' issue trackers; no server could be run):

- The cursor takes no filter: tenants are Weaviate's own, or a scan reads the whole collection and sorts it.
- Texts are compared by words unless their tokenization is ``field``: ids and tenants need that.
- ``delete_many`` deletes at most ``QUERY_MAXIMUM_RESULTS`` (10,000) a call, says so only in its counts, and times out
  on large ones: 500 a call, and what is left is looked for.
- ``fetch_objects`` with a large limit silently loses the rest: only the cursor scans.
- With asynchronous replication deletes come back unless the collection has a ``deletionStrategy``: set one.
- The client would ask PyPI for its newest version while it connects: its own checks are skipped, ours are made.
- Cross-references are not in what is exported: a collection with some is not purged.
"""

import uuid
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from typing import Any

from drill.document_id import as_number, as_whole, id_text
from drill.errors import TargetUnavailable
from drill.target import fields
from drill.target.base import Pair, Row
from drill.target.connection import Access, quietly, require
from drill.target.failure import asking
from drill.target.settings import WeaviateKeys
from drill.target.weaviate_connection import KIND, connect
from drill.target.weaviate_kept import kept, kept_id, not_kept, vectors_of

PAGE = 1_000
LOOKED_UP = 500
DEFAULT_VECTOR = "default"
ID_TYPES = ("text", "int", "number", "uuid")
_NUMBERS: Mapping[str, Callable[[str], float | None]] = {"int": as_whole, "number": as_number}


def open_weaviate(
    settings: WeaviateKeys, values: Mapping[str, str | None], tenants: Collection[str]
) -> "WeaviateTarget":
    """Connect as ``settings`` say. Raises CannotMeasure (client missing, no address), TargetUnavailable."""
    with quietly():
        require(KIND, "weaviate-client", lambda: __import__("weaviate"))
    client = connect(settings, Access(settings, values))
    return WeaviateTarget(settings, client, tenants)


class WeaviateTarget:
    """One collection; its tenants are Weaviate's own, or a property."""

    def __init__(self, settings: WeaviateKeys, client: Any, tenants: Collection[str]) -> None:
        self._settings = settings
        self._client = client
        self._tenants = tuple(tenants)
        self._native = not settings.tenant_field
        self._has_references = False
        self._id_type = "text" if settings.id_field else "uuid"
        self._collection = client.collections.use(settings.collection)
        try:
            self._check_collection()
        except BaseException:
            self.close()
            raise

    def counts(self) -> dict[str, int]:
        """Return the exact count of the tenants in scope."""
        found = {tenant: self._count(tenant) for tenant in self._tenants}
        return {tenant: count for tenant, count in found.items() if count}

    def scan(self, tenant: str) -> Iterator[list[Pair]]:
        """Yield pages of at most 1,000 documents, in the order of their uuids."""
        collection = self._of(tenant)
        if collection is None:
            return
        with asking(KIND, "scan"):
            # A generator around it: the client's iterator begins anew whenever ``iter`` is called on it.
            objects = (one for one in collection.iterator(return_properties=self._wanted(), cache_size=PAGE))
        while page := self._next(objects):
            yield [self._pair(one) for one in page if self._native or self._tenant_of(one) == tenant]

    def present(self, tenant: str, ids: Collection[str]) -> set[Pair]:
        """Return those of ``ids`` that exist now, each with its content hash."""
        return {self._pair(one) for one in self._objects(tenant, ids, whole=False)}

    def possible(self, ids: Collection[str]) -> list[str]:
        """Return those of ``ids`` that the property can hold, or where the object's UUID is the id, that are UUIDs."""
        if self._id_type in _NUMBERS:
            return [key for key in ids if _NUMBERS[self._id_type](key) is not None]
        return [key for key in ids if _is_uuid(key)] if self._id_type == "uuid" else list(ids)

    def export(self, tenant: str, ids: Collection[str]) -> list[Row]:
        """Return those of ``ids`` that exist now, with all vectors and properties. Raises CannotMeasure."""
        if self._has_references:
            raise not_kept("cross-references")
        return [self._row(one) for one in self._objects(tenant, ids, whole=True)]

    def delete(self, tenant: str, pairs: Collection[Pair]) -> set[str]:
        """Delete what still has one of the given hashes; return what cannot be read any more.

        A document without a stated hash, or where the text is hashed here, is compared just before its delete.
        """
        found = list(self._objects(tenant, [key for key, _ in pairs], whole=False))
        doomed = [one for one in found if self._pair(one) in set(pairs)]
        collection = self._of(tenant)
        for block in fields.chunks(doomed, LOOKED_UP):
            for condition in self._conditions(tenant, block):
                with asking(KIND, "delete"):
                    collection.data.delete_many(where=condition)
        ids = {key for key, _ in pairs}
        return ids - {key for key, _ in self.present(tenant, ids)}

    def flush(self) -> None:
        """Do nothing: reads and writes ask a quorum of the replicas."""

    def restore(self, tenant: str, rows: Sequence[Row]) -> None:
        """Insert, under their old uuids, the documents that are absent."""
        from weaviate.classes.data import DataObject

        there = {key for key, _ in self.present(tenant, [row.id for row in rows])}
        collection = self._of(tenant)
        if collection is None:
            raise fields.not_there(KIND, "tenant", tenant, "collection")
        for block in fields.chunks([row for row in rows if row.id not in there], LOOKED_UP):
            saved = [(row, fields.from_payload(row.payload)) for row in block]
            objects = [
                DataObject(uuid=one["uuid"], properties=one["properties"], vector=vectors_of(row, one))
                for row, one in saved
            ]
            with asking(KIND, "write back"):
                answer = collection.data.insert_many(objects)
            if answer.has_errors:
                raise TargetUnavailable(
                    f"target weaviate: {len(answer.errors)} of {len(objects)} documents could not be written back; "
                    "check the collection's schema, then run again"
                )

    def reaches(self) -> list[str]:
        """Return what of a document could not be written back."""
        return ["the collection has cross-references, which no quarantine keeps"] * self._has_references

    def describe(self) -> Mapping[str, str]:
        """Return kind, versions and collection."""
        import weaviate

        with asking(KIND, "ask the version"):
            server = self._client.get_meta()["version"]
        return {
            "kind": KIND,
            "server": f"Weaviate {server}",
            "client": f"weaviate-client {weaviate.__version__}",
            "collection": self._settings.collection,
        }

    def close(self) -> None:
        """Close the connections."""
        with suppress(Exception):
            self._client.close()

    def _check_collection(self) -> None:
        name = self._settings.collection
        with asking(KIND, "connect"):
            exists = self._client.collections.exists(name)
            schema = self._collection.config.get() if exists else None
        if schema is None:
            raise fields.not_there(KIND, "collection", name, "collection")
        if schema.multi_tenancy_config.enabled != self._native:
            seen = "is multi-tenant" if self._native is False else "is not multi-tenant"
            wanted = "empty" if self._native is False else "the property that holds the tenant"
            raise TargetUnavailable(
                f"target weaviate: collection {name!r} {seen}; expected [target] tenant_field {wanted}"
            )
        self._has_references = bool(schema.references)
        self._check_properties({one.name: one for one in schema.properties})

    def _check_properties(self, known: Mapping[str, Any]) -> None:
        settings = self._settings
        exact = [name for name in (settings.id_field, settings.tenant_field) if name]
        for name in [*exact, *fields.wanted_fields(settings)]:
            if name not in known:
                where = f"collection {settings.collection!r}"
                raise TargetUnavailable(f"target weaviate: {where} has no property {name!r}; check [target] *_field")
        for name in exact:
            tokenization = getattr(known[name].tokenization, "value", known[name].tokenization)
            if tokenization not in (None, "field"):
                raise TargetUnavailable(
                    f"target weaviate: property {name!r} is compared by {tokenization}; expected tokenization field, "
                    "or other documents would pass for this one"
                )
        if settings.id_field:
            kind = known[settings.id_field].data_type
            self._id_type = str(getattr(kind, "value", kind))
            if self._id_type not in ID_TYPES:
                raise TargetUnavailable(
                    f"target weaviate: property {settings.id_field!r} is of type {self._id_type}; expected one of "
                    f"{', '.join(ID_TYPES)}, check [target] id_field"
                )

    def _of(self, tenant: str) -> Any:
        """Return the collection as ``tenant`` sees it, None if there is no such tenant."""
        from weaviate.classes.config import ConsistencyLevel

        collection = self._collection.with_consistency_level(ConsistencyLevel.QUORUM)
        if not self._native:
            return collection
        with asking(KIND, "look for the tenant"):
            known = self._collection.tenants.get_by_name(tenant)
        if known is None:
            return None
        if known.activity_status.name not in ("ACTIVE", "HOT"):
            state = known.activity_status.name.lower()
            raise TargetUnavailable(f"target weaviate: tenant {tenant!r} is {state}; activate it, then run again")
        return collection.with_tenant(tenant)

    def _count(self, tenant: str) -> int:
        collection = self._of(tenant)
        if collection is None:
            return 0
        with asking(KIND, "count"):
            return int(collection.aggregate.over_all(total_count=True, filters=self._where(tenant)).total_count or 0)

    def _where(self, tenant: str, *more: Any) -> Any:
        """Return the conditions, all of which must hold; None if there are none."""
        from weaviate.classes.query import Filter

        of_tenant = [] if self._native else [Filter.by_property(self._settings.tenant_field).equal(tenant)]
        return Filter.all_of([*of_tenant, *more]) if of_tenant or more else None

    def _next(self, objects: Iterator[Any]) -> list[Any]:
        with asking(KIND, "scan"):
            return list(islice(objects, PAGE))

    def _objects(self, tenant: str, ids: Collection[str], *, whole: bool) -> Iterator[Any]:
        collection = self._of(tenant) if ids else None
        if collection is None:
            return
        for block in fields.chunks(dict.fromkeys(ids), LOOKED_UP):
            named = self._named(block)
            if named is None:
                continue
            with asking(KIND, "look up documents"):
                answer = collection.query.fetch_objects(
                    filters=self._where(tenant, named),
                    limit=4 * LOOKED_UP,
                    include_vector=whole,
                    return_properties=None if whole else self._wanted(),
                )
            wanted = set(block)
            yield from (one for one in answer.objects if self._pair(one)[0] in wanted)

    def _named(self, ids: Sequence[str]) -> Any:
        from weaviate.classes.query import Filter

        names = self.possible(ids)
        if self._settings.id_field:
            return Filter.by_property(self._settings.id_field).contains_any(self._typed(names)) if names else None
        return Filter.by_id().contains_any(names) if names else None

    def _typed(self, ids: Sequence[str]) -> list[Any]:
        """Return ``ids``, all of which are possible, as the property holds them."""
        return list(map(_NUMBERS[self._id_type], ids)) if self._id_type in _NUMBERS else list(ids)

    def _conditions(self, tenant: str, block: Sequence[Any]) -> Iterator[Any]:
        """Yield the conditions of the deletes of ``block``: uuid and hash, or uuid alone where no hash is stated."""
        from weaviate.classes.query import Filter

        field = self._settings.hash_field
        stated = [one for one in block if field and one.properties.get(field)]
        if stated:
            hashes = sorted({str(one.properties[field]) for one in stated})
            names = Filter.by_id().contains_any([one.uuid for one in stated])
            yield self._where(tenant, names, Filter.by_property(field).contains_any(hashes))
        if others := [one.uuid for one in block if not (field and one.properties.get(field))]:
            yield self._where(tenant, Filter.by_id().contains_any(others))

    def _wanted(self) -> list[str]:
        names = [self._settings.id_field, self._settings.tenant_field, *fields.wanted_fields(self._settings)]
        return [name for name in names if name]

    def _tenant_of(self, one: Any) -> Any:
        return one.properties.get(self._settings.tenant_field)

    def _pair(self, one: Any) -> Pair:
        field = self._settings.id_field
        key = id_text(kept_id(one.properties.get(field))) if field else str(one.uuid)
        if not key:
            raise fields.no_id(KIND, field)
        return key, fields.document_hash(self._settings, one.properties)

    def _row(self, one: Any) -> Row:
        key, hashed = self._pair(one)
        vectors = {name: list(vector) for name, vector in (one.vector or {}).items()}
        plain = vectors.get(DEFAULT_VECTOR) if list(vectors) == [DEFAULT_VECTOR] else None
        try:
            properties = {name: kept(value) for name, value in one.properties.items() if value is not None}
        except TypeError:
            raise not_kept("a geo or phone property, or a whole number that its client would round") from None
        named = None if plain is not None or not vectors else vectors
        payload = fields.to_payload(uuid=str(one.uuid), properties=properties, vectors=named)
        return Row(key, hashed, fields.floats_to_bytes(plain), payload)


def _is_uuid(key: str) -> bool:
    with suppress(ValueError):
        return str(uuid.UUID(key)) == key
    return False

"""Qdrant as the target: plain scroll by point id, deletes by filter on id and content hash.

Pitfalls that shaped it (measured, or from the projects' issue trackers):

- Points are named by numbers or UUIDs, so the document's id usually lives in the payload, as a text or as a number. A
  condition matches one type: each is asked for, and what is deleted is named by its point.
- ``order_by`` scrolls repeat points and cannot be continued; very large pages time out: plain scroll, 1,000 a page.
- Reads with ``consistency=all`` hide what only some replicas have: scans use the default, deletes ``ordering=strong``.
- A delete by id could leave a copy of a deferred point behind, a delete by filter could not.
- ``points_count`` is an estimate: counts are exact.
- Cosine collections keep vectors normalised: what comes back by an undo has the length 1, as it had on the target.
"""

import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from importlib.metadata import version
from itertools import groupby
from typing import TYPE_CHECKING, Any

from drill.document_id import id_text
from drill.errors import TargetUnavailable
from drill.target import fields
from drill.target.base import Pair, Row
from drill.target.connection import Access, require
from drill.target.failure import asking
from drill.target.qdrant_connection import KIND, connect, is_strict
from drill.target.qdrant_ids import IdCondition
from drill.target.qdrant_points import as_json, namespace, to_point
from drill.target.settings import QdrantKeys

if TYPE_CHECKING:
    from qdrant_client import QdrantClient, models

PAGE = 1_000
LOOKED_UP = 500
"""Ids a request: a filter of more conditions takes the server disproportionately longer."""
MAX_TENANTS = 10_000


def open_qdrant(settings: QdrantKeys, values: Mapping[str, str | None], tenants: Collection[str]) -> "QdrantTarget":
    """Connect as ``settings`` say. Raises CannotMeasure (client missing, no address), TargetUnavailable."""
    require(KIND, "qdrant-client", lambda: __import__("qdrant_client"))
    access = Access(settings, values)
    client = connect(settings, access, access.required_endpoint(6333))
    return QdrantTarget(settings, client, tenants)


class QdrantTarget:
    """One collection for all tenants, or one for each."""

    def __init__(self, settings: QdrantKeys, client: "QdrantClient", tenants: Collection[str]) -> None:
        self._settings = settings
        self._client = client
        self._tenants = tuple(tenants)
        self._shared = "{tenant}" not in settings.collection
        self._namespace = namespace(settings.uuid5_namespace) if settings.uuid5_namespace else None
        self._ids = IdCondition(settings.id_field)
        self._learned = False
        try:
            self._check_collections()
        except BaseException:
            self.close()
            raise

    def counts(self) -> dict[str, int]:
        """Return the exact count of the tenants in scope, and of all others that the server can list."""
        found = self._listed() if self._shared else {}
        for tenant in self._tenants:
            if self._exists(tenant):
                found[tenant] = self._count(tenant)
        return {tenant: count for tenant, count in found.items() if count}

    def scan(self, tenant: str) -> Iterator[list[Pair]]:
        """Yield pages of at most 1,000 documents, in the order of the points' ids."""
        offset: Any = None
        exists = self._exists(tenant)
        while exists:
            with asking(KIND, "scan"):
                points, offset = self._client.scroll(
                    self._collection(tenant),
                    scroll_filter=self._filter(tenant),
                    limit=PAGE,
                    offset=offset,
                    with_payload=self._wanted(),
                    with_vectors=False,
                )
            yield [self._pair(point) for point in points]
            if offset is None:
                return

    def present(self, tenant: str, ids: Collection[str]) -> set[Pair]:
        """Return those of ``ids`` that exist now, each with its content hash."""
        return {self._pair(point) for point in self._points(tenant, ids, self._wanted(), vectors=False)}

    def possible(self, ids: Collection[str]) -> list[str]:
        """Return those of ``ids`` that can be kept: where a point's name is the id, whole numbers and UUIDs."""
        return list(ids) if self._settings.id_field else [key for key in ids if self._point_id(key) is not None]

    def export(self, tenant: str, ids: Collection[str]) -> list[Row]:
        """Return those of ``ids`` that exist now, with all their vectors and their payload."""
        return [self._row(point) for point in self._points(tenant, ids, payload=True, vectors=True)]

    def delete(self, tenant: str, pairs: Collection[Pair]) -> set[str]:
        """Delete what still has the given hash; return what cannot be read any more.

        Documents are compared here, just before; the server compares once more, if it holds a hash.
        """
        from qdrant_client import models

        condemned = set(pairs)
        points = self._points(tenant, [key for key, _ in pairs], self._wanted(), vectors=False)
        for block in fields.chunks([point for point in points if self._pair(point) in condemned], LOOKED_UP):
            by_hash = groupby(sorted(block, key=self._stated), key=self._stated)
            wanted: list[Any] = [self._unchanged(tenant, list(some)) for _, some in by_hash]
            with asking(KIND, "delete"):
                self._client.delete(
                    self._collection(tenant),
                    points_selector=models.FilterSelector(filter=models.Filter(should=wanted)),
                    wait=True,
                    ordering=models.WriteOrdering.STRONG,
                )
        ids = {key for key, _ in pairs}
        return ids - {key for key, _ in self.present(tenant, ids)}

    def flush(self) -> None:
        """Do nothing: deletes and writes are waited for."""

    def restore(self, tenant: str, rows: Sequence[Row]) -> None:
        """Write back, under their old point ids, the documents that are absent."""
        from qdrant_client import models

        there = {key for key, _ in self.present(tenant, [row.id for row in rows])}
        points = [to_point(row) for row in rows if row.id not in there]
        for block in fields.chunks(points, LOOKED_UP):
            with asking(KIND, "write back"):
                self._client.upsert(
                    self._collection(tenant),
                    points=block,
                    wait=True,
                    ordering=models.WriteOrdering.STRONG,
                    update_mode=models.UpdateMode.INSERT_ONLY,
                )

    def describe(self) -> Mapping[str, str]:
        """Return kind, versions and collection; whether vectors are normalised by the collection."""
        with asking(KIND, "ask the version"):
            server = self._client.info().version
        return {
            "kind": KIND,
            "server": f"Qdrant {server}",
            "client": f"qdrant-client {version('qdrant-client')}",
            "collection": self._settings.collection,
            "normalised": "vectors of cosine collections have length 1",
        }

    def close(self) -> None:
        """Close the connections."""
        with suppress(Exception):
            self._client.close()

    def _check_collections(self) -> None:
        with asking(KIND, "connect"):
            names = [self._collection(tenant) for tenant in self._tenants or ("",)]
            found = [self._client.collection_exists(name) for name in dict.fromkeys(names)]
        if not any(found) and (self._shared or self._tenants):
            raise fields.not_there(KIND, "collection", self._settings.collection, "collection")

    def _exists(self, tenant: str) -> bool:
        """Whether there is a collection for ``tenant``; the shared one exists, or there would be no target."""
        if self._shared:
            return True
        with asking(KIND, "look for the collection"):
            return bool(self._client.collection_exists(self._collection(tenant)))

    def _collection(self, tenant: str) -> str:
        return fields.place(self._settings.collection, tenant)

    def _count(self, tenant: str) -> int:
        with asking(KIND, "count"):
            found = self._client.count(self._collection(tenant), count_filter=self._filter(tenant), exact=True)
        return int(found.count)

    def _listed(self) -> dict[str, int]:
        """Count by tenant, where the server has an index on the field for that."""
        if not self._settings.tenant_field:
            return {}
        with suppress(TargetUnavailable), asking(KIND, "list the tenants"):
            answer = self._client.facet(
                self._settings.collection, key=self._settings.tenant_field, limit=MAX_TENANTS, exact=True
            )
            return {str(hit.value): hit.count for hit in answer.hits}
        return {}

    def _filter(self, tenant: str, *more: Any) -> "models.Filter":
        from qdrant_client import models

        conditions: list[Any] = list(more)
        if self._shared and self._settings.tenant_field:
            match = models.MatchValue(value=tenant)
            conditions.append(models.FieldCondition(key=self._settings.tenant_field, match=match))
        return models.Filter(must=conditions)

    def _named(self, ids: Collection[str]) -> Any:
        """Return the condition that a point is one of ``ids``."""
        from qdrant_client import models

        if self._namespace is not None or not self._settings.id_field:
            return models.HasIdCondition(has_id=[name for key in ids if (name := self._point_id(key)) is not None])
        return self._ids.any_of(ids)

    def _unchanged(self, tenant: str, points: Sequence[Any]) -> "models.Filter":
        """Return the condition that a point is one of ``points``, which have one hash, and has it still."""
        from qdrant_client import models

        conditions: list[Any] = [models.HasIdCondition(has_id=[point.id for point in points])]
        if field := self._settings.hash_field:
            stated = (points[0].payload or {}).get(field)
            if not stated:
                conditions.append(models.IsEmptyCondition(is_empty=models.PayloadField(key=field)))
            elif isinstance(stated, str | int):
                conditions.append(models.FieldCondition(key=field, match=models.MatchValue(value=stated)))
        return self._filter(tenant, *conditions)

    def _stated(self, point: Any) -> str:
        """Return the hash as it is written: what ``_pair`` has in lowercase."""
        return str((point.payload or {}).get(self._settings.hash_field, ""))

    def _points(self, tenant: str, ids: Collection[str], payload: Any, *, vectors: bool) -> Iterator[Any]:
        if not ids or not self._exists(tenant):
            return
        self._learn(tenant)
        for block in fields.chunks(dict.fromkeys(ids), LOOKED_UP):
            wanted = set(block)
            found = self._scrolled(tenant, self._named(block), payload, vectors=vectors)
            yield from (point for point in found if self._pair(point)[0] in wanted)

    def _scrolled(self, tenant: str, condition: Any, payload: Any, *, vectors: bool) -> Iterator[Any]:
        offset: Any = None
        while True:
            with asking(KIND, "look up documents"):
                points, offset = self._client.scroll(
                    self._collection(tenant),
                    scroll_filter=self._filter(tenant, condition),
                    limit=LOOKED_UP,
                    offset=offset,
                    with_payload=payload,
                    with_vectors=vectors,
                )
            yield from points
            if offset is None:
                return

    def _learn(self, tenant: str) -> None:
        """See of which types ids are, before the first look-up: not every type is asked for without need."""
        if self._learned or self._namespace is not None or not self._settings.id_field:
            return
        self._learned = True
        self._ids.strict = is_strict(self._client, self._collection(tenant))
        with asking(KIND, "look up documents"):
            points, _ = self._client.scroll(
                self._collection(tenant),
                scroll_filter=self._filter(tenant),
                limit=LOOKED_UP,
                with_payload=self._wanted(),
                with_vectors=False,
            )
        for point in points:
            self._pair(point)

    def _wanted(self) -> list[str]:
        id_field = self._settings.id_field
        return [*fields.wanted_fields(self._settings), *([id_field] if id_field else [])]

    def _pair(self, point: Any) -> Pair:
        payload = point.payload or {}
        field = self._settings.id_field
        if not field:
            return str(point.id), fields.document_hash(self._settings, payload)
        key = id_text(payload.get(field))
        if not key:
            raise fields.no_id(KIND, field)
        self._ids.seen.add(type(payload[field]))
        if self._namespace is not None and str(uuid.uuid5(self._namespace, key)) != str(point.id):
            raise TargetUnavailable(
                f"target qdrant: a point is not named by the uuid5 of its {field!r}; check [target] uuid5_namespace, "
                "or leave it out"
            )
        return key, fields.document_hash(self._settings, payload)

    def _row(self, point: Any) -> Row:
        key, hashed = self._pair(point)
        vector = point.vector
        plain = isinstance(vector, list) and (not vector or isinstance(vector[0], float | int))
        others = None if plain else as_json(vector)
        payload = fields.to_payload(point=point.id, payload=point.payload, vectors=others)
        return Row(key, hashed, fields.floats_to_bytes(vector) if plain else None, payload)

    def _point_id(self, key: str) -> int | str | None:
        """Return the name of a document's point; None if the id could not be one."""
        if self._namespace is not None:
            return str(uuid.uuid5(self._namespace, key))
        if key.isascii() and key.isdigit():
            return int(key) if str(int(key)) == key else None
        try:
            return key if str(uuid.UUID(key)) == key else None
        except ValueError:
            return None

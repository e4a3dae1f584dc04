"""Elasticsearch and OpenSearch as the target: point in time and ``search_after``, deletes by sequence number.

Pitfalls that shaped it (measured, or documented):

- Reads are by search, which answers from the last refresh: ``flush`` refreshes. What was written since has another
  sequence number, so a delete that names the one it read is refused (409): truly conditional, whatever the hash.
- A search can answer with some shards failed or timed out, and status 200: that is an error here, or a document that
  was not looked at would pass for deleted.
- The newest id of the point in time must be used. Sorting by ``_id`` needs memory for each document: Elasticsearch is
  asked in ``_shard_doc`` order, OpenSearch by ``id_field`` if there is one.
- Custom routing must be repeated on a delete, or it is a silent 404: it is taken from the hit.
- A bulk delete of a missing document is a 404 and no reason to stop.
- Elasticsearch 9.2 leaves vectors out of what it shows unless it is asked.
- ``delete_by_query`` cannot be resumed and stops at conflicts: it is not used.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from drill.document_id import as_whole, id_text
from drill.errors import TargetUnavailable
from drill.target import fields
from drill.target.base import Pair, Row
from drill.target.connection import Access, quietly, reach, require, silence
from drill.target.elastic_clients import ElasticsearchClient, OpensearchClient, SearchClient, login
from drill.target.failure import asking
from drill.target.settings import ElasticsearchKeys, OpensearchKeys

PAGE = 5_000
LOOKED_UP = 1_000
MAX_TENANTS = 10_000
WHOLE_TYPES = ("long", "integer", "short", "byte")
"""Types of a field that hold ids which are whole numbers."""


def open_elasticsearch(
    settings: ElasticsearchKeys, values: Mapping[str, str | None], tenants: Collection[str]
) -> "SearchTarget":
    """Connect as ``settings`` say. Raises CannotMeasure (client missing, no address), TargetUnavailable."""
    require(settings.kind, "elasticsearch", lambda: __import__("elasticsearch"))
    silence("elasticsearch", "elastic_transport", "urllib3")
    access = Access(settings, values)
    endpoint = access.required_endpoint(9200)
    credentials = login(settings, access, endpoint)
    reach(settings.kind, endpoint, settings.connect_timeout_s)
    with quietly(), asking(settings.kind, "connect"):
        client = ElasticsearchClient(settings, access, endpoint, credentials)
    return SearchTarget(settings, client, tenants)


def open_opensearch(
    settings: OpensearchKeys, values: Mapping[str, str | None], tenants: Collection[str]
) -> "SearchTarget":
    """Connect as ``settings`` say. Raises CannotMeasure (client missing, no address), TargetUnavailable."""
    require(settings.kind, "opensearch-py", lambda: __import__("opensearchpy"))
    silence("opensearch", "opensearchpy", "urllib3")
    access = Access(settings, values)
    endpoint = access.required_endpoint(9200)
    credentials = login(settings, access, endpoint)
    reach(settings.kind, endpoint, settings.connect_timeout_s)
    with quietly(), asking(settings.kind, "connect"):
        client = OpensearchClient(settings, access, endpoint, credentials)
    return SearchTarget(settings, client, tenants)


class SearchTarget:
    """One index for all tenants, or one for each."""

    def __init__(
        self, settings: ElasticsearchKeys | OpensearchKeys, client: SearchClient, tenants: Collection[str]
    ) -> None:
        self._settings = settings
        self._kind = settings.kind
        self._client = client
        self._tenants = tuple(tenants)
        self._shared = "{tenant}" not in settings.index
        self._as_doc_value = False
        self._numeric = False
        self._unkept: list[str] = []
        try:
            self._check_indices()
        except BaseException:
            self.close()
            raise

    def counts(self) -> dict[str, int]:
        """Return the exact count of the tenants in scope, and of up to 10,000 others."""
        self.flush()
        found = self._listed() if self._shared and self._settings.tenant_field else {}
        for tenant in self._tenants:
            if self._exists(tenant):
                with asking(self._kind, "count"):
                    answer = self._client.count(self._index(tenant), {"query": self._query(tenant)})
                found[tenant] = int(self._whole(answer)["count"])
        return {tenant: count for tenant, count in found.items() if count}

    def scan(self, tenant: str) -> Iterator[list[Pair]]:
        """Yield pages of at most 5,000 documents of one point in time."""
        if not self._exists(tenant):
            return
        self.flush()
        with asking(self._kind, "open a point in time"):
            point = self._client.open_point(self._index(tenant))
        try:
            body: dict[str, Any] = {**self._wanted(), "size": PAGE, "query": self._query(tenant)}
            body |= {"sort": self._client.order(self._settings.id_field), "track_total_hits": False}
            while True:
                body["pit"] = {"id": point, "keep_alive": self._client.KEEP_ALIVE}
                answer = self._search("", body)
                point = answer.get("pit_id", point)
                hits = answer["hits"]["hits"]
                if not hits:
                    return
                yield [self._pair(hit) for hit in hits]
                body["search_after"] = hits[-1]["sort"]
        finally:
            with suppress(Exception):
                self._client.close_point(point)

    def present(self, tenant: str, ids: Collection[str]) -> set[Pair]:
        """Return those of ``ids`` that exist since the last refresh, each with its content hash."""
        return {self._pair(hit) for hit in self._hits(tenant, ids, self._wanted())}

    def possible(self, ids: Collection[str]) -> list[str]:
        """Return those of ``ids`` that the field of ids can hold."""
        return [key for key in ids if not self._numeric or as_whole(key) is not None]

    def export(self, tenant: str, ids: Collection[str]) -> list[Row]:
        """Return those of ``ids`` that exist since the last refresh, whole."""
        return [self._row(hit) for hit in self._hits(tenant, ids, {"_source": self._client.everything()})]

    def delete(self, tenant: str, pairs: Collection[Pair]) -> set[str]:
        """Delete what still has the given hash and is not written to meanwhile."""
        wanted = {**self._wanted(), "seq_no_primary_term": True}
        hits = {hit["_id"]: hit for hit in self._hits(tenant, [key for key, _ in pairs], wanted)}
        doomed = {name: hit for name, hit in hits.items() if self._pair(hit) in set(pairs)}
        gone = [name for name, status in self._bulk(map(_removal, doomed.values()), "delete") if status == 200]
        return {self._pair(doomed[name])[0] for name in gone}

    def flush(self) -> None:
        """Refresh: what was written before can be found after."""
        for tenant in self._tenants if not self._shared else ("",):
            if self._exists(tenant):
                with asking(self._kind, "refresh"):
                    self._client.refresh(self._index(tenant))

    def restore(self, tenant: str, rows: Sequence[Row]) -> None:
        """Create the documents that are absent."""
        self.flush()
        there = {key for key, _ in self.present(tenant, [row.id for row in rows])}
        actions = [self._creation(row) for row in rows if row.id not in there]
        refused = [status for _, status in self._bulk(actions, "write back") if status not in (201, 409)]
        if refused:
            raise TargetUnavailable(
                f"target {self._kind}: {len(refused)} of {len(actions)} documents could not be written back (status "
                f"{refused[0]}); check the index's mapping and its write blocks, then run again"
            )

    def takes_no_writes(self) -> str:
        """Return why nobody's write comes to an index; empty if it does, or the settings may not be read."""
        found: set[str] = set()
        for name in dict.fromkeys(map(self._index, self._tenants)):
            with suppress(TargetUnavailable), asking(self._kind, "ask for write blocks"):
                found |= self._client.blocks(name)
        return f"the target takes no writes ({', '.join(sorted(found))} is set)" if found else ""

    def reaches(self) -> list[str]:
        """Return what of a document could not be written back as it was."""
        return self._unkept

    def describe(self) -> Mapping[str, str]:
        """Return kind, versions and index."""
        with asking(self._kind, "ask the version"):
            server, client = self._client.versions()
        return {"kind": self._kind, "server": server, "client": client, "index": self._settings.index}

    def server(self) -> list[str]:
        """Return the UUID of the cluster, if it tells."""
        with asking(self._kind, "ask who it is"):
            found = self._client.cluster()
        return [found] if found else []

    def close(self) -> None:
        """Close the connections."""
        with suppress(Exception):
            self._client.close()

    def _check_indices(self) -> None:
        settings = self._settings
        names = dict.fromkeys(self._index(tenant) for tenant in self._tenants or ("",))
        with asking(self._kind, "connect"):
            mappings = [mapping for name in names for mapping in self._client.mappings(name)]
        if not mappings and (self._shared or self._tenants):
            raise fields.not_there(self._kind, "index", settings.index, "index")
        if self._shared and settings.tenant_field:
            self._check_exact(settings.tenant_field, mappings, ("keyword",))
        if settings.id_field:
            self._check_exact(settings.id_field, mappings, ("keyword", *WHOLE_TYPES))
            self._numeric = any(_type(mapping, settings.id_field) in WHOLE_TYPES for mapping in mappings)
        cut = any(_keeps_less(mapping.get("_source", {})) for mapping in mappings)
        self._unkept = [
            "the mapping leaves parts of a document out of its _source, which is all that can be kept"
        ] * cut
        compared_by = fields.wanted_fields(settings)[0]
        if mappings and not any(_type(mapping, compared_by) for mapping in mappings):
            raise TargetUnavailable(
                f"target {self._kind}: no field {compared_by!r} in {settings.index!r}; check [target] hash_field"
            )
        as_written = not any(_is_normalised(mapping, settings.id_field) for mapping in mappings)
        self._as_doc_value = as_written and all(_type(mapping, compared_by) == "keyword" for mapping in mappings)

    def _check_exact(self, name: str, mappings: Sequence[Mapping[str, Any]], kinds: Sequence[str]) -> None:
        if any(_type(mapping, name) not in kinds for mapping in mappings):
            raise TargetUnavailable(
                f"target {self._kind}: field {name!r} is not a keyword in {self._settings.index!r}; check [target] "
                f"tenant_field and id_field, or name its keyword: {name + '.keyword'!r}"
            )

    def _exists(self, tenant: str) -> bool:
        if self._shared:
            return True
        with asking(self._kind, "look for the index"):
            return self._client.exists(self._index(tenant))

    def _index(self, tenant: str) -> str:
        return fields.place(self._settings.index, tenant)

    def _listed(self) -> dict[str, int]:
        by_tenant = {"terms": {"field": self._settings.tenant_field, "size": MAX_TENANTS}}
        answer = self._search(self._settings.index, {"size": 0, "aggs": {"tenants": by_tenant}})
        return {str(one["key"]): int(one["doc_count"]) for one in answer["aggregations"]["tenants"]["buckets"]}

    def _query(self, tenant: str, *more: dict[str, Any]) -> dict[str, Any]:
        field = self._settings.tenant_field
        of_tenant = [{"term": {field: tenant}}] if self._shared and field else []
        return {"bool": {"filter": [*of_tenant, *more]}} if of_tenant or more else {"match_all": {}}

    def _wanted(self) -> dict[str, Any]:
        """Ask for hash and id from the columns where that is possible: the source holds the vector, too."""
        names = [*fields.wanted_fields(self._settings), *filter(None, [self._settings.id_field])]
        if self._as_doc_value:
            return {"_source": False, "docvalue_fields": names}
        return {"_source": [*names, *(name.rpartition(".")[0] for name in names if "." in name)]}

    def _hits(self, tenant: str, ids: Collection[str], wanted: dict[str, Any]) -> Iterator[Any]:
        if not ids or not self._exists(tenant):
            return
        field = self._settings.id_field
        for block in fields.chunks(dict.fromkeys(ids), LOOKED_UP):
            named = {"terms": {field: self.possible(block)}} if field else {"ids": {"values": block}}
            body = {**wanted, "size": 10 * LOOKED_UP, "query": self._query(tenant, named)}
            asked = set(block)
            hits = self._search(self._index(tenant), body)["hits"]["hits"]
            yield from (hit for hit in hits if self._pair(hit)[0] in asked)

    def _search(self, index: str, body: dict[str, Any]) -> Mapping[str, Any]:
        with asking(self._kind, "search"):
            answer = self._client.search(index, body)
        return self._whole(answer)

    def _whole(self, answer: Mapping[str, Any]) -> Mapping[str, Any]:
        failed = answer.get("_shards", {}).get("failed", 0)
        if failed or answer.get("timed_out"):
            raise TargetUnavailable(
                f"target {self._kind}: an answer without all shards ({failed} failed); expected whole answers, check "
                "the cluster's health, then run again"
            )
        return answer

    def _pair(self, hit: Mapping[str, Any]) -> Pair:
        columns = {name: values[0] for name, values in hit.get("fields", {}).items() if values}
        document = {**hit.get("_source", {}), **columns}
        field = self._settings.id_field
        key = id_text(_within(document, field)) if field else str(hit["_id"])
        if not key:
            raise fields.no_id(self._kind, field)
        return key, fields.document_hash(self._settings, document)

    def _row(self, hit: Mapping[str, Any]) -> Row:
        key, hashed = self._pair(hit)
        source = dict(hit["_source"])
        vector = source.get(self._settings.vector_field)
        raw = fields.floats_to_bytes(vector) if isinstance(vector, list) else None
        if raw is not None and fields.bytes_to_floats(raw) == vector:
            source.pop(self._settings.vector_field)  # else the source says more than a float32 holds, and is kept
        place = {"index": hit["_index"], "name": hit["_id"], "routing": hit.get("_routing")}
        return Row(key, hashed, raw, fields.to_payload(source=source, **place))

    def _creation(self, row: Row) -> dict[str, Any]:
        saved = fields.from_payload(row.payload)
        source = saved["source"]
        if row.vector is not None:
            source.setdefault(self._settings.vector_field, fields.bytes_to_floats(row.vector))
        routing = {"routing": saved["routing"]} if saved["routing"] else {}
        return {
            "_op_type": "create",
            "pipeline": "_none",
            "_index": saved["index"],
            "_id": saved["name"],
            "_source": source,
            **routing,
        }

    def _bulk(self, actions: Any, doing: str) -> list[tuple[str, int]]:
        """Return document name and status of each action."""
        with asking(self._kind, doing):
            results = self._client.bulk(actions)
            return [(item["_id"], item["status"]) for _, result in results for item in result.values()]


def _removal(hit: Mapping[str, Any]) -> dict[str, Any]:
    routing = {"routing": hit["_routing"]} if hit.get("_routing") else {}
    return {
        "_op_type": "delete",
        "_index": hit["_index"],
        "_id": hit["_id"],
        "if_seq_no": hit["_seq_no"],
        "if_primary_term": hit["_primary_term"],
        **routing,
    }


def _mapped(mapping: Mapping[str, Any], name: str) -> Mapping[str, Any] | None:
    """Return the mapping of a field, which may be inside others or a field's field; None if there is none."""
    at: Any = mapping
    for part in name.split("."):
        at = (at.get("properties") or {}).get(part) or (at.get("fields") or {}).get(part)
        if at is None:
            return None
    found: Mapping[str, Any] = at
    return found


def _type(mapping: Mapping[str, Any], name: str) -> str:
    """Return the type of a field; empty if there is none."""
    found = _mapped(mapping, name)
    return "" if found is None else str(found.get("type", "object"))


def _keeps_less(source: Mapping[str, Any]) -> bool:
    return source.get("enabled") is False or bool(source.get("excludes") or source.get("includes"))


def _is_normalised(mapping: Mapping[str, Any], name: str) -> bool:
    """Whether the column holds something else than was written: then the source must be read."""
    return "normalizer" in ((_mapped(mapping, name) if name else None) or {})


def _within(document: Mapping[str, Any], name: str) -> Any:
    """Return a field of a document: by its name, inside others, or, of a field's field, what that one was made of."""
    head, _, rest = name.partition(".")
    if name in document or not rest:
        return document.get(name)
    inner = document.get(head)
    return _within(inner, rest) if isinstance(inner, Mapping) else inner

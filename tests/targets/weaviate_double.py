"""Weaviate as the target sees it: a few REST documents, and the gRPC service of the vendor's own protocol files.

Made by hand from the protocol and the documentation; no server stands behind it. Like the real one it compares texts
exactly only in properties of tokenization ``field``, pages by uuid, and deletes at most ``MAXIMUM`` objects a call.
"""

import struct
import uuid
from collections.abc import Callable, Iterator
from concurrent import futures
from contextlib import contextmanager
from typing import Any

import grpc
from google.protobuf import json_format
from weaviate.proto.v1 import (
    aggregate_pb2,
    base_pb2,
    batch_delete_pb2,
    batch_pb2,
    properties_pb2,
    search_get_pb2,
    tenants_pb2,
    weaviate_pb2_grpc,
)

from tests.targets.http_double import Answer, Query, serving

VERSION = "1.37.1"
MAXIMUM = 10_000
KEY = "weaviate-secret-key"
Object = dict[str, Any]


class Collections(weaviate_pb2_grpc.WeaviateServicer):  # type: ignore[misc]  # generated code has no types
    """Collections of objects ``{"uuid", "properties", "vector"}`` by (collection, tenant), ordered by uuid."""

    def __init__(self) -> None:
        self.schemas: dict[str, dict[str, Any]] = {}
        self.held: dict[tuple[str, str], dict[str, Object]] = {}
        self.active: dict[tuple[str, str], bool] = {}

    def create(self, name: str, properties: dict[str, str], types: dict[str, str], *, tenants: bool) -> None:
        """Make a collection; ``properties`` maps a name to its tokenization, ``types`` to what is no text."""
        self.schemas[name] = _schema(name, properties, types, tenants=tenants)

    def add_tenant(self, name: str, tenant: str, *, active: bool = True) -> dict[str, Object]:
        self.active[name, tenant] = active
        return self.held.setdefault((name, tenant), {})

    def rest(self, method: str, path: str, query: Query, body: bytes) -> Answer:
        del query, body
        if path == "/v1/meta":
            return 200, {
                "version": VERSION,
                "grpcMaxMessageSize": 10485760,
                "hostname": "http://[::]:8080",
                "modules": {},
            }
        _, _, what, name = path.split("/", 3)
        if what == "schema" and name in self.schemas and method == "GET":
            return 200, self.schemas[name]
        name, _, tenant = name.partition("/tenants/")
        if what == "schema" and (name, tenant) in self.active and method == "GET":
            return 200, {"name": tenant, "activityStatus": "HOT" if self.active[name, tenant] else "COLD"}
        return 404, {"error": [{"message": "not found"}]}

    def Search(self, request: Any, context: Any) -> Any:  # noqa: N802 - the service's name
        objects = self._of(request, context)
        chosen = [one for key, one in sorted(objects.items()) if key > request.after]
        if request.HasField("filters"):
            assert not request.after, "the cursor takes no filter"
            chosen = [one for one in chosen if _holds(request.filters, one)]
        asked = request.properties
        everything = asked.return_all_nonref_properties or not request.HasField("properties")
        names = None if everything else asked.non_ref_properties
        results = [_result(one, names, vector=request.metadata.vector) for one in chosen[: request.limit or 100]]
        return search_get_pb2.SearchReply(took=0.001, results=results)

    def Aggregate(self, request: Any, context: Any) -> Any:  # noqa: N802
        objects = self._of(request, context).values()
        count = sum(not request.HasField("filters") or _holds(request.filters, one) for one in objects)
        single = aggregate_pb2.AggregateReply.Single(objects_count=count)
        return aggregate_pb2.AggregateReply(took=0.001, single_result=single)

    def BatchDelete(self, request: Any, context: Any) -> Any:  # noqa: N802
        objects = self._of(request, context)
        matches = [key for key, one in sorted(objects.items()) if _holds(request.filters, one)]
        for key in matches[:MAXIMUM]:
            del objects[key]
        return batch_delete_pb2.BatchDeleteReply(
            took=0.001, failed=0, matches=len(matches), successful=min(len(matches), MAXIMUM)
        )

    def BatchObjects(self, request: Any, context: Any) -> Any:  # noqa: N802
        del context
        for one in request.objects:
            properties = json_format.MessageToDict(one.properties.non_ref_properties)
            properties |= {array.prop_name: list(array.values) for array in one.properties.text_array_properties}
            whole = self._whole_numbers(one.collection) & properties.keys()
            properties |= {name: int(properties[name]) for name in whole}
            raw = one.vector_bytes or (one.vectors[0].vector_bytes if one.vectors else b"")
            self.held[one.collection, one.tenant][one.uuid] = {
                "uuid": one.uuid,
                "properties": properties,
                "vector": raw,
            }
        return batch_pb2.BatchObjectsReply(took=0.001)

    def TenantsGet(self, request: Any, context: Any) -> Any:  # noqa: N802
        del context
        wanted = set(request.names.values)
        status = {True: "TENANT_ACTIVITY_STATUS_HOT", False: "TENANT_ACTIVITY_STATUS_COLD"}
        found = [
            tenants_pb2.Tenant(name=tenant, activity_status=status[active])
            for (name, tenant), active in self.active.items()
            if name == request.collection and (not wanted or tenant in wanted)
        ]
        return tenants_pb2.TenantsGetReply(took=0.001, tenants=found)

    def _whole_numbers(self, collection: str) -> set[str]:
        """Properties that are written as floating point numbers, like every number, and kept as whole ones."""
        return {one["name"] for one in self.schemas[collection]["properties"] if one["dataType"] == ["int"]}

    def _of(self, request: Any, context: Any) -> dict[str, Object]:
        if request.collection not in self.schemas:
            context.abort(grpc.StatusCode.UNKNOWN, "could not find class")
        return self.held.setdefault((request.collection, request.tenant), {})


@contextmanager
def weaviate(collections: Collections, key: str = "") -> Iterator[tuple[str, str]]:
    """Serve ``collections`` and yield the addresses of REST and gRPC; with ``key`` only to those who show it."""
    guards = [_Guard(key)] if key else []
    server = grpc.server(futures.ThreadPoolExecutor(4), interceptors=guards)
    weaviate_pb2_grpc.add_WeaviateServicer_to_server(collections, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        with serving(collections.rest) as url:
            yield url, f"http://127.0.0.1:{port}"
    finally:
        server.stop(None).wait()


class _Guard(grpc.ServerInterceptor):  # type: ignore[misc]
    def __init__(self, key: str) -> None:
        self._expected = f"Bearer {key}"

    def intercept_service(self, go_on: Callable[[Any], Any], details: Any) -> Any:
        if dict(details.invocation_metadata).get("authorization") == self._expected:
            return go_on(details)

        def refuse(_: Any, context: Any) -> None:
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "anonymous access not enabled")

        return grpc.unary_unary_rpc_method_handler(refuse)


def _result(one: Object, names: Any, *, vector: bool) -> Any:
    properties = {name: value for name, value in one["properties"].items() if names is None or name in names}
    metadata = search_get_pb2.MetadataResult(
        id=one["uuid"], id_as_bytes=uuid.UUID(one["uuid"]).bytes, vector_bytes=one["vector"] if vector else b""
    )
    held = properties_pb2.Properties(fields={name: _value(value) for name, value in properties.items()})
    return search_get_pb2.SearchResult(
        properties=search_get_pb2.PropertiesResult(non_ref_props=held), metadata=metadata
    )


def _value(value: Any) -> Any:
    if isinstance(value, str):
        return properties_pb2.Value(text_value=value)
    if isinstance(value, list):
        texts = properties_pb2.TextValues(values=value)
        return properties_pb2.Value(list_value=properties_pb2.ListValue(text_values=texts))
    if value is None:
        return properties_pb2.Value(null_value=0)
    if isinstance(value, int):
        return properties_pb2.Value(int_value=value)
    return properties_pb2.Value(number_value=value)


def _holds(condition: Any, one: Object) -> bool:
    operators = base_pb2.Filters
    if condition.operator == operators.OPERATOR_AND:
        return all(_holds(part, one) for part in condition.filters)
    if condition.operator == operators.OPERATOR_OR:
        return any(_holds(part, one) for part in condition.filters)
    name = condition.target.property
    seen = one["uuid"] if name in ("_id", "id") else one["properties"].get(name)
    if condition.operator == operators.OPERATOR_EQUAL:
        return bool(seen == condition.value_text)
    assert condition.operator == operators.OPERATOR_CONTAINS_ANY
    kind = condition.WhichOneof("test_value")
    assert kind == ("value_int_array" if isinstance(seen, int) else "value_text_array"), f"{kind} for {type(seen)}"
    return seen in set(getattr(condition, kind).values)


def floats(raw: bytes) -> list[float]:
    return list(struct.unpack(f"<{len(raw) // 4}f", raw))


def _schema(name: str, properties: dict[str, str], types: dict[str, str], *, tenants: bool) -> dict[str, Any]:
    return {
        "class": name,
        "invertedIndexConfig": {
            "bm25": {"b": 0.75, "k1": 1.2},
            "cleanupIntervalSeconds": 60,
            "stopwords": {"additions": None, "preset": "en", "removals": None},
        },
        "multiTenancyConfig": {"enabled": tenants, "autoTenantCreation": False, "autoTenantActivation": False},
        "properties": [
            {
                "dataType": [types.get(one, "text")],
                "name": one,
                **({} if one in types else {"tokenization": tokenization}),
                "indexFilterable": True,
                "indexSearchable": one not in types,
            }
            for one, tokenization in properties.items()
        ],
        "replicationConfig": {"factor": 1, "asyncEnabled": False, "deletionStrategy": "NoAutomatedResolution"},
        "shardingConfig": {
            "virtualPerPhysical": 128,
            "desiredCount": 1,
            "actualCount": 1,
            "desiredVirtualCount": 128,
            "actualVirtualCount": 128,
            "key": "_id",
            "strategy": "hash",
            "function": "murmur3",
        },
        "vectorIndexType": "flat",
        "vectorIndexConfig": {"distance": "cosine", "vectorCacheMaxObjects": 1000000},
        "vectorizer": "none",
        "moduleConfig": {},
    }

"""Qdrant's REST interface, as far as the target uses it, in front of Qdrant's own engine (``qdrant-edge-py``)."""

import json
import uuid
from pathlib import Path
from typing import Any

import qdrant_edge as edge

from tests.targets.http_double import Answer, Query

VERSION = "1.19.0"


class EngineServer:
    """Collections of one shard each. Filters, order and normalisation are the engine's."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._shards: dict[str, Any] = {}

    def create(self, name: str, size: int, distance: Any) -> None:
        vectors = edge.EdgeVectorParams(size=size, distance=distance)
        self._shards[name] = edge.EdgeShard.create(
            str(self._folder / uuid.uuid4().hex), edge.EdgeConfig(vectors=vectors)
        )

    def drop(self, name: str) -> None:
        self._shards.pop(name).close()

    def route(self, method: str, path: str, query: Query, body: bytes) -> Answer:
        del query
        if path == "/":
            return 200, {"title": "qdrant - vector search engine", "version": VERSION}
        _, _, name, *rest = path.split("/", 3)
        shard = self._shards.get(name)
        what = rest[0] if rest else ""
        if what == "exists":
            return 200, _result({"exists": shard is not None})
        if shard is None:
            return 404, {"status": {"error": f"Not found: Collection `{name}` doesn't exist!"}, "time": 0.0}
        return 200, _result(_answer(shard, method, what, json.loads(body or b"{}")))


def _result(value: Any) -> dict[str, Any]:
    return {"result": value, "status": "ok", "time": 0.0}


def _answer(shard: Any, method: str, what: str, body: dict[str, Any]) -> Any:
    if what == "points/scroll":
        points, after = shard.scroll(
            edge.ScrollRequest(
                offset=_id(body.get("offset")),
                limit=body.get("limit", 10),
                filter=_filter(shard, body.get("filter")),
                with_payload=body.get("with_payload", True),
                with_vector=body.get("with_vector", False),
            )
        )
        return {"points": [_point(point) for point in points], "next_page_offset": _plain(after)}
    if what == "points/count":
        return {"count": shard.count(edge.CountRequest(exact=body["exact"], filter=_filter(shard, body.get("filter"))))}
    if what == "facet":
        raise NotImplementedError("facets need an index that this server does not have")
    if what == "points/delete":
        shard.update(edge.UpdateOperation.delete_points_by_filter(_filter(shard, body["filter"])))
        return {"operation_id": 1, "status": "completed"}
    if what == "points" and method == "PUT":
        assert body.get("update_mode") in (None, "insert_only")
        points = [edge.Point(_id(one["id"]), one["vector"], one["payload"]) for one in body["points"]]
        shard.update(edge.UpdateOperation.upsert_points(points))
        return {"operation_id": 1, "status": "completed"}
    raise NotImplementedError(f"{method} {what}")


def _point(point: Any) -> dict[str, Any]:
    return {"id": _plain(point.id), "payload": point.payload, "vector": point.vector}


def _plain(name: Any) -> Any:
    return str(name) if isinstance(name, uuid.UUID) else name


def _id(name: Any) -> Any:
    return uuid.UUID(name) if isinstance(name, str) else name


def _filter(shard: Any, raw: dict[str, Any] | None) -> Any:
    if raw is None:
        return None
    parts: dict[str, Any] = {
        key: [_condition(shard, one) for one in raw[key]] for key in ("must", "should", "must_not") if raw.get(key)
    }
    return edge.Filter(**parts)


def _condition(shard: Any, raw: dict[str, Any]) -> Any:
    if "has_id" in raw:
        return edge.HasIdCondition({_id(name) for name in raw["has_id"]})
    if "is_empty" in raw:
        return edge.IsEmptyCondition(raw["is_empty"]["key"])
    if "key" in raw:
        if "range" in raw:
            bounds = {name: raw["range"][name] for name in ("gte", "lte")}
            return edge.FieldCondition(raw["key"], range=edge.RangeFloat(**bounds))
        match = raw["match"]
        if isinstance(match.get("value"), bool):
            return edge.HasIdCondition(_with_bool(shard, raw["key"], match["value"]))
        found = edge.MatchAny(match["any"]) if "any" in match else edge.MatchValue(match["value"])
        return edge.FieldCondition(raw["key"], match=found)
    return _filter(shard, raw)


def _with_bool(shard: Any, key: str, value: bool) -> set[Any]:
    """Return the points with this truth value: the engine's binding takes one for a number."""
    everything = edge.ScrollRequest(limit=10_000, with_payload=True, with_vector=False)
    return {point.id for point in shard.scroll(everything)[0] if point.payload.get(key) is value}

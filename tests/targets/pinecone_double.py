"""The data plane of Pinecone as its REST reference documents it: listing of ids, fetch, upsert, delete, statistics.

Made by hand from the documentation; no server stands behind it. ``lag`` is how many reads a delete stays invisible for.
"""

import json
from typing import Any

from tests.targets.http_double import Answer, Query

KEY = "pc-secret-key"


class Index:
    """Namespaces of vectors in memory."""

    def __init__(self) -> None:
        self.namespaces: dict[str, dict[str, dict[str, Any]]] = {}
        self.lag = 0
        self._dying: dict[tuple[str, str], int] = {}

    def route(self, method: str, path: str, query: Query, body: bytes) -> Answer:
        answers = {
            ("GET", "/vectors/list"): self._list,
            ("GET", "/vectors/fetch"): self._fetch,
            ("POST", "/vectors/delete"): self._delete,
            ("POST", "/vectors/upsert"): self._upsert,
            ("POST", "/describe_index_stats"): self._stats,
        }
        return 200, answers[method, path](query, json.loads(body or b"{}"))

    def _list(self, query: Query, _: Any) -> dict[str, Any]:
        name, after, limit = _one(query, "namespace"), _one(query, "paginationToken"), int(_one(query, "limit") or 100)
        assert limit <= 100
        held = self.namespaces.get(name, {})
        ids = [key for key in sorted(held, key=str.encode) if key > after]
        page = ids[:limit]
        more = {"pagination": {"next": page[-1]}} if len(ids) > limit else {}
        return {"vectors": [{"id": key} for key in page], **more, "namespace": name, "usage": {"readUnits": 1}}

    def _fetch(self, query: Query, _: Any) -> dict[str, Any]:
        name = _one(query, "namespace")
        held = self.namespaces.get(name, {})
        found = {key: held[key] for key in query.get("ids", []) if key in held}
        for key in query.get("ids", []):
            self._age(name, key)
        return {"vectors": found, "namespace": name, "usage": {"readUnits": 1}}

    def _age(self, name: str, key: str) -> None:
        if (name, key) in self._dying:
            self._dying[name, key] -= 1
            if self._dying[name, key] <= 0:
                del self._dying[name, key]
                self.namespaces.get(name, {}).pop(key, None)

    def _delete(self, _: Query, body: dict[str, Any]) -> dict[str, Any]:
        assert set(body) == {"ids", "namespace"}
        assert len(body["ids"]) <= 1000
        for key in body["ids"]:
            if self.lag:
                self._dying[body["namespace"], key] = self.lag
            else:
                self.namespaces.get(body["namespace"], {}).pop(key, None)
        return {}

    def _upsert(self, _: Query, body: dict[str, Any]) -> dict[str, Any]:
        held = self.namespaces.setdefault(body.get("namespace", ""), {})
        held.update({one["id"]: one for one in body["vectors"]})
        return {"upsertedCount": len(body["vectors"])}

    def _stats(self, *_: Any) -> dict[str, Any]:
        counts = {name: {"vectorCount": len(held)} for name, held in self.namespaces.items() if held}
        total = sum(len(held) for held in self.namespaces.values())
        return {"namespaces": counts, "dimension": 8, "indexFullness": 0, "totalVectorCount": total}


def _one(query: Query, name: str) -> str:
    return query.get(name, [""])[0]

"""What Elasticsearch says differently from OpenSearch, in front of an OpenSearch stand-in.

Elasticsearch cannot be run here: its client is proven against this translation of headers, media types and the point in
time. Search, bulk, sequence numbers and mappings are answered by the stand-in.
"""

import http.client
import json
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from tests.targets.http_double import Answer, Query

HEADERS = {"X-Elastic-Product": "Elasticsearch", "Content-Type": "application/vnd.elasticsearch+json;compatible-with=9"}
VERSION = "9.1.4"


class Translation:
    """Hands requests on to the server at ``url``."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname, parts.port

    def route(self, method: str, path: str, query: Query, body: bytes) -> Answer:
        if path == "/":
            return 200, {"version": {"number": VERSION, "build_flavor": "default"}, "tagline": "You Know, for Search"}
        if path.endswith("/_pit") and method == "POST":
            status, opened = self._ask("POST", path.removesuffix("_pit") + "_search/point_in_time", query, b"")
            return status, {"id": opened["pit_id"]} if status == 200 else opened
        if path == "/_pit":
            return self._ask(
                "DELETE", "/_search/point_in_time", {}, json.dumps({"pit_id": [json.loads(body)["id"]]}).encode()
            )
        return self._ask(
            method, path, {name: values for name, values in query.items() if name != "ignore_unavailable"}, body
        )

    def _ask(self, method: str, path: str, query: Query, body: bytes) -> tuple[int, Any]:
        connection = http.client.HTTPConnection(str(self._host), self._port, timeout=30)
        try:
            target = quote(path) + ("?" + urlencode(query, doseq=True) if query else "")
            kind = "application/x-ndjson" if path.endswith("_bulk") else "application/json"
            connection.request(method, target, body, {"Content-Type": kind})
            reply = connection.getresponse()
            raw = reply.read()
            return reply.status, json.loads(raw) if raw else {}
        finally:
            connection.close()

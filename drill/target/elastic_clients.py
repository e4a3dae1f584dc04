"""The two official clients behind one small face: they differ in how a point in time is opened and who may connect."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar, Protocol

from drill.target.connection import Access, Endpoint
from drill.target.settings import ElasticsearchKeys, OpensearchKeys

BULK = 500
WRITE_BLOCKS = tuple(f"index.blocks.{name}" for name in ("read_only_allow_delete", "read_only", "write"))
"""The first is set by the server itself where its disk is nearly full."""
EXCLUDES_VECTORS = (9, 2)
"""From this version on Elasticsearch leaves vectors out of a document's source unless it is told not to."""


class SearchClient(Protocol):
    """What the target needs of a client."""

    KEEP_ALIVE: ClassVar[str]

    def mappings(self, index: str) -> list[Mapping[str, Any]]:
        """Return the mapping of each index behind a name; none if there is none."""

    def blocks(self, index: str) -> set[str]:
        """Return the settings of the indices behind a name by which writes are refused."""

    def exists(self, index: str) -> bool:
        """Whether there is such an index."""

    def open_point(self, index: str) -> str:
        """Open a point in time."""

    def close_point(self, point: str) -> None:
        """Close it."""

    def order(self, id_field: str) -> list[dict[str, str]]:
        """Return the total order in which a point in time is paged."""

    def everything(self) -> object:
        """Return the ``_source`` that shows a document whole."""

    def search(self, index: str, body: dict[str, Any]) -> Mapping[str, Any]:
        """Search an index, or the point in time in the body."""

    def count(self, index: str, body: dict[str, Any]) -> Mapping[str, Any]:
        """Count what a query matches."""

    def refresh(self, index: str) -> None:
        """Make what was written findable."""

    def bulk(self, actions: Iterable[dict[str, Any]]) -> Iterator[tuple[bool, dict[str, Any]]]:
        """Carry out ``actions`` and say of each what became of it."""

    def versions(self) -> tuple[str, str]:
        """Return server and client with their versions."""

    def cluster(self) -> str:
        """Return the UUID of the cluster; empty if it does not tell."""

    def close(self) -> None:
        """Close the connections."""


class ElasticsearchClient:
    """The official client; it refuses servers that do not say that they are Elasticsearch."""

    KEEP_ALIVE: ClassVar[str] = "5m"

    def __init__(
        self, settings: ElasticsearchKeys, access: Access, endpoint: Endpoint, credentials: Mapping[str, Any]
    ) -> None:
        from elasticsearch import Elasticsearch

        self._client: Any = Elasticsearch(
            hosts=[endpoint.url],
            request_timeout=settings.statement_timeout_s,
            max_retries=1,
            retry_on_timeout=False,
            **_tls(access, endpoint),
            **credentials,
        )
        number = self._client.info()["version"]["number"]
        self._version = tuple(int(part) for part in number.split(".")[:2] if part.isdigit())

    def mappings(self, index: str) -> list[Mapping[str, Any]]:
        """Return the mapping of each index behind a name."""
        found = self._client.indices.get_mapping(index=index, ignore_unavailable=True)
        return [one["mappings"] for one in found.values()]

    def blocks(self, index: str) -> set[str]:
        """Return the settings of the indices behind a name by which writes are refused."""
        ask = self._client.indices.get_settings
        return blocking(ask(index=index, name="index.blocks.*", flat_settings=True, ignore_unavailable=True))

    def exists(self, index: str) -> bool:
        """Whether there is such an index."""
        return bool(self._client.indices.exists(index=index))

    def open_point(self, index: str) -> str:
        """Open a point in time."""
        return str(self._client.open_point_in_time(index=index, keep_alive=self.KEEP_ALIVE)["id"])

    def close_point(self, point: str) -> None:
        """Close it."""
        self._client.close_point_in_time(id=point)

    def order(self, id_field: str) -> list[dict[str, str]]:
        """Return the cheapest total order, whatever the fields."""
        del id_field
        return [{"_shard_doc": "asc"}]

    def everything(self) -> object:
        """Return the whole source, with vectors where they would be left out."""
        return {"exclude_vectors": False} if self._version >= EXCLUDES_VECTORS else True

    def search(self, index: str, body: dict[str, Any]) -> Mapping[str, Any]:
        """Search an index, or the point in time in the body."""
        found: Mapping[str, Any] = self._client.search(body=body, **({"index": index} if index else {})).body
        return found

    def count(self, index: str, body: dict[str, Any]) -> Mapping[str, Any]:
        """Count what a query matches."""
        found: Mapping[str, Any] = self._client.count(index=index, body=body).body
        return found

    def refresh(self, index: str) -> None:
        """Refresh an index."""
        self._client.indices.refresh(index=index)

    def bulk(self, actions: Iterable[dict[str, Any]]) -> Iterator[tuple[bool, dict[str, Any]]]:
        """Carry out ``actions`` in order."""
        from elasticsearch import helpers

        yield from helpers.streaming_bulk(self._client, actions, chunk_size=BULK, raise_on_error=False)

    def versions(self) -> tuple[str, str]:
        """Return server and client with their versions."""
        from elasticsearch import __versionstr__

        number = self._client.info()["version"]["number"]
        return f"Elasticsearch {number}", f"elasticsearch {__versionstr__}"

    def cluster(self) -> str:
        """Return the UUID of the cluster; empty if it does not tell."""
        return _cluster(self._client.info())

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


class OpensearchClient:
    """The official client of OpenSearch."""

    KEEP_ALIVE: ClassVar[str] = "5m"

    def __init__(
        self, settings: OpensearchKeys, access: Access, endpoint: Endpoint, credentials: Mapping[str, Any]
    ) -> None:
        from opensearchpy import OpenSearch

        self._client: Any = OpenSearch(
            hosts=[{"host": endpoint.host, "port": endpoint.port, "url_prefix": endpoint.path}],
            use_ssl=endpoint.secure,
            timeout=settings.statement_timeout_s,
            max_retries=1,
            retry_on_timeout=False,
            http_auth=credentials.get("basic_auth"),
            **_tls(access, endpoint),
        )

    def mappings(self, index: str) -> list[Mapping[str, Any]]:
        """Return the mapping of each index behind a name."""
        if not self.exists(index):
            return []
        return [one["mappings"] for one in self._client.indices.get_mapping(index=index).values()]

    def blocks(self, index: str) -> set[str]:
        """Return the settings of the indices behind a name by which writes are refused."""
        ask = self._client.indices.get_settings
        return blocking(ask(index=index, name="index.blocks.*", flat_settings=True, ignore_unavailable=True))

    def exists(self, index: str) -> bool:
        """Whether there is such an index."""
        return bool(self._client.indices.exists(index=index))

    def open_point(self, index: str) -> str:
        """Open a point in time."""
        return str(self._client.create_pit(index=index, params={"keep_alive": self.KEEP_ALIVE})["pit_id"])

    def close_point(self, point: str) -> None:
        """Close it."""
        self._client.delete_pit(body={"pit_id": [point]})

    def order(self, id_field: str) -> list[dict[str, str]]:
        """Return the order of the ids: ``_shard_doc`` is not known to every version."""
        return [{id_field or "_id": "asc"}]

    def everything(self) -> object:
        """Return the whole source."""
        return True

    def search(self, index: str, body: dict[str, Any]) -> Mapping[str, Any]:
        """Search an index, or the point in time in the body."""
        found: Mapping[str, Any] = self._client.search(body=body, **({"index": index} if index else {}))
        return found

    def count(self, index: str, body: dict[str, Any]) -> Mapping[str, Any]:
        """Count what a query matches."""
        found: Mapping[str, Any] = self._client.count(index=index, body=body)
        return found

    def refresh(self, index: str) -> None:
        """Refresh an index."""
        self._client.indices.refresh(index=index)

    def bulk(self, actions: Iterable[dict[str, Any]]) -> Iterator[tuple[bool, dict[str, Any]]]:
        """Carry out ``actions`` in order."""
        from opensearchpy import helpers

        yield from helpers.streaming_bulk(self._client, actions, chunk_size=BULK, raise_on_error=False)

    def versions(self) -> tuple[str, str]:
        """Return server and client with their versions."""
        from opensearchpy import __versionstr__

        number = self._client.info()["version"]["number"]
        return f"OpenSearch {number}", f"opensearch-py {__versionstr__}"

    def cluster(self) -> str:
        """Return the UUID of the cluster; empty if it does not tell."""
        return _cluster(self._client.info())

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


def blocking(found: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> set[str]:
    """Return the settings, of all that were ``found``, that are on and keep writes away."""
    blocks = (item for one in found.values() for item in one.get("settings", {}).items())
    return {name for name, value in blocks if name in WRITE_BLOCKS and str(value).lower() == "true"}


def _cluster(info: Mapping[str, Any]) -> str:
    found = info.get("cluster_uuid")  # ``_na_``: the cluster has not formed yet
    return found if isinstance(found, str) and found != "_na_" else ""


def login(settings: ElasticsearchKeys | OpensearchKeys, access: Access, endpoint: Endpoint) -> dict[str, Any]:
    """Return what a client is given to be let in. Raises CannotMeasure if a variable is not set."""
    if isinstance(settings, ElasticsearchKeys) and (key := access.secret("api_key_env").reveal()):
        return {"api_key": key}
    name = access.secret("username_env").reveal() or endpoint.username
    password = access.secret("password_env").reveal() or endpoint.password.reveal()
    return {"basic_auth": (name or "elastic", password)} if password else {}


def _tls(access: Access, endpoint: Endpoint) -> dict[str, Any]:
    return {"ssl_context": access.tls()} if endpoint.secure else {}

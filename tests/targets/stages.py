"""A place to try a kind of target on; documents are put there by the vendor's own means, not by the code under test."""

import struct
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from typing import Any, ClassVar, LiteralString

import numpy as np
import psycopg
from psycopg.sql import SQL, Identifier

from drill.config import Target as Keys
from drill.content_hash import content_hash
from drill.target import Target, open_target, settings

DIMENSION = 8
TENANTS = ("a", "b")
Hashed = Callable[[str], str | None]


def vectors(count: int, seed: int = 1) -> list[list[float]]:
    """Return unit vectors whose components are float32."""
    found = np.random.default_rng(seed).standard_normal((count, DIMENSION)).astype("f4")
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    return [[float(value) for value in row] for row in found]


class Stage(ABC):
    """One kind on one server. ``write`` upserts; ``reset`` empties and is called before each test."""

    kind: ClassVar[str]
    proof: ClassVar[str]
    """What the tests of this stage prove: real server, the vendor's engine, stand-in, recorded answers."""
    max_id_bytes: ClassVar[int] = 8192
    ascii_ids: ClassVar[bool] = False
    exact: ClassVar[bool] = True
    """Whether vectors come back to the last bit after an undo."""
    ids_per_tenant: ClassVar[bool] = True
    """Whether two tenants may have the same id."""
    as_id: Callable[[str], Any] = str
    """What an id is kept as."""
    is_copy: bool = False
    """Whether its connection is another stage's."""

    def with_numbers(self) -> "Stage":
        """Return a place on the same server whose ids are whole numbers, where this kind can keep them so."""
        return self

    @abstractmethod
    def keys(self, **changes: Any) -> Keys:
        """Return the settings for this place."""

    @abstractmethod
    def reset(self) -> None:
        """Empty it."""

    @abstractmethod
    def write(self, held: Mapping[str, str], tenant: str = "a", hashed: Hashed = content_hash) -> None:
        """Upsert documents."""

    def env(self) -> dict[str, str | None]:
        return {}

    def open(self, *tenants: str, **changes: Any) -> Target:
        return open_target(self.keys(**changes), self.env(), tenants or TENANTS)

    @abstractmethod
    def close(self) -> None:
        """Let go of what was opened."""


class PgvectorStage(Stage):
    kind = "pgvector"
    proof = "real server"

    def __init__(self, dsn: str, id_type: LiteralString = "text") -> None:
        self._dsn = dsn
        self._table = f"t_{uuid.uuid4().hex[:10]}"
        self._connection = psycopg.connect(dsn, autocommit=True)
        self._do(
            "CREATE TABLE {} (tenant text, id " + id_type + ", text text, meta jsonb, content_hash text, "
            "embedding vector(8), PRIMARY KEY (tenant, id))"
        )

    def with_numbers(self) -> Stage:
        return PgvectorStage(self._dsn, "bigint")

    def keys(self, **changes: Any) -> Keys:
        changes = {name.replace("_field", "_column"): value for name, value in changes.items()}
        known = {name: value for name, value in changes.items() if name != "url"}
        return settings.PgvectorKeys(**{"kind": "pgvector", "dsn_env": "DSN", "table": self._table, **known})

    def env(self) -> dict[str, str | None]:
        return {"DSN": self._dsn}

    def reset(self) -> None:
        self._do("TRUNCATE {}")

    def write(self, held: Mapping[str, str], tenant: str = "a", hashed: Hashed = content_hash) -> None:
        for (key, text), vector in zip(held.items(), vectors(len(held)), strict=True):
            self._do(
                "INSERT INTO {} VALUES (%s, %s, %s, '{{\"n\": 1.5}}', %s, %s) ON CONFLICT (tenant, id) DO UPDATE SET "
                "text = excluded.text, content_hash = excluded.content_hash",
                tenant, key, text, hashed(text), str(vector),
            )  # fmt: skip

    def close(self) -> None:
        self._do("DROP TABLE {}")
        self._connection.close()

    def _do(self, statement: LiteralString, *values: object) -> None:
        self._connection.execute(SQL(statement).format(Identifier(self._table)), values or None)


class QdrantStage(Stage):
    """Qdrant's engine behind a REST double."""

    kind = "qdrant"
    proof = "the vendor's engine, REST by a double"
    name = "docs"

    def __init__(self, url: str, client: Any) -> None:
        self.url = url
        self.client = client

    def with_numbers(self) -> Stage:
        other = copy(self)
        other.as_id, other.is_copy = int, True
        return other

    def keys(self, **changes: Any) -> Keys:
        return settings.QdrantKeys(**{"kind": "qdrant", "url": self.url, "collection": self.name, **changes})

    def reset(self) -> None:
        from qdrant_client import models

        everything = models.FilterSelector(filter=models.Filter(must=[]))
        self.client.delete(self.name, points_selector=everything)

    def write(self, held: Mapping[str, str], tenant: str = "a", hashed: Hashed = content_hash) -> None:
        from qdrant_client import models

        points = []
        for (key, text), vector in zip(held.items(), vectors(len(held)), strict=True):
            payload = {
                "doc_id": self.as_id(key),
                "tenant": tenant,
                "text": text,
                "meta": {"n": 1.5},
                "content_hash": hashed(text),
            }
            payload = {name: value for name, value in payload.items() if value is not None}
            name = str(uuid.uuid5(uuid.NAMESPACE_URL, key if tenant == "a" else f"{tenant}/{key}"))
            points.append(models.PointStruct(id=name, vector=vector, payload=payload))
        if points:
            self.client.upsert(self.name, points=points)

    def upsert(self, payloads: Sequence[Mapping[str, Any]]) -> None:
        """Write points as they are."""
        from qdrant_client import models

        made = zip(payloads, vectors(len(payloads)), strict=True)
        points = [
            models.PointStruct(id=number, vector=vector, payload=one) for number, (one, vector) in enumerate(made)
        ]
        self.client.upsert(self.name, points=points)

    def close(self) -> None:
        self.client.close()


class QdrantLocalStage(QdrantStage):
    """The vendor's Python double of its server, without a network."""

    proof = "the vendor's local mode"
    exact = False  # local mode normalises again what is normalised already

    def __init__(self) -> None:
        from qdrant_client import QdrantClient, models

        client = QdrantClient(":memory:")
        client.create_collection(
            self.name, vectors_config=models.VectorParams(size=DIMENSION, distance=models.Distance.COSINE)
        )
        super().__init__("", client)

    def open(self, *tenants: str, **changes: Any) -> Target:
        from drill.target.qdrant import QdrantTarget

        keys = self.keys(**changes)
        assert isinstance(keys, settings.QdrantKeys)
        return QdrantTarget(keys, _Kept(self.client), tenants or TENANTS)


class _Kept:
    """A client that is not closed with the target: a second would be another database."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def close(self) -> None:
        """Stay open."""


class ChromaStage(Stage):
    kind = "chroma"
    proof = "real server"

    def __init__(self, url: str) -> None:
        import chromadb

        self.url = url
        host, _, port = url.removeprefix("http://").partition(":")
        self._client = chromadb.HttpClient(host, int(port), settings=chromadb.Settings(_env_file=None))
        self._prefix = f"c{uuid.uuid4().hex[:8]}"

    def keys(self, **changes: Any) -> Keys:
        if changes.get("hash_field") == "":
            changes["text_field"] = ""
        defaults = {"kind": "chroma", "url": self.url, "collection": self._prefix + "_{tenant}"}
        return settings.ChromaKeys(**{**defaults, **changes})

    def reset(self) -> None:
        for one in self._client.list_collections():
            if one.name.startswith(self._prefix):
                self._client.delete_collection(one.name)
        for tenant in TENANTS:
            self._collection(tenant)

    def write(self, held: Mapping[str, str], tenant: str = "a", hashed: Hashed = content_hash) -> None:
        stated = [{"n": 1.5, **({"content_hash": hashed(text)} if hashed(text) else {})} for text in held.values()]
        if held:
            self._collection(tenant).upsert(
                ids=list(held), embeddings=vectors(len(held)), documents=list(held.values()), metadatas=stated
            )

    def close(self) -> None:
        self._client._server._session.close()
        self._client.close()

    def _collection(self, tenant: str) -> Any:
        return self._client.get_or_create_collection(f"{self._prefix}_{tenant}", embedding_function=None)


class MilvusStage(Stage):
    kind = "milvus"
    proof = "real server (2.3.5)"
    ids_per_tenant = False  # the primary key is one for all

    def __init__(self, url: str, as_id: Callable[[str], Any] = str) -> None:
        from pymilvus import DataType, MilvusClient

        self.url = url
        self._name = f"c{uuid.uuid4().hex[:8]}"
        self._client = MilvusClient(uri=url, timeout=30, dedicated=True)
        schema = self._client.create_schema(auto_id=False, enable_dynamic_field=True)
        self.as_id = as_id
        if as_id is str:
            schema.add_field("id", DataType.VARCHAR, is_primary=True, max_length=8192)
        else:
            schema.add_field("id", DataType.INT64, is_primary=True)
        for name in ("tenant", "content_hash", "text"):
            schema.add_field(name, DataType.VARCHAR, max_length=9000)
        schema.add_field("embedding", DataType.FLOAT_VECTOR, dim=DIMENSION)
        index = self._client.prepare_index_params()
        index.add_index("embedding", index_type="FLAT", metric_type="COSINE")
        self._client.create_collection(self._name, schema=schema, index_params=index)

    def with_numbers(self) -> Stage:
        return type(self)(self.url, int)

    def keys(self, **changes: Any) -> Keys:
        return settings.MilvusKeys(**{"kind": "milvus", "url": self.url, "collection": self._name, **changes})

    def reset(self) -> None:
        self._client.delete(self._name, filter='id != ""' if self.as_id is str else "id != 12321")

    def write(self, held: Mapping[str, str], tenant: str = "a", hashed: Hashed = content_hash) -> None:
        rows = [
            {
                "id": self.as_id(key), "tenant": tenant, "text": text, "content_hash": hashed(text) or "",
                "embedding": vector, "meta": {"n": 1.5},
            }
            for (key, text), vector in zip(held.items(), vectors(len(held)), strict=True)
        ]  # fmt: skip
        if rows:
            self._client.upsert(self._name, data=rows)

    def close(self) -> None:
        self._client.drop_collection(self._name)
        self._client.close()


class MilvusLiteStage(MilvusStage):
    proof = "the vendor's functional double"


class OpensearchStage(Stage):
    kind = "opensearch"
    proof = "a stand-in (osmem)"

    def __init__(self, server: str, url: str = "") -> None:
        from opensearchpy import OpenSearch

        self.url = url or server
        self._name = f"i{uuid.uuid4().hex[:8]}"
        self._client = OpenSearch(hosts=[server])

    def keys(self, **changes: Any) -> Keys:
        return settings.OpensearchKeys(**self._common(changes))

    def with_numbers(self) -> Stage:
        other = copy(self)
        other.as_id, other.is_copy, other._name = int, True, f"{self._name}n"
        return other

    def _common(self, changes: dict[str, Any]) -> dict[str, Any]:
        return {"kind": self.kind, "url": self.url, "index": self._name, "id_field": "uid", **changes}

    def reset(self) -> None:
        self._client.indices.delete(index=self._name, params={"ignore_unavailable": "true"}, ignore=[404])
        fields = {name: {"type": "keyword"} for name in ("tenant", "uid", "content_hash")}
        fields["uid"]["type"] = "keyword" if self.as_id is str else "long"
        vector = {"type": "knn_vector", "dimension": DIMENSION}
        mapping = {"properties": {**fields, "text": {"type": "text"}, "embedding": vector}}
        self._client.indices.create(index=self._name, body={"mappings": mapping})

    def write(self, held: Mapping[str, str], tenant: str = "a", hashed: Hashed = content_hash) -> None:
        lines: list[Any] = []
        for (key, text), vector in zip(held.items(), vectors(len(held)), strict=True):
            name = uuid.uuid5(uuid.NAMESPACE_URL, f"{tenant}/{key}").hex
            source = {"tenant": tenant, "uid": self.as_id(key), "text": text, "embedding": vector, "meta": {"n": 1.5}}
            stated = {"content_hash": hashed(text)} if hashed(text) else {}
            lines += [{"index": {"_index": self._name, "_id": name}}, {**source, **stated}]
        if lines:
            self._client.bulk(body=lines, params={"refresh": "true"})

    def close(self) -> None:
        self._client.close()


class ElasticsearchStage(OpensearchStage):
    kind = "elasticsearch"
    proof = "recorded answers in front of a stand-in"

    def keys(self, **changes: Any) -> Keys:
        return settings.ElasticsearchKeys(**self._common(changes))


class PineconeStage(Stage):
    kind = "pinecone"
    proof = "recorded answers"
    max_id_bytes = 512
    ascii_ids = True

    def __init__(self, url: str, index: Any) -> None:
        self.url = url
        self.index = index

    def keys(self, **changes: Any) -> Keys:
        defaults = {"kind": "pinecone", "url": self.url, "api_key_env": "KEY", "visible_within_s": 5.0}
        return settings.PineconeKeys(**{**defaults, **changes})

    def env(self) -> dict[str, str | None]:
        return {"KEY": "pc-secret-key"}

    def reset(self) -> None:
        self.index.namespaces.clear()
        self.index.lag = 0

    def write(self, held: Mapping[str, str], tenant: str = "a", hashed: Hashed = content_hash) -> None:
        for (key, text), vector in zip(held.items(), vectors(len(held)), strict=True):
            stated = {"content_hash": hashed(text)} if hashed(text) else {}
            one = {"id": key, "values": vector, "metadata": {"text": text, "n": 1.5, **stated}}
            self.index.namespaces.setdefault(tenant, {})[key] = one

    def close(self) -> None:
        """Nothing is open."""


class WeaviateStage(Stage):
    kind = "weaviate"
    proof = "recorded answers"
    native: ClassVar[bool] = True

    def __init__(self, urls: tuple[str, str], collections: Any) -> None:
        self.url, self._grpc = urls
        self.collections = collections
        self._name = f"Docs{'Native' if self.native else 'Shared'}"

    def with_numbers(self) -> Stage:
        other = copy(self)
        other.as_id, other.is_copy = int, True
        return other

    def keys(self, **changes: Any) -> Keys:
        defaults = {"kind": "weaviate", "url": self.url, "grpc_url": self._grpc, "collection": self._name}
        return settings.WeaviateKeys(**{**defaults, "tenant_field": "" if self.native else "tenant", **changes})

    def reset(self) -> None:
        self.collections.held.clear()
        self.collections.active.clear()
        fields = {"doc_id": "field", "tenant": "field", "content_hash": "word", "text": "word", "meta": "word"}
        numbers = {} if self.as_id is str else {"doc_id": "int"}
        self.collections.create(self._name, fields, numbers, tenants=self.native)
        for tenant in TENANTS if self.native else ("",):
            self.collections.add_tenant(self._name, tenant)

    def write(self, held: Mapping[str, str], tenant: str = "a", hashed: Hashed = content_hash) -> None:
        objects = self.collections.held.setdefault((self._name, tenant if self.native else ""), {})
        self.collections.active.setdefault((self._name, tenant if self.native else ""), True)
        for (key, text), vector in zip(held.items(), vectors(len(held)), strict=True):
            stated = {"content_hash": hashed(text)} if hashed(text) else {}
            properties = {
                "doc_id": self.as_id(key),
                "tenant": tenant,
                "text": text,
                "meta": "m",
                "tags": ["x", "y"],
                **stated,
            }
            name = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{tenant}/{key}"))
            raw = struct.pack(f"<{DIMENSION}f", *vector)
            objects[name] = {"uuid": name, "properties": properties, "vector": raw}

    def close(self) -> None:
        """Nothing is open."""


class WeaviateSharedStage(WeaviateStage):
    """The tenant as a property."""

    native = False

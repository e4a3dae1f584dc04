"""What each kind of target can be configured with: the keys of ``[target]``, one frozen dataclass a kind.

Secrets are named, never held: an ``*_env`` key is the name of the variable that holds the value. ``SERVICE_NAMES``
says under which names a service usually keeps its connection in its env file; the first that is set serves as the
default of that key (DESIGN.md section 5), by its name for ``*_env`` keys and by its value for others.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, get_type_hints

from drill.config import Target

Names = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class PgvectorKeys(Target):
    """PostgreSQL with pgvector: one table, the tenant in a column. ``hash_column`` empty: the text is hashed here."""

    SERVICE_NAMES: ClassVar[Names] = {"dsn_env": ("PGVECTOR_DSN", "PGVECTOR_URL")}

    dsn_env: str = ""
    table: str = "retrieval_documents"
    id_column: str = "id"
    tenant_column: str = "tenant"
    vector_column: str = "embedding"
    text_column: str = "text"
    hash_column: str = "content_hash"


@dataclass(frozen=True, slots=True)
class RemoteTarget(Target):
    """What every kind but pgvector has: a URL, and how a document's parts are called there.

    ``url`` or ``url_env``, the variable that holds it. ``ca_file``: authorities to trust instead of the system's; TLS
    verification is on. ``hash_field`` empty: the text in ``text_field`` is hashed here.
    """

    url: str = ""
    url_env: str = ""
    ca_file: str = ""
    tenant_field: str = "tenant"
    hash_field: str = "content_hash"
    text_field: str = "text"


@dataclass(frozen=True, slots=True)
class QdrantKeys(RemoteTarget):
    """Qdrant. ``collection`` may hold ``{tenant}``: a collection for each tenant, ``tenant_field`` is then unused.

    ``id_field`` is the payload field with the document's id, since Qdrant's own ids are numbers or UUIDs; empty: the
    point's id is the document's. ``uuid5_namespace`` (a UUID, or dns, url, oid, x500): points are named
    ``uuid5(namespace, document id)`` and are looked up so; empty: by ``id_field``, which needs a payload index.
    """

    SERVICE_NAMES: ClassVar[Names] = {
        "url_env": ("QDRANT_URL",),
        "api_key_env": ("QDRANT_API_KEY",),
        "collection": ("QDRANT_COLLECTION", "QDRANT_COLLECTION_NAME"),
    }

    api_key_env: str = ""
    collection: str = "retrieval_documents"
    id_field: str = "doc_id"
    uuid5_namespace: str = ""


@dataclass(frozen=True, slots=True)
class WeaviateKeys(RemoteTarget):
    """Weaviate. ``tenant_field`` empty: the collection is multi-tenant and tenants are Weaviate's own.

    Otherwise the tenant is a property, and every scan reads the whole collection: Weaviate's cursor takes no filter.
    ``id_field`` is the property with the document's id; empty: the object's UUID is the document's id.
    ``grpc_url`` empty: the host of ``url``, port 50051 (443 for Weaviate Cloud).
    """

    SERVICE_NAMES: ClassVar[Names] = {
        "url_env": ("WEAVIATE_URL", "WEAVIATE_HTTP_URL"),
        "grpc_url_env": ("WEAVIATE_GRPC_URL",),
        "api_key_env": ("WEAVIATE_API_KEY",),
        "collection": ("WEAVIATE_COLLECTION", "WEAVIATE_CLASS"),
    }

    grpc_url: str = ""
    grpc_url_env: str = ""
    api_key_env: str = ""
    collection: str = "RetrievalDocument"
    tenant_field: str = ""
    id_field: str = "doc_id"


@dataclass(frozen=True, slots=True)
class ElasticsearchKeys(RemoteTarget):
    """Elasticsearch. ``index`` may hold ``{tenant}``: an index for each tenant, ``tenant_field`` is then unused.

    ``id_field``: a keyword field with the document's id; empty: ``_id``, which holds at most 512 bytes.
    """

    SERVICE_NAMES: ClassVar[Names] = {
        "url_env": ("ELASTICSEARCH_URL", "ELASTIC_URL"),
        "api_key_env": ("ELASTICSEARCH_API_KEY", "ELASTIC_API_KEY"),
        "username_env": ("ELASTICSEARCH_USERNAME", "ELASTICSEARCH_USER"),
        "password_env": ("ELASTICSEARCH_PASSWORD", "ELASTIC_PASSWORD"),
        "index": ("ELASTICSEARCH_INDEX",),
    }

    api_key_env: str = ""
    username_env: str = ""
    password_env: str = ""
    index: str = "retrieval_documents"
    id_field: str = ""
    vector_field: str = "embedding"


@dataclass(frozen=True, slots=True)
class OpensearchKeys(RemoteTarget):
    """OpenSearch. As for Elasticsearch, without API keys; ``id_field`` also spares the server sorting by ``_id``."""

    SERVICE_NAMES: ClassVar[Names] = {
        "url_env": ("OPENSEARCH_URL",),
        "username_env": ("OPENSEARCH_USERNAME", "OPENSEARCH_USER"),
        "password_env": ("OPENSEARCH_PASSWORD",),
        "index": ("OPENSEARCH_INDEX",),
    }

    username_env: str = ""
    password_env: str = ""
    index: str = "retrieval_documents"
    id_field: str = ""
    vector_field: str = "embedding"


@dataclass(frozen=True, slots=True)
class PineconeKeys(RemoteTarget):
    """Pinecone. ``url`` is the index's own host; without one, ``index`` is looked up by its name.

    ``namespace`` holds ``{tenant}``: a namespace for each tenant; Pinecone cannot list by metadata. A hash in the id
    itself (``doc#<hash>``) is not understood.
    """

    SERVICE_NAMES: ClassVar[Names] = {
        "url_env": ("PINECONE_INDEX_HOST", "PINECONE_HOST"),
        "api_key_env": ("PINECONE_API_KEY",),
        "index": ("PINECONE_INDEX", "PINECONE_INDEX_NAME"),
    }

    api_key_env: str = "PINECONE_API_KEY"
    index: str = ""
    namespace: str = "{tenant}"
    visible_within_s: float = 30.0


@dataclass(frozen=True, slots=True)
class MilvusKeys(RemoteTarget):
    """Milvus or Zilliz. ``collection`` may hold ``{tenant}``; the document's id is the primary key."""

    SERVICE_NAMES: ClassVar[Names] = {
        "url_env": ("MILVUS_URI", "MILVUS_URL"),
        "token_env": ("MILVUS_TOKEN", "ZILLIZ_TOKEN"),
        "database": ("MILVUS_DATABASE", "MILVUS_DB_NAME"),
        "collection": ("MILVUS_COLLECTION", "MILVUS_COLLECTION_NAME"),
    }

    token_env: str = ""
    database: str = ""
    collection: str = "retrieval_documents"
    id_field: str = "id"
    vector_field: str = "embedding"


@dataclass(frozen=True, slots=True)
class ChromaKeys(RemoteTarget):
    """Chroma. ``collection`` holds ``{tenant}``, or ``tenant_field`` is the metadata key with the tenant.

    ``text_field`` empty: the record's document is the text. ``account`` and ``database`` are what Chroma itself calls
    tenant and database.
    """

    SERVICE_NAMES: ClassVar[Names] = {
        "url_env": ("CHROMA_URL",),
        "token_env": ("CHROMA_TOKEN", "CHROMA_API_KEY"),
        "database": ("CHROMA_DATABASE",),
        "account": ("CHROMA_TENANT",),
        "collection": ("CHROMA_COLLECTION",),
    }

    token_env: str = ""
    account: str = "default_tenant"
    database: str = "default_database"
    collection: str = "{tenant}"
    tenant_field: str = ""
    text_field: str = ""


KINDS: Mapping[str, type[Target]] = {
    "pgvector": PgvectorKeys,
    "qdrant": QdrantKeys,
    "weaviate": WeaviateKeys,
    "elasticsearch": ElasticsearchKeys,
    "opensearch": OpensearchKeys,
    "pinecone": PineconeKeys,
    "milvus": MilvusKeys,
    "chroma": ChromaKeys,
}
"""The kinds of target, in the order in which they are listed to users."""


def keys_of(kind: str) -> type[Target]:
    """Return the keys of ``kind``; for an unknown one, those that every kind has."""
    return KINDS.get(kind, Target)


def all_keys() -> dict[str, Any]:
    """Return every key that some kind has, with its type; a key means the same type wherever it occurs."""
    return {key: kind for keys in KINDS.values() for key, kind in key_types(keys).items()}


def key_types(keys: type[Any]) -> dict[str, Any]:
    """Return the keys of one kind with their types."""
    return {name: kind for name, kind in get_type_hints(keys).items() if name != "SERVICE_NAMES"}


def kinds_with(key: str) -> list[str]:
    """Return the kinds that have ``key``."""
    return [kind for kind, keys in KINDS.items() if key in key_types(keys)]


def service_defaults(kind: str, env: Mapping[str, str | None]) -> dict[str, str]:
    """Return the keys of ``kind`` that the service's own env file answers."""
    names: Names = getattr(keys_of(kind), "SERVICE_NAMES", {})
    found: dict[str, str] = {}
    for key, candidates in names.items():
        name = next((name for name in candidates if env.get(name)), "")
        if name:
            found[key] = name if key.endswith("_env") else env[name] or ""
    return found

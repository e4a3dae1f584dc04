"""The target: PostgreSQL with pgvector, reached through one connection a thread."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from threading import local
from typing import TYPE_CHECKING, Any

from sandbox.content import Document, Hit, content_hash
from sandbox.embedding import DIM, embed
from sandbox.service.errors import TargetError

if TYPE_CHECKING:
    import psycopg

    from sandbox.embedding import Vectors

TABLE = "retrieval_documents"
SCHEMA = f"""
create extension if not exists vector;
create table if not exists {TABLE} (
    tenant text collate "C" not null,
    id text collate "C" not null,
    text text not null,
    meta jsonb not null,
    content_hash text not null,
    embedding vector({DIM}) not null,
    primary key (tenant, id)
);
create index if not exists {TABLE}_hash on {TABLE} (tenant, id) include (content_hash);
"""
CONNECT_TIMEOUT_S = 2
STATEMENT_TIMEOUT_MS = 2000

_SEARCH = f"""
select id, text, meta, 1 - (embedding <=> %(vector)s) from {TABLE}
where tenant = %(tenant)s order by embedding <=> %(vector)s limit %(top_k)s
"""  # noqa: S608 - a constant table name
_UPSERT = f"""
insert into {TABLE} (tenant, id, text, meta, content_hash, embedding) values (%s, %s, %s, %s, %s, %s)
on conflict (tenant, id) do update set text = excluded.text, meta = excluded.meta,
    content_hash = excluded.content_hash, embedding = excluded.embedding
"""  # noqa: S608 - a constant table name

_DELETE = f"delete from {TABLE} where tenant = %s and id::text = any(%s)"  # noqa: S608 - a constant table name


def connect(dsn: str, *, autocommit: bool = True) -> "psycopg.Connection[Any]":
    """Open a connection that knows pgvector's type; raises ``psycopg.Error``."""
    import psycopg
    from pgvector.psycopg import register_vector

    options = f"-c statement_timeout={STATEMENT_TIMEOUT_MS}"
    connection = psycopg.connect(dsn, autocommit=autocommit, connect_timeout=CONNECT_TIMEOUT_S, options=options)
    register_vector(connection)
    return connection


def row(tenant: str, document: Document, vector: "Vectors") -> tuple[object, ...]:
    """Return the table's row for ``document``."""
    from psycopg.types.json import Jsonb

    meta = Jsonb(dict(document.meta))
    return tenant, document.id, document.text, meta, content_hash(document.text), vector


class PgVectorTarget:
    """Searches and writes; blocking, to be called from worker threads. ``before_call`` runs first and may raise."""

    name = "pgvector"

    def __init__(self, dsn: str, before_call: Callable[[], None]) -> None:
        self._dsn = dsn
        self._before_call = before_call
        self._thread = local()

    def search(self, tenant: str, vector: "Vectors", top_k: int) -> list[Hit]:
        """Return the ``top_k`` nearest documents; raise ``TargetError``."""
        parameters = {"tenant": tenant, "vector": vector, "top_k": top_k}
        with self._connection() as connection:
            rows = connection.execute(_SEARCH, parameters).fetchall()
        return [Hit(str(one), float(score), text, {**meta, "tenant": tenant}) for one, text, meta, score in rows]

    def upsert(self, tenant: str, documents: Sequence[Document]) -> None:
        """Write ``documents`` in one transaction; raise ``TargetError``."""
        vectors = embed([document.text for document in documents])
        rows = [row(tenant, document, vector) for document, vector in zip(documents, vectors, strict=True)]
        with self._connection() as connection, connection.transaction(), connection.cursor() as cursor:
            cursor.executemany(_UPSERT, rows)

    def delete(self, tenant: str, ids: Sequence[str]) -> None:
        """Delete documents; raise ``TargetError``."""
        with self._connection() as connection:
            connection.execute(_DELETE, (tenant, list(ids)))

    @contextmanager
    def _connection(self) -> "Iterator[psycopg.Connection[Any]]":
        import psycopg

        self._before_call()
        try:
            yield self._open()
        except psycopg.errors.QueryCanceled:
            raise TargetError("the target did not answer in time", "timeout") from None
        except psycopg.OperationalError:
            self._close()
            raise TargetError("the target broke off or refuses", "connection") from None
        except psycopg.Error as error:
            raise TargetError("the target refused the statement", f"sql_{error.sqlstate}") from None

    def _open(self) -> "psycopg.Connection[Any]":
        connection: psycopg.Connection[Any] | None = getattr(self._thread, "connection", None)
        if connection is None or connection.closed:
            connection = self._thread.connection = connect(self._dsn)
        return connection

    def _close(self) -> None:
        if connection := getattr(self._thread, "connection", None):
            connection.close()

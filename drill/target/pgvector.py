"""PostgreSQL with pgvector as the target: keyset scan, whole rows in binary, conditional delete."""

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, TypeVar

import psycopg
from psycopg.sql import Composed

from drill.content_hash import content_hash
from drill.errors import TargetUnavailable
from drill.secret import Secret
from drill.target import pgvector_sql
from drill.target.base import Pair, Row, TargetSettings
from drill.target.pgvector_connection import (
    BoundedConnection,
    Unanswered,
    connect,
    register_vectors,
    transaction,
    unavailable,
)
from drill.target.pgvector_dsn import read_dsn
from drill.target.pgvector_ids import possible
from drill.target.pgvector_reach import persistence, reaches
from drill.target.pgvector_server import system_identifier, who
from drill.target.pgvector_sql import text_array
from drill.target.pgvector_vectors import VECTOR_TYPES, float32, undecoded

PAGE = 10_000
"""Rows a page of the scan: the fastest in the measurements of VECTORS.md section 4."""
RANGE = 100_000
"""Rows that are summed up by one statement: well within its timeout."""
RETRY_PAUSE_S = 0.2
AT_ONCE = 1_000
"""Hashes looked at together: so few stay in the processor's cache."""

Answer = TypeVar("Answer")


class PgvectorTarget:
    """One connection; a call that loses it reconnects and is tried once more, since every call may be repeated."""

    def __init__(self, settings: TargetSettings) -> None:
        self._settings = settings
        self._connection: BoundedConnection | None = None
        self._dsn = read_dsn(settings.dsn.reveal() if isinstance(settings.dsn, Secret) else settings.dsn)
        self._local = [
            ("statement_timeout", f"{settings.statement_timeout_s * 1000:.0f}"),
            ("extra_float_digits", "1"),  # numbers in a payload must survive the way through JSON
            *([("search_path", self._dsn.search_path)] if self._dsn.search_path else []),
        ]
        try:
            self._sql = self._call("read the catalogue", self._statements)
        except BaseException:
            self.close()
            raise

    def counts(self) -> dict[str, int]:
        """Return the exact number of documents of every tenant."""
        return dict(self._call("count", lambda cursor: cursor.execute(self._sql.counts, {}).fetchall()))

    def scan(self, tenant: str) -> Iterator[list[Pair]]:
        """Yield pages of at most 10,000 documents; no transaction stays open between them."""
        page = self._page(self._sql.first_page, {"tenant": tenant, "limit": PAGE})
        while page:
            yield page
            if len(page) < PAGE:
                return
            page = self._page(self._sql.next_page, {"tenant": tenant, "limit": PAGE, "after": page[-1][0]})

    def checksums(self, tenant: str) -> Iterator[list[tuple[int, int, int]]] | None:
        """Yield (bucket, documents, sum) of one half-open range of ids after another, computed by the server.

        What is summed up: ``drill.purge.checksum``. ``None`` where the server does not have the content hashes.
        """
        return None if self._sql.hashed_here else self._checksums(tenant)

    def _checksums(self, tenant: str) -> Iterator[list[tuple[int, int, int]]]:
        after: str | None = None
        while True:
            ends = self._rows(self._sql.range_end, {"tenant": tenant, "after": after, "skip": RANGE - 1})
            end = ends[0][0] if ends else None
            yield self._rows(self._sql.sums, {"tenant": tenant, "after": after, "end": end})
            if end is None:
                return
            after = end

    def _rows(self, statement: Composed, values: Mapping[str, object]) -> list[Any]:
        return self._call("sum up", lambda cursor: cursor.execute(statement, values).fetchall())

    def present(self, tenant: str, ids: Collection[str]) -> set[Pair]:
        """Return those of ``ids`` that exist now, each with its content hash."""
        wanted = set(self.possible(ids))
        found = self._page(self._sql.present, {"tenant": tenant, "ids": text_array(wanted)})
        return {pair for pair in found if pair[0] in wanted}

    def export(self, tenant: str, ids: Collection[str]) -> Iterator[Row]:
        """Return those of ``ids`` that exist now, with their vectors: sent as a whole, decoded one by one."""
        wanted = frozenset(self.possible(ids))
        values = {"tenant": tenant, "ids": text_array(wanted)}
        sent = self._call("export", lambda cursor: undecoded(cursor).execute(self._sql.export, values))
        return self._decoded(sent, wanted)

    def _decoded(self, sent: psycopg.Cursor[Any], wanted: frozenset[str]) -> Iterator[Row]:
        hashed, vector = self._hashed, float32(self._sql.vector_type)
        for key, raw, found, payload in sent.fetchall():
            if key in wanted:
                yield Row(key, hashed(raw), vector(found), payload)

    def possible(self, ids: Collection[str]) -> list[str]:
        """Return those of ``ids`` that the id column can hold."""
        return possible(self._sql.id_type, ids)

    def delete(self, tenant: str, pairs: Collection[Pair]) -> set[str]:
        """Delete what still has the given hash, in one transaction."""
        possible_ids = set(self.possible([key for key, _ in pairs]))
        pairs = [pair for pair in pairs if pair[0] in possible_ids]
        if self._sql.hashed_here:
            return self._change("delete", lambda cursor: self._delete_hashed_here(cursor, tenant, frozenset(pairs)))
        ids, hashes = text_array([key for key, _ in pairs]), text_array([value for _, value in pairs])
        values = {"tenant": tenant, "ids": ids, "hashes": hashes}
        gone = self._change("delete", lambda cursor: cursor.execute(self._sql.delete, values).fetchall())
        return {key for (key,) in gone}

    def flush(self) -> None:
        """Do nothing: PostgreSQL's writes are visible on commit."""

    def restore(self, tenant: str, rows: Sequence[Row]) -> None:
        """Insert ``rows`` whose id is absent, in one transaction."""
        del tenant  # the payload holds it
        values = [{"vector": self._vector(row.vector), "payload": row.payload} for row in rows]

        self._change("write back", lambda cursor: cursor.executemany(self._sql.restore, values))

    def missing_rights(self) -> list[str]:
        """Return what of a purge and its undo this user may not do: asked of the catalogue, not tried.

        Rows are locked, which takes UPDATE, only where texts are hashed on this side.
        """
        needed = ["DELETE", "INSERT", *(["UPDATE"] if self._sql.hashed_here else [])]

        def ask(cursor: psycopg.Cursor[Any]) -> Any:
            table = pgvector_sql.table_name(self._settings).as_string(cursor)
            return cursor.execute(pgvector_sql.RIGHTS, {"needed": needed, "table": table}).fetchone()

        lacking, policies, read_only = self._call("ask for rights", ask)
        found = [f"no {right} on the table" for right in lacking]
        found += ["row security hides rows from this user"] * policies
        return found + ["the server is read-only (a replica?)"] * read_only

    def takes_no_writes(self) -> str:
        """Return why nobody's write comes to this server; empty if it does."""

        def ask(cursor: psycopg.Cursor[Any]) -> Any:
            return cursor.execute(pgvector_sql.CLOSED).fetchone()

        replica, closed = self._call("ask for writes", ask)
        if replica:
            return "the target is a replica, which may be behind: name the server that is written to"
        return "the target takes no writes (default_transaction_read_only is set for everybody)" if closed else ""

    def reaches(self) -> list[str]:
        """Return what a delete would reach beside the documents, and what of them could not be written back."""

        def ask(cursor: psycopg.Cursor[Any]) -> list[str]:
            table = pgvector_sql.table_name(self._settings).as_string(cursor)
            return reaches(cursor, table, self._settings.vector_column)

        return self._call("read the catalogue", ask)

    def describe(self) -> Mapping[str, str]:
        """Return kind, versions and table."""
        query = (
            "SELECT current_setting('server_version'), (SELECT extversion FROM pg_extension WHERE extname = 'vector')"
        )
        [(server, extension)] = self._call("ask the version", lambda cursor: cursor.execute(query).fetchall())
        kept = self._call("read the catalogue", self._persistence)
        return {
            "kind": "pgvector",
            "server": f"PostgreSQL {server}, pgvector {extension}",
            "client": f"psycopg {psycopg.__version__}",
            "table": self._settings.table,
            "vector_type": self._sql.vector_type,
            **({"table is": kept} if kept else {}),
        }

    def server(self) -> list[str]:
        """Return the server's system identifier, or its address where that is kept secret, the database and table."""
        name = pgvector_sql.table_name(self._settings)
        (allowed, address), place = self._call("ask who it is", lambda cursor: who(cursor, name.as_string(cursor)))
        identifier = self._call("ask who it is", system_identifier) if allowed else address
        return [identifier, *place]

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            with suppress(psycopg.Error):
                self._connection.close()
            self._connection = None

    def _persistence(self, cursor: psycopg.Cursor[Any]) -> str:
        return persistence(cursor, pgvector_sql.table_name(self._settings).as_string(cursor))

    def _statements(self, cursor: psycopg.Cursor[Any]) -> pgvector_sql.Statements:
        settings = self._settings
        name = pgvector_sql.table_name(settings).as_string(cursor)
        columns = cursor.execute(pgvector_sql.COLUMNS, [name]).fetchall()
        types = {column: kind for column, kind, _ in columns}
        compared_by = settings.hash_column or settings.text_column
        wanted = (settings.id_column, settings.tenant_column, settings.vector_column, compared_by)
        if missing := ", ".join(repr(column) for column in wanted if column not in types):
            raise TargetUnavailable(
                f"target pgvector: table {settings.table!r} has no column {missing}, "
                f"it has {', '.join(sorted(types))}; check [target] *_column"
            )
        if types[settings.vector_column].rpartition(".")[2] not in VECTOR_TYPES:
            raise TargetUnavailable(
                f"target pgvector: column {settings.vector_column!r} is of type {types[settings.vector_column]}; "
                f"expected one of {', '.join(VECTOR_TYPES)}, check [target] vector_column"
            )
        return pgvector_sql.build(settings, columns)

    def _page(self, statement: Composed, values: Mapping[str, object]) -> list[Pair]:
        page: list[Pair] = self._call("read", lambda cursor: cursor.execute(statement, values).fetchall())
        if self._sql.hashed_here:
            return [(key, content_hash(text)) for key, text in page]
        return page if _all_lower(page) else [(key, raw.lower() if raw else "") for key, raw in page]

    def _hashed(self, raw: str | None) -> str:
        return content_hash(raw or "") if self._sql.hashed_here else (raw or "").lower()

    def _delete_hashed_here(self, cursor: psycopg.Cursor[Any], tenant: str, pairs: frozenset[Pair]) -> set[str]:
        """Lock the rows, compare on this side, delete what agrees: nobody can change a row in between."""
        ids = text_array([key for key, _ in pairs])
        locked = cursor.execute(self._sql.lock, {"tenant": tenant, "ids": ids}).fetchall()
        same = [key for key, text in locked if (key, content_hash(text)) in pairs]
        gone = cursor.execute(self._sql.delete_ids, {"tenant": tenant, "ids": text_array(same)}).fetchall()
        return {key for (key,) in gone}

    def _vector(self, raw: bytes | None) -> object:
        if raw is None:
            return None
        import numpy as np
        from pgvector import HalfVector, Vector

        floats = np.frombuffer(raw, dtype="<f4")
        return HalfVector(floats.astype(np.float16)) if self._sql.vector_type.endswith("halfvec") else Vector(floats)

    def _change(self, doing: str, work: Callable[[psycopg.Cursor[Any]], Answer]) -> Answer:
        return self._call(doing, work, writes=True)

    def _call(self, doing: str, work: Callable[[psycopg.Cursor[Any]], Answer], *, writes: bool = False) -> Answer:
        """Run ``work`` in a transaction of its own; once more on a new connection if this one broke."""
        try:
            return self._within(work, writes=writes)
        except Unanswered as error:
            raise unavailable(error, doing, self._settings.table) from None
        except (psycopg.OperationalError, psycopg.InterfaceError) as error:
            if self._connection is not None and not self._connection.closed:
                raise unavailable(error, doing, self._settings.table) from None
        except psycopg.Error as error:
            raise unavailable(error, doing, self._settings.table) from None
        time.sleep(RETRY_PAUSE_S)
        try:
            return self._within(work, writes=writes)
        except psycopg.Error as error:
            raise unavailable(error, doing, self._settings.table) from None

    def _within(self, work: Callable[[psycopg.Cursor[Any]], Answer], *, writes: bool) -> Answer:
        if self._connection is None or self._connection.closed:
            self._connection = self._connect()
        with transaction(self._connection, self._local, writes=writes):
            return work(self._connection.cursor(binary=True))

    def _connect(self) -> BoundedConnection:
        settings = self._settings
        connection = connect(self._dsn.conninfo, settings.connect_timeout_s, settings.statement_timeout_s)
        try:
            with transaction(connection, self._local, writes=False):
                register_vectors(connection)
        except BaseException:
            connection.close()
            raise
        return connection


def _all_lower(page: Sequence[tuple[str, str | None]]) -> bool:
    """Whether every hash is there and lowercase ASCII, as nearly all are: one look at them saves a copy of the page."""
    hashes = [raw for _, raw in page]
    return all(_lower(hashes[start : start + AT_ONCE]) for start in range(0, len(hashes), AT_ONCE))


def _lower(hashes: Sequence[str | None]) -> bool:
    try:
        joined = "".join(hashes)  # type: ignore[arg-type]  # None raises
    except TypeError:
        return False
    return joined == joined.lower()

"""A psycopg connection whose every wait ends, and database errors in words that hold no secret."""

import math
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

import psycopg
from pgvector.psycopg.halfvec import register_halfvec_info
from pgvector.psycopg.vector import register_vector_info
from psycopg import errors
from psycopg.sql import SQL, Literal
from psycopg.types import TypeInfo

from drill.errors import TargetUnavailable
from drill.target.connection import environment

Waited = TypeVar("Waited")

GRACE_S = 1.0
"""How much longer the client waits than the server's own statement timeout."""
KEEPALIVE: dict[str, Any] = {"keepalives": 1, "keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 3}
ELSEWHERE = ("PGHOST", "PGHOSTADDR", "PGPORT", "PGDATABASE", "PGSERVICE", "PGOPTIONS", "PGTARGETSESSIONATTRS")
"""Variables by which libpq fills up a DSN: documents are deleted where the DSN leads, not a shell's variables."""
SCHEMA_OF_EXTENSION = (
    "SELECT quote_ident(n.nspname) FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace "
    "WHERE e.extname = 'vector'"
)

SEEN = {
    "28000": "login refused",
    "28P01": "login refused",
    "3D000": "no such database",
    "42P01": "table not found",
    "42703": "column not found",
    "42501": "permission denied",
    "23503": "other rows refer to these documents, which their foreign key forbids to delete",
    "25006": "the server is read-only",
    "53300": "too many connections",
    "57014": "statement timeout",
    "57P01": "the server is shutting down",
    "57P03": "the server is starting up",
}
SIGNS = {
    "refused": "connection refused",
    "No such file": "connection refused",
    "resolve": "host name not found",
    "authentication": "login refused",
    "role": "login refused",
    "certificate": "TLS certificate not accepted",
    "does not exist": "no such database",
    "unsupported startup parameter": "the pooler refuses a parameter of the DSN (options)",
}


class Unanswered(psycopg.OperationalError):
    """The server took a statement and did not answer it in time."""


class BoundedConnection(psycopg.Connection[Any]):
    """A connection that is closed when the server stays silent: a dead one does not keep its statement_timeout."""

    answer_within_s: float = 30.0 + GRACE_S

    def wait(self, gen: Generator[Any, Any, Waited], *args: Any, **kwargs: Any) -> Waited:
        """Wait for ``gen`` as psycopg does, but not longer than ``answer_within_s``. Raises Unanswered."""
        bounded = _until(gen, time.monotonic() + self.answer_within_s)
        try:
            return super().wait(bounded, *args, **kwargs)
        except Unanswered:
            self.close()
            raise


def _until(gen: Generator[Any, Any, Waited], deadline: float) -> Generator[Any, Any, Waited]:
    """Run ``gen``; psycopg resumes it several times a second even when nothing happens."""
    try:
        wanted = next(gen)
        while True:
            ready = yield wanted
            wanted = gen.send(ready)
            if time.monotonic() > deadline:
                raise Unanswered("no answer")
    except StopIteration as done:
        result: Waited = done.value
        return result


def connect(dsn: str, connect_timeout_s: float, statement_timeout_s: float) -> BoundedConnection:
    """Open a connection in autocommit, to where the DSN alone leads. Raises TargetUnavailable."""
    try:
        with environment(**dict.fromkeys(ELSEWHERE)):
            connection = BoundedConnection.connect(
                dsn,
                autocommit=True,
                prepare_threshold=None,  # poolers in transaction mode lose prepared statements
                connect_timeout=max(2, math.ceil(connect_timeout_s)),
                tcp_user_timeout=math.ceil(statement_timeout_s * 1000),
                application_name="rollback-drill",
                **KEEPALIVE,
            )
    except psycopg.ProgrammingError:
        raise TargetUnavailable("target pgvector: its DSN is not a PostgreSQL URL; check [target] dsn_env") from None
    except psycopg.Error as error:
        raise unavailable(error, "connect") from None
    connection.answer_within_s = statement_timeout_s + GRACE_S
    return connection


@contextmanager
def transaction(connection: BoundedConnection, settings: Sequence[tuple[str, str]], *, writes: bool) -> Iterator[None]:
    """Run what is within in one transaction with ``settings`` for it alone.

    Nothing else may be left on a connection: a pooler in transaction mode gives it to the service next.
    """
    begin = "BEGIN" if writes else "BEGIN READ ONLY"
    local = [SQL("SELECT set_config({}, {}, true)").format(Literal(name), Literal(value)) for name, value in settings]
    connection.execute(SQL("; ").join([SQL(begin), *local]))
    try:
        yield
    except BaseException:
        with suppress(psycopg.Error):
            connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def register_vectors(connection: BoundedConnection) -> None:
    """Make pgvector's types known, whichever schema they are in. Raises TargetUnavailable if there are none."""
    row = connection.execute(SCHEMA_OF_EXTENSION).fetchone()
    if row is None:
        raise TargetUnavailable(
            "target pgvector: the database has no pgvector extension; check that the DSN names the right database"
        )
    register_vector_info(connection, TypeInfo.fetch(connection, f"{row[0]}.vector"))
    if half := TypeInfo.fetch(connection, f"{row[0]}.halfvec"):
        register_halfvec_info(connection, half)


def unavailable(error: psycopg.Error, doing: str, table: str = "") -> TargetUnavailable:
    """Say what went wrong without quoting the server, whose messages hold hosts, users and values."""
    if isinstance(error, errors.UndefinedTable) and table:
        return TargetUnavailable(f"target pgvector: table {table!r} not found in that database; check [target] table")
    return TargetUnavailable(
        f"target pgvector: {_seen(error)} (to {doing}); expected a PostgreSQL with pgvector that answers, "
        "check [target] and the database, then run again"
    )


def _seen(error: psycopg.Error) -> str:
    if error.sqlstate:
        return SEEN.get(error.sqlstate, f"{type(error).__name__}, SQLSTATE {error.sqlstate}")
    text = str(error)
    if isinstance(error, Unanswered | errors.ConnectionTimeout) or "timeout expired" in text:
        return "no answer in time"
    # While connecting, psycopg has no SQLSTATE, only libpq's text.
    found = (seen for sign, seen in SIGNS.items() if sign in text)
    return next(found, "connection lost" if isinstance(error, psycopg.OperationalError) else type(error).__name__)

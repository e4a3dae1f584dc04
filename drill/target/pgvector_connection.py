"""A psycopg connection whose every wait ends, and database errors in words that hold no secret."""

import math
import re
import time
from collections.abc import Generator
from typing import Any, TypeVar

import psycopg
from psycopg import errors

from drill.errors import TargetUnavailable

Waited = TypeVar("Waited")

GRACE_S = 1.0
"""How much longer the client waits than the server's own statement timeout."""
KEEPALIVE: dict[str, Any] = {"keepalives": 1, "keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 3}
DRIVER_IN_SCHEME = re.compile(r"^postgres(?:ql)?\+\w+://")

SEEN = {
    "28000": "login refused",
    "28P01": "login refused",
    "3D000": "no such database",
    "42P01": "table not found",
    "42703": "column not found",
    "42501": "permission denied",
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
    """Open a connection in autocommit. Raises TargetUnavailable."""
    try:
        connection = BoundedConnection.connect(
            DRIVER_IN_SCHEME.sub("postgresql://", dsn),
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


def unavailable(error: psycopg.Error, doing: str) -> TargetUnavailable:
    """Say what went wrong without quoting the server, whose messages hold hosts, users and values."""
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

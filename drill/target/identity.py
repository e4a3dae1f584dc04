"""Which target a target is: its server's own identifier and what is purged there, by whatever host name it is reached.

Two kinds tell who their server is: PostgreSQL (system identifier, and the database's oid, which a renamed database
keeps and a restored one does not) and Elasticsearch or OpenSearch (cluster UUID). Of all others the address counts.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

from drill.config import Target as TargetConfig
from drill.target.base import Target
from drill.target.connection import Access
from drill.target.settings import RemoteTarget

DIGITS = 16
_WHERE = ("account", "database", "index", "namespace", "collection")
"""The keys that say what is purged there, of whatever kind has them."""


@runtime_checkable
class TellsServer(Protocol):
    """A target that can say itself which server, and what on it, it is."""

    def server(self) -> Sequence[str]:
        """Return what does not change with the host name; empty: it does not tell. Raises TargetUnavailable."""


def target_id(config: TargetConfig, values: Mapping[str, str | None], target: Target) -> str:
    """Return the identity of ``target``, opened by ``config`` and ``values``: a SHA-256, no host can be read from it.

    Raises CannotMeasure if its address is not configured any more, TargetUnavailable if it does not answer.
    """
    server = list(target.server()) if isinstance(target, TellsServer) else []
    server = server or _address(config, values)
    where = [str(getattr(config, key)) for key in _WHERE if hasattr(config, key)]
    facts = "\0".join([config.kind, *server, *where])
    return hashlib.sha256(f"rollback-drill target {facts}".encode()).hexdigest()[:DIGITS]


def target_name(config: TargetConfig) -> str:
    """Return the kind and the name of what is purged, as it may be shown."""
    named = (getattr(config, key, "") for key in ("table", "collection", "index"))
    return " ".join([config.kind, next(filter(None, named), "")]).strip()


def _address(config: TargetConfig, values: Mapping[str, str | None]) -> list[str]:
    if not isinstance(config, RemoteTarget):
        return []
    found = Access(config, values).endpoint()
    return [found.url.lower()] if found else []

"""The target: the vector database being migrated to, seen as documents with a content hash, tenant by tenant."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

from drill.secret import Secret

Pair = tuple[str, str]
"""Document id and content hash. An empty hash: the target holds none, so the document is not known to agree."""


@dataclass(frozen=True, slots=True)
class TargetSettings:
    """How to reach a target and what its columns are called. ``hash_column`` empty: the text is hashed on this side."""

    kind: str
    dsn: Secret | str
    table: str = "retrieval_documents"
    id_column: str = "id"
    tenant_column: str = "tenant"
    vector_column: str = "embedding"
    text_column: str = "text"
    hash_column: str = "content_hash"
    connect_timeout_s: float = 3.0
    statement_timeout_s: float = 30.0


class Row(NamedTuple):
    """A whole document as the target holds it: a tuple, since a purge makes one of every document.

    ``vector`` is float32, little endian; None if the document has none. ``payload`` holds everything else in the
    target's own notation (a JSON text): only the target it came from can write it back.
    """

    id: str
    hash: str
    vector: bytes | None
    payload: str

    @property
    def pair(self) -> Pair:
        """Id and content hash."""
        return self.id, self.hash


class Target(Protocol):
    """What a purge needs of a vector database.

    Every method raises TargetUnavailable, in bounded time and without a secret in the message.
    """

    def counts(self) -> dict[str, int]:
        """Return the number of documents of every tenant there is; exact, not an estimate."""

    def scan(self, tenant: str) -> Iterator[Sequence[Pair]]:
        """Yield every document of ``tenant`` once, page by page, in no order that a caller could rely on."""

    def present(self, tenant: str, ids: Collection[str]) -> set[Pair]:
        """Return those of ``ids`` that exist now, each with its content hash."""

    def export(self, tenant: str, ids: Collection[str]) -> Iterable[Row]:
        """Return those of ``ids`` that exist now, whole, to be gone through once.

        They have arrived: going through them asks the target nothing, and may be left to another thread.
        """

    def delete(self, tenant: str, pairs: Collection[Pair]) -> set[str]:
        """Delete the documents that still have the given content hash; return the ids the database says it deleted.

        What it says is no proof (VECTORS.md 1.2): look again after ``flush``.
        """

    def flush(self) -> None:
        """Return once earlier deletes and writes are visible to reads."""

    def restore(self, tenant: str, rows: Sequence[Row]) -> None:
        """Write ``rows`` back; a document whose id exists is left as it is."""

    def describe(self) -> Mapping[str, str]:
        """Return what a quarantine says of its origin: kind, server and client version, table."""

    def close(self) -> None:
        """Close the connection; never raises."""


@runtime_checkable
class AsksRights(Protocol):
    """A target that can be asked for this user's rights without using them."""

    def missing_rights(self) -> list[str]:
        """Return what a purge, or its undo, needs and this user may not do, in the database's words."""


@runtime_checkable
class KeepsIdsOfOneType(Protocol):
    """A target whose ids are all of one type, so that it cannot hold every id that a document may have elsewhere."""

    def possible(self, ids: Collection[str]) -> list[str]:
        """Return those of ``ids`` that it can hold: what it cannot hold is never found, whoever writes it."""


@runtime_checkable
class TellsOfWrites(Protocol):
    """A target that may say that writes do not come to it: that a document is not there proves nothing then."""

    def takes_no_writes(self) -> str:
        """Return why nobody's write comes here, or only later than elsewhere; empty if it does."""

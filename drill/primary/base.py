"""The side that is right: the inventory of what the service falls back to."""

from collections.abc import Collection, Iterator
from typing import Protocol

from drill.primary.facts import IndexFacts, Look


class Primary(Protocol):
    """An inventory of documents, tenant by tenant. Nothing here writes.

    What is read counts only if it is whole: an incomplete inventory would condemn good documents on the target.
    """

    def check(self, tenant: str) -> IndexFacts:
        """Return the facts of ``tenant`` after a check of its files. Raises NoFallback, PrimaryUnreadable."""

    def look(self, tenant: str, wanted: Collection[str] = (), sample: int = 0) -> Look:
        """Like ``check``, with ``sample`` ids at random and those of ``wanted`` that are there now.

        Raises NoFallback for what is gone or broken, PrimaryUnreadable for what could not be looked at.
        """

    def version(self, tenant: str) -> str:
        """Return a fingerprint that changes with every snapshot. Raises PrimaryUnreadable."""

    def inventory(self, tenant: str) -> Iterator[tuple[str, str]]:
        """Yield id and content hash of every document; complete only if it ends without PrimaryUnreadable."""

    def lookup(self, tenant: str, ids: Collection[str]) -> dict[str, str]:
        """Return the content hash of those of ``ids`` that exist now. Raises PrimaryUnreadable."""

    def contains(self, tenant: str, ids: Collection[str]) -> set[str]:
        """Return those of ``ids`` that exist now. Raises PrimaryUnreadable."""

    def sample_texts(self, tenant: str, count: int, length: int = 200) -> list[str]:
        """Return beginnings of texts to ask the service for; none where no texts are kept."""

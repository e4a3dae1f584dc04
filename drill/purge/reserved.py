"""Canaries are no divergence: what the drill itself has written to FAISS is not compared."""

from collections.abc import Collection, Iterator
from typing import Any, cast

from drill.config import Canary
from drill.purge.model import Primary


class WithoutCanaries:
    """A primary whose inventory leaves canaries out: one that the service cannot delete is not missing anywhere.

    ``hashes`` are those of this drill's own: the service may have given them other ids.
    """

    def __init__(self, primary: Primary, canary: Canary, hashes: Collection[str]) -> None:
        self._primary = primary
        self._canary = canary
        self._hashes = hashes

    def __getattr__(self, name: str) -> Any:
        """Return everything else of the primary."""
        return getattr(self._primary, name)

    def inventory(self, tenant: str) -> Iterator[tuple[str, str]]:
        """Yield what the primary yields, less the canaries."""
        is_one, hashes = self._canary.is_surely_one, self._hashes
        return (pair for pair in self._primary.inventory(tenant) if not is_one(pair[0]) and pair[1] not in hashes)


def without_canaries(primary: Primary, canary: Canary, hashes: Collection[str] = ()) -> Primary:
    """Return ``primary``, or a view of it without canaries where any are written."""
    return cast("Primary", WithoutCanaries(primary, canary, hashes)) if canary.tenant else primary

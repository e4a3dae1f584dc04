"""Canaries are no divergence: what the drill itself has written to FAISS is not compared."""

from collections.abc import Iterator
from typing import Any, cast

from drill.config import Canary
from drill.purge.model import Primary


class WithoutCanaries:
    """A primary whose inventory leaves canaries out: one that the service cannot delete is not missing anywhere."""

    def __init__(self, primary: Primary, canary: Canary) -> None:
        self._primary = primary
        self._canary = canary

    def __getattr__(self, name: str) -> Any:
        """Return everything else of the primary."""
        return getattr(self._primary, name)

    def inventory(self, tenant: str) -> Iterator[tuple[str, str]]:
        """Yield what the primary yields, less the canaries."""
        return (pair for pair in self._primary.inventory(tenant) if not self._canary.is_one(pair[0]))


def without_canaries(primary: Primary, canary: Canary) -> Primary:
    """Return ``primary``, or a view of it without canaries where any are written."""
    return cast("Primary", WithoutCanaries(primary, canary)) if canary.tenant else primary

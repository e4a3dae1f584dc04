"""What a check of a primary found."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class IndexFacts:
    """A tenant's index as it lies on disk. ``age_s`` is the age of the newest of its files.

    ``vectors`` and ``dimension`` are 0 where only a list of documents is seen.
    """

    tenant: str
    vectors: int
    documents: int
    dimension: int
    size_bytes: int
    age_s: float
    kind: str
    duplicate_ids: int = 0
    """Documents whose id another one has already; 0 for a list above 16 MiB, where only the comparison finds them."""
    unchecked: str = ""
    """What of the index could not be looked at, in words; empty: nothing."""

    @property
    def distinct(self) -> int:
        """Documents, each id counted once."""
        return self.documents - self.duplicate_ids


@dataclass(frozen=True, slots=True)
class Look:
    """One look at a tenant: its facts, some of its ids, and which of those that were asked for it holds."""

    facts: IndexFacts
    version: str
    """A fingerprint of the files that were looked at."""
    sample: tuple[str, ...] = ()
    """Ids at random: all of them if there are no more than were asked for."""
    found: frozenset[str] = frozenset()
    vectors: Mapping[str, int] = field(default_factory=dict)
    """Of ids in ``sample`` and ``found`` a hash of their vector, in this process; none if the index changes vectors."""
    hashes: Mapping[str, str] = field(default_factory=dict)
    """Of ids in ``sample`` and ``found`` the content hash, of kinds that hold texts or hashes."""

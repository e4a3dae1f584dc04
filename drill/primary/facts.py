"""What a check of a primary found."""

from dataclasses import dataclass


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

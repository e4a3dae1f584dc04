"""Documents, and the hash by which two copies of one are compared."""

import hashlib
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Document:
    """One retrievable passage; ``id`` is unique within its tenant."""

    id: str
    text: str
    meta: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Hit:
    """One search result; ``score`` is the cosine similarity to the query, at most 1."""

    id: str
    score: float
    text: str
    metadata: Mapping[str, str]


def content_hash(text: str) -> str:
    """Return the lowercase hex SHA-256 of ``text`` in NFC with runs of white space folded to one space."""
    canonical = " ".join(unicodedata.normalize("NFC", text).split())
    return hashlib.sha256(canonical.encode()).hexdigest()

"""The primary: the FAISS index the service falls back to."""

from pathlib import Path

from drill.errors import UsageError
from drill.primary.base import Primary
from drill.primary.facts import IndexFacts, Look
from drill.primary.faiss_dir import FaissDir
from drill.primary.held import Held

__all__ = ["KINDS", "FaissDir", "Held", "IndexFacts", "Look", "Primary", "open_primary"]

KINDS = ("faiss-dir", "faiss-idmap", "manifest")


def open_primary(kind: str, path: Path) -> Primary:
    """Return the primary at ``path``; nothing is read yet. Raises UsageError for an unknown kind."""
    if kind == "faiss-dir":
        return FaissDir(path)
    if kind == "faiss-idmap":
        from drill.primary.faiss_idmap import FaissIdmap

        return FaissIdmap(path)
    if kind == "manifest":
        from drill.primary.manifest import Manifest

        return Manifest(path)
    raise UsageError(f"[primary] kind: seen {kind!r}, expected one of {', '.join(KINDS)}")

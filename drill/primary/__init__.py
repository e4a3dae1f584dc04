"""The primary: the FAISS index the service falls back to."""

from drill.primary.faiss_dir import FaissDir, IndexFacts

__all__ = ["FaissDir", "IndexFacts"]

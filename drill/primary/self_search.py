"""Load an index for real and have a stored vector find itself."""

from pathlib import Path
from typing import Any

from drill.primary.index_file import DamagedIndex

NEIGHBOURS = 10


def self_search(path: Path) -> None:
    """Load the index at ``path`` (its whole size in memory) and search one of its vectors. Raises DamagedIndex."""
    import faiss

    try:
        index = faiss.read_index(str(path))
        _search(index)
    except RuntimeError:
        raise DamagedIndex("cannot be loaded by faiss") from None


def _search(index: Any) -> None:
    import numpy as np

    probe = _stored_vector(index)
    if probe is None:
        return
    if not np.isfinite(probe).all():
        raise DamagedIndex("holds a vector that is not finite")
    scores, labels = index.search(probe.reshape(1, -1), min(NEIGHBOURS, index.ntotal))
    if labels[0, 0] < 0 or not _as_near_as_itself(index, float(scores[0, 0]), probe):
        raise DamagedIndex("does not find a stored vector")


def _stored_vector(index: Any) -> Any:
    """Return vector 0 (float32, the index's dimension), or None of a kind that cannot give vectors back."""
    inner = getattr(index, "index", index)
    if not inner.ntotal:
        raise DamagedIndex("is empty")
    if hasattr(inner, "make_direct_map"):
        inner.make_direct_map()
    try:
        return inner.reconstruct(0)
    except RuntimeError:
        return None


def _as_near_as_itself(index: Any, score: float, probe: Any) -> bool:
    """Whether the best hit is at least as near as the vector itself would be."""
    import faiss
    import numpy as np

    own = float(np.dot(probe, probe))
    tolerance = 1e-3 * max(1.0, abs(own))
    if index.metric_type == faiss.METRIC_INNER_PRODUCT:
        return score >= own - tolerance
    return bool(np.isfinite(score)) and score <= tolerance

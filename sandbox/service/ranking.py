"""How alike two rankings are: agreement at 5 and nDCG at 10."""

from collections.abc import Iterable, Sequence
from math import log2


def agreement_at(reference: Sequence[str], other: Sequence[str], k: int = 5) -> float:
    """Return the share of the reference's top ``k`` that is in the other's top ``k``; 1.0 if both are empty."""
    top = set(reference[:k])
    if not top:
        return 1.0 if not other else 0.0
    return len(top & set(other[:k])) / len(top)


def ndcg_at(reference: Sequence[str], other: Sequence[str], k: int = 10) -> float:
    """Return nDCG at ``k`` of ``other``, the reference ranking being the ideal; 1.0 if both are empty.

    Graded relevance: the reference's rank ``r`` (from 0) of ``n`` is worth ``n - r``, all else 0. Gain linear, discount
    ``1 / log2(rank + 1)`` with ranks from 1 (Järvelin and Kekäläinen 2002, "Cumulated gain-based evaluation of IR
    techniques").
    """
    top = list(reference[:k])
    if not top:
        return 1.0 if not other else 0.0
    worth = {doc: len(top) - rank for rank, doc in enumerate(top)}
    return _dcg(worth.get(doc, 0) for doc in other[:k]) / _dcg(worth.values())


def _dcg(gains: Iterable[int]) -> float:
    return sum(gain / log2(rank + 1) for rank, gain in enumerate(gains, start=1))

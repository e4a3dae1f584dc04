"""Deterministic embeddings without a model: hashed words, word pairs and character trigrams.

The hashing trick with signs (Weinberger et al. 2009, "Feature Hashing for Large Scale Multitask Learning"),
sublinear term frequency, L2-normalised, so that the inner product is the cosine.
"""

import math
import re
import zlib
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Vectors = npt.NDArray[np.float32]

DIM = 256
PAIR_WEIGHT = 0.6
TRIGRAM_WEIGHT = 0.25

_WORD = re.compile(r"[a-z0-9_]+")
_STOP = frozenset(
    """
    a an and are as at be been but by can do does for from has have how if in into is it its may not of on or
    so such than that the then there these they this to was when where which will with you your what
    """.split()  # noqa: SIM905 - a list of quoted words reads worse
)


def _slot(feature: str, weight: float) -> tuple[int, float]:
    digest = zlib.crc32(feature.encode())
    return digest % DIM, weight if digest & 0x80000000 else -weight


@lru_cache(maxsize=65536)
def _word_slots(word: str) -> tuple[tuple[int, float], ...]:
    padded = f"<{word}>"
    trigrams = (padded[at : at + 3] for at in range(len(padded) - 2))
    return (_slot(word, 1.0), *(_slot(f"#{gram}", TRIGRAM_WEIGHT) for gram in trigrams))


@lru_cache(maxsize=65536)
def _pair_slot(left: str, right: str) -> tuple[int, float]:
    return _slot(f"{left} {right}", PAIR_WEIGHT)


def _accumulate(text: str) -> list[float]:
    words = [word for word in _WORD.findall(text.lower()) if word not in _STOP] or [text.strip() or "?"]
    vector = [0.0] * DIM
    for word, count in Counter(words).items():
        tf = 1.0 + math.log(count)
        for slot, weight in _word_slots(word):
            vector[slot] += tf * weight
    for left, right in pairwise(words):
        slot, weight = _pair_slot(left, right)
        vector[slot] += weight
    return vector


def embed(texts: Sequence[str]) -> "Vectors":
    """Return one unit vector a text: float32, shape ``(len(texts), DIM)``; finite and never zero."""
    import numpy as np

    vectors = np.zeros((len(texts), DIM), dtype=np.float32)
    for row, text in enumerate(texts):
        vectors[row] = _accumulate(text)
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors[norms[:, 0] == 0.0, 0] = 1.0
    norms[norms == 0.0] = 1.0
    return np.asarray(vectors / norms, dtype=np.float32)

"""Whether known documents of FAISS still say what they said: users update a few of them, nobody most of them."""

from drill.primary import Look
from drill.verdict import Verdict


def judge_texts(before: Look, now: Look, most: int) -> tuple[Verdict, str]:
    """Judge the texts of known documents by two looks; empty: none has changed.

    ``most``: how many documents may have changed in any case, as all of a small tenant. An updated document has another
    vector, too; one that has kept its vector is not what its vector was made of.
    """
    both = [key for key in before.hashes if key in now.hashes]
    changed = [key for key in both if before.hashes[key] != now.hashes[key]]
    if not changed:
        return Verdict.PASS, ""
    seen = f"{len(changed)} of {len(both)} known documents have another text than at the beginning"
    unmoved = misfits(before, now)
    told = f"{seen}, {unmoved} of them with the same vector: vectors and texts do not fit" if unmoved else seen
    if 2 * len(changed) > len(both) and len(changed) > most:
        return Verdict.FAIL, told
    if unmoved or 2 * len(changed) > len(both):
        return Verdict.INCONCLUSIVE, told
    return Verdict.PASS, f"{told}, as users update"


def misfits(before: Look, now: Look) -> int:
    """Return how many known documents have another text and the vector they had: damaged, not updated."""
    kept = (key for key in before.hashes if key in now.hashes and before.hashes[key] != now.hashes[key])
    return sum(key in before.vectors and before.vectors[key] == now.vectors.get(key) for key in kept)

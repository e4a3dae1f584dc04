"""How many other texts are updates of users, and how many are damage: at each bound."""

import pytest

from drill.checks.faiss_texts import judge_texts
from drill.primary import IndexFacts, Look
from drill.verdict import Verdict


def look(known: int, changed: int = 0, unmoved: int = 0) -> Look:
    """Return a look in which ``changed`` documents have another text, ``unmoved`` of them with the vector they had."""
    names = [str(number) for number in range(known)]
    hashes = {name: "other" if number < changed else "same" for number, name in enumerate(names)}
    vectors = {name: number if unmoved <= number < changed else -1 for number, name in enumerate(names)}
    return Look(IndexFacts("a", known, known, 4, 1, 1.0, "flat"), "1", vectors=vectors, hashes=hashes)


@pytest.mark.parametrize(
    ("known", "changed", "unmoved", "most", "verdict"),
    [
        (40, 20, 0, 5, Verdict.PASS),  # half is not most
        (40, 21, 0, 5, Verdict.FAIL),
        (8, 4, 0, 10, Verdict.PASS),
        (8, 5, 0, 10, Verdict.INCONCLUSIVE),  # most of a small tenant, and no more than users may have changed
        (10, 8, 0, 8, Verdict.INCONCLUSIVE),
        (10, 9, 0, 8, Verdict.FAIL),
        (40, 1, 1, 5, Verdict.INCONCLUSIVE),  # one that is not what its vector was made of
        (40, 0, 0, 5, Verdict.PASS),
    ],
)
def test_texts_fail_if_most_have_changed_and_more_than_users_may_have(
    known: int, changed: int, unmoved: int, most: int, verdict: Verdict
) -> None:
    assert judge_texts(look(known), look(known, changed, unmoved), most)[0] is verdict

"""What kind of problem an answer is, and what becomes of it when the rollback is done."""

import pytest

from drill.checks.mendable import SHOWN, TABLE, After, Kind, Problem, foretell, kind_of, listed
from drill.http import Reply
from drill.verdict import Verdict


def test_every_kind_stands_in_the_table_with_its_reason() -> None:
    """What is not in the table cannot be judged."""
    assert set(TABLE) == set(Kind)
    assert all(why for _, why in TABLE.values())


@pytest.mark.parametrize("kind", Kind)
def test_what_stays_is_a_failure_what_is_mended_is_nothing(kind: Kind) -> None:
    """A failure before the rollback only where the rollback does not touch it."""
    told = foretell([Problem("seen", kind)])
    verdict = {After.STAYS: Verdict.FAIL, After.UNKNOWN: Verdict.INCONCLUSIVE}.get(TABLE[kind][0])
    assert (told.verdict if told else None) is verdict


def test_the_worst_of_several_problems_counts_and_only_it_is_told() -> None:
    """What the rollback mends is not told among what it does not."""
    told = foretell([Problem("slow", Kind.NO_ANSWER), Problem("odd", Kind.REJECTED), Problem("401", Kind.UNAUTHORIZED)])
    assert told is not None
    assert (told.verdict, told.reason) == (Verdict.FAIL, "401")


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (Reply(0, "", b"", 0.0, "no whole answer in time"), Kind.NO_ANSWER),
        (Reply(0, "", b"", 0.0, "certificate", tls=True), Kind.TLS),
        (Reply(400, "", b"", 0.0, hint="this port speaks https", tls=True), Kind.TLS),
        *((Reply(status, "", b"", 0.0), Kind.SERVER_ERROR) for status in (408, 500, 502, 503, 504)),
        *((Reply(status, "", b"", 0.0), Kind.UNAUTHORIZED) for status in (401, 403, 407)),
        *((Reply(status, "", b"", 0.0), Kind.NOT_FOUND) for status in (404, 410)),
        *((Reply(status, "", b"", 0.0), Kind.REDIRECT) for status in (301, 302, 307)),
        *((Reply(status, "", b"", 0.0), Kind.REJECTED) for status in (400, 402, 409, 451)),
        *((Reply(status, "", b"", 0.0), Kind.NOT_UNDERSTOOD) for status in (413, 415, 422)),
        (Reply(405, "", b"", 0.0), Kind.WRONG_METHOD),
        (Reply(429, "", b"", 0.0), Kind.RATE_LIMITED),
        (Reply(200, "text/html", b"", 0.0), Kind.OTHER_SHAPE),
        (Reply(200, "", b"", 0.0, "more than 8 bytes, given up"), Kind.OTHER_SHAPE),
        (Reply(199, "", b"", 0.0), Kind.REJECTED),
    ],
)
def test_each_answer_is_of_its_kind(reply: Reply, kind: Kind) -> None:
    """By status, and by whether TLS came about."""
    assert kind_of(reply) is kind


@pytest.mark.parametrize(("count", "more"), [(SHOWN, ""), (SHOWN + 2, " and 2 more")])
def test_the_first_problems_are_spelled_out_and_the_rest_is_counted(count: int, more: str) -> None:
    texts = [f"p{number}" for number in range(count)]
    assert listed(texts) == "; ".join(texts[:SHOWN]) + more

"""Circuit breaker, outbox and ranking measures, each by itself."""

from dataclasses import dataclass
from math import isclose, log2

from sandbox.content import content_hash
from sandbox.service.breaker import CircuitBreaker, State
from sandbox.service.outbox import Key, Outbox
from sandbox.service.ranking import agreement_at, ndcg_at


@dataclass
class Clock:
    """A clock that stands until it is moved."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now


def opened() -> tuple[CircuitBreaker, Clock]:
    clock = Clock()
    breaker = CircuitBreaker(threshold=3, cooldown_s=5.0, clock=clock)
    for _ in range(3):
        assert breaker.allow()
        breaker.failure()
    return breaker, clock


def test_the_breaker_opens_after_three_failures_in_a_row() -> None:
    """A success in between starts the count again."""
    breaker = CircuitBreaker(threshold=3, cooldown_s=5.0, clock=Clock())
    for outcome in (breaker.failure, breaker.failure, breaker.success, breaker.failure, breaker.failure):
        outcome()
    assert breaker.allow()
    breaker.failure()
    assert not breaker.allow()


def test_an_open_breaker_lets_one_trial_through_after_the_cool_down() -> None:
    """Not before it, and not two."""
    breaker, clock = opened()
    clock.now = 4.9
    assert not breaker.allow()
    clock.now = 5.0
    assert breaker.allow()
    assert not breaker.allow()


def test_the_trial_decides() -> None:
    """Failed: open for another cool-down. Succeeded: closed."""
    breaker, clock = opened()
    clock.now = 5.0
    breaker.allow()
    breaker.failure()
    clock.now = 9.9
    assert not breaker.allow()
    clock.now = 10.0
    assert breaker.allow()
    breaker.success()
    assert breaker.state is State.CLOSED


def test_the_outbox_holds_a_document_once() -> None:
    """However often it is written meanwhile."""
    outbox = Outbox(max_size=10, max_age_s=60.0, clock=Clock())
    outbox.add([Key("a", "1"), Key("a", "1"), Key("b", "1")])
    assert len(outbox) == 2


def test_a_full_outbox_drops_the_oldest_and_counts_it() -> None:
    """The newest writes are kept."""
    outbox = Outbox(max_size=2, max_age_s=60.0, clock=Clock())
    outbox.add([Key("a", str(number)) for number in range(5)])
    assert outbox.dropped == 3
    assert outbox.oldest(9) == [Key("a", "3"), Key("a", "4")]


def test_the_outbox_gives_up_what_is_too_old() -> None:
    """And nothing that is not."""
    clock = Clock()
    outbox = Outbox(max_size=9, max_age_s=60.0, clock=clock)
    outbox.add([Key("a", "old")])
    clock.now = 30.0
    outbox.add([Key("a", "young")])
    clock.now = 61.0
    outbox.expire()
    assert outbox.oldest(9) == [Key("a", "young")]
    assert outbox.dropped == 1


def test_a_replay_batch_is_of_one_tenant() -> None:
    """Each write to the target is of one tenant."""
    outbox = Outbox(max_size=9, max_age_s=60.0, clock=Clock())
    outbox.add([Key("a", "1"), Key("b", "2"), Key("a", "3")])
    assert outbox.oldest(9) == [Key("a", "1"), Key("a", "3")]


def test_agreement_counts_what_both_top_fives_hold() -> None:
    """In any order; what lies below does not count."""
    assert agreement_at("abcde", "edcba") == 1.0
    assert agreement_at("abcde", "abxyz") == 0.4
    assert agreement_at("abcde", "vwxyzabcde") == 0.0
    assert agreement_at("", "") == 1.0
    assert agreement_at("a", "") == 0.0


def test_ndcg_is_1_only_for_the_same_order() -> None:
    """Two swapped documents cost what the formula says."""
    assert ndcg_at("abc", "abc") == 1.0
    ideal = 3 / log2(2) + 2 / log2(3) + 1 / log2(4)
    swapped = 2 / log2(2) + 3 / log2(3) + 1 / log2(4)
    assert isclose(ndcg_at("abc", "bac"), swapped / ideal)
    assert ndcg_at("abc", "xyz") == 0.0


def test_the_content_hash_folds_white_space_and_composes_characters() -> None:
    """SHA-256 of the canonical text, as the contract says; case still counts."""
    assert content_hash("caf\u00e9  au\nlait ") == content_hash("cafe\u0301 au lait")
    assert content_hash("a") == "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"
    assert content_hash("A") != content_hash("a")

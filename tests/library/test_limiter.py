"""The gate that every request to the service goes through, on a clock of its own."""

import threading
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drill.limiter import DOWN_S, LONGEST_S, PATIENCE_S, RESERVE, SHARE, Limiter
from drill.limits import Apart, Told
from drill.load import Budget

A, B = "http://a:1", "http://b:2"
MANY = Budget(10_000, 10_000, 1000.0)


@dataclass
class Clock:
    """A time that passes only while somebody sleeps."""

    now: float = 1000.0
    slept: list[float] = field(default_factory=list)

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds >= 0
        self.slept.append(seconds)
        self.now += seconds


def limiter(budget: Budget = MANY, clock: Clock | None = None, instances: tuple[str, ...] = (A, B)) -> Limiter:
    time = clock or Clock()
    return Limiter(instances, budget, clock=time, sleep=time.sleep)


@settings(deadline=None)
@given(
    probes=st.integers(0, 20),
    checks=st.integers(0, 20),
    rate=st.floats(1.0, 60.0),
    asked=st.lists(st.tuples(st.sampled_from([A, B]), st.booleans(), st.floats(0.0, 0.5)), max_size=120),
)
def test_nothing_more_and_nothing_faster_is_sent_than_was_announced(
    probes: int, checks: int, rate: float, asked: list[tuple[str, bool, float]]
) -> None:
    """Whatever a drill asks for: no instance gets more, and no second more than the rate."""
    clock = Clock()
    gate = limiter(Budget(probes, checks, rate), clock)
    sent: dict[str, list[float]] = {A: [], B: []}
    for url, probe, pause in asked:
        clock.now += pause
        if gate.admit(f"{url}/search", probe=probe) is None:
            sent[url].append(clock.now)
    assert all(len(times) == gate.sent(url) <= probes + checks for url, times in sent.items())
    assert gate.sent() <= gate.announced == 2 * (probes + checks)
    together = sorted(sent[A] + sent[B])
    burst = max(1, int(rate))
    assert all(later - first >= burst / rate - 1e-6 for first, later in zip(together, together[burst:], strict=False))


def test_several_threads_share_one_budget() -> None:
    gate = Limiter([A], Budget(0, 50, 1000.0))
    threads = [threading.Thread(target=lambda: [gate.admit(A) for _ in range(20)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (gate.sent(), gate.withheld) == (50, 110)


def test_what_is_not_the_service_is_neither_counted_nor_held_up() -> None:
    gate = limiter(Budget(0, 0, 1.0), instances=("http://h:1/a", "http://h:1/ab"))
    assert gate.admit("http://h:1/abc/search") is None
    assert gate.admit("http://127.0.0.1:5/health") is None
    assert gate.admit("http://h:1/ab/search") is not None
    assert gate.sent() == 0


def test_probes_leave_the_checks_what_was_announced_for_them() -> None:
    gate = limiter(Budget(2, 1, 1000.0))
    assert [gate.admit(A, probe=True) is None for _ in range(4)] == [True, True, False, False]
    assert gate.admit(A) is None
    refused = gate.admit(A)
    assert refused is not None
    assert (refused.apart, "announced" in refused.reason) == (Apart.UNMEASURED, True)


def test_a_check_waits_as_long_as_it_is_told_and_a_probe_does_not() -> None:
    clock = Clock()
    gate = limiter(clock=clock)
    gate.note(A + "/x", Told(429, 54.0))
    assert gate.admit(A, probe=True) is None, "whether a probe is due is asked beforehand"
    assert gate.next_probe(A, 0.0) == 1054.0
    assert gate.next_probe(B, 7.0) == 7.0
    assert gate.admit(B) is None
    assert clock.slept == []
    assert gate.admit(A) is None
    assert clock.slept == [54.0]
    assert gate.waited_s(0.0) == 54.0
    assert gate.waited_s(1050.0) == 4.0


def test_checks_wait_for_a_bounded_time_and_say_why_they_went_no_further() -> None:
    clock = Clock()
    gate = limiter(clock=clock)
    gate.note(A, Told(429, LONGEST_S + 1))
    refused = gate.admit(A)
    assert refused is not None
    assert (refused.apart, refused.reason) == (Apart.LIMITED, "not sent: the service limits the drill for another 61 s")
    clock.now += 100
    for _ in range(10):
        gate.note(A, Told(429, LONGEST_S))
        gate.admit(A)
        clock.now += LONGEST_S
    assert sum(clock.slept) <= PATIENCE_S


def test_a_limiter_that_does_not_say_how_long_is_given_ever_more_time() -> None:
    clock = Clock()
    gate = limiter(clock=clock)
    for _ in range(5):
        gate.note(A, Told(429))
        assert gate.admit(A) is None
    assert clock.slept == [5.0, 10.0, 20.0, 40.0, LONGEST_S]
    gate.note(A, Told())
    gate.note(A, Told(429))
    gate.admit(A)
    assert clock.slept[-1] == 5.0, "an answer in between begins anew"


@pytest.mark.parametrize(("let_through", "seconds", "retry_s"), [(60, 6.0, 54.0), (60, 30.0, 30.0), (10, 1.0, 9.0)])
def test_the_rate_that_a_limiter_lets_through_is_learnt_at_its_first_no(
    let_through: int, seconds: float, retry_s: float
) -> None:
    """60 requests a minute, however fast they were used up: half of that is probed from then on."""
    clock = Clock()
    gate = limiter(clock=clock)
    for _ in range(let_through):
        gate.note(A, Told())
    clock.now += seconds
    gate.note(A, Told(429, retry_s))
    clock.now += retry_s
    per_s = let_through / (seconds + retry_s)
    assert gate.next_probe(A, clock.now) - clock.now == pytest.approx(1 / (SHARE * per_s))


def test_requests_under_way_at_the_first_no_say_nothing_new() -> None:
    once, thrice = limiter(), limiter()
    for gate, times in ((once, 1), (thrice, 3)):
        for _ in range(60):
            gate.note(A, Told())
        for _ in range(times):
            gate.note(A, Told(429, 54.0))
    assert once.next_probe(A, 2000.0) == thrice.next_probe(A, 2000.0)
    assert (thrice.limited(), thrice.limited(0.0, 1000.0), thrice.limited(instance=B)) == (3, 0, 0)


def test_probes_fall_with_each_no_and_never_rise_again() -> None:
    clock = Clock()
    gate, gaps = limiter(clock=clock), []
    for count in (100, 1000, 3):
        for _ in range(count):
            gate.note(A, Told())
        clock.now += 10
        gate.note(A, Told(429, 1.0))
        clock.now += 1
        gaps.append(gate.next_probe(A, clock.now) - clock.now)
    assert gaps == sorted(gaps)
    assert gaps[0] > 0


@pytest.mark.parametrize(
    ("remaining", "gap"), [(1000.0, 60 / (SHARE * 800)), (400.0, 60 / (SHARE * 200)), (210.0, 12.0)]
)
def test_where_a_limit_is_shared_only_a_share_of_what_remains_is_used(remaining: float, gap: float) -> None:
    gate = limiter()
    gate.note(A, Told(200, None, remaining, 60.0, 1000.0))
    assert gate.next_probe(A, 5000.0) == pytest.approx(5000.0 + gap)


def test_the_last_of_a_limit_is_left_to_users() -> None:
    """Once a fifth remains, no probe is sent until there is a new limit; checks, which are few, go on."""
    clock = Clock()
    gate = limiter(clock=clock)
    gate.note(A, Told(200, None, RESERVE * 1000, 33.0, 1000.0))
    assert gate.next_probe(A, 0.0) == 1033.0
    assert gate.admit(A) is None
    assert clock.slept == []


def test_a_service_that_is_down_for_a_moment_holds_up_probes_and_no_health_request() -> None:
    """503 with Retry-After is what a restart says, and the drill must see when it is over."""
    clock = Clock()
    gate = limiter(clock=clock)
    gate.note(A, Told(503, 120.0))
    assert gate.next_probe(A, 0.0) == 1000.0 + DOWN_S
    gate.note(A, Told(503, 2.0))
    assert gate.next_probe(A, 0.0) == 1000.0 + DOWN_S
    assert gate.next_probe(B, 0.0) == 0.0
    assert gate.admit(A) is None
    assert (clock.slept, gate.limited()) == ([], 0)


def test_a_long_wait_is_said_once_when_it_begins_with_what_is_waited_for() -> None:
    clock, said = Clock(), list[str]()
    gate = Limiter([A, B], MANY, clock=clock, sleep=lambda _: None, tell=said.append)
    for answer in (Told(429, 54.0), Told(429, 40.0)):
        gate.note(A, answer)
    for _ in range(3):
        assert gate.admit(A) is None
    gate.note(B, Told(503, None, 0, 7.0))
    assert gate.admit(B) is None
    assert said == [
        "the service limits the drill: waiting 54 s before the next request",
        "the service is unavailable (HTTP 503) and asks to wait: waiting 7 s before the next request",
    ]
    clock.now += 100
    gate.note(A, Told(429, 1.0))
    assert gate.admit(A) is None
    assert len(said) == 2, "a short one is not worth a line"


def test_what_is_unavailable_is_not_called_a_limit() -> None:
    clock = Clock()
    gate = limiter(clock=clock)
    for answer in (Told(503, 120.0), Told(503, 7.0), Told(503)):
        gate.note(A, answer)
    gate.note(B, Told(503, LONGEST_S + 5, 0))
    assert (gate.unavailable(), gate.limited()) == ((3, 120.0), 0)
    assert gate.unavailable(clock.now + 1) == (0, 0.0)
    refused = gate.admit(B)
    assert refused is not None
    assert refused.apart is Apart.UNMEASURED
    assert refused.reason == "not sent: the service is unavailable (HTTP 503) and asks to wait for another 65 s"


def test_what_the_tightest_limit_lets_through_is_known_once_it_was_met() -> None:
    clock = Clock()
    gate = limiter(clock=clock)
    assert gate.per_s == 0.0
    for _ in range(60):
        gate.note(A, Told(200))
    clock.now += 6.0
    gate.note(A, Told(429, 54.0))
    assert gate.per_s == pytest.approx(1.0)
    gate.note(B, Told(200, None, 500.0, 50.0, 1000.0))
    assert gate.per_s == pytest.approx(1.0)
    gate.note(B, Told(200, None, 205.0, 50.0, 1000.0))
    assert gate.per_s == pytest.approx(0.1)

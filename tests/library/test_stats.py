"""Small statistics: known values, and no more certainty than the samples give."""

import math
import random
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drill.stats import quantile, quantile_bounds, rate_bounds, ratio_bounds

HUNDRED = [float(number) for number in range(1, 101)]


@pytest.mark.parametrize(("q", "value"), [(0.0, 1), (0.01, 1), (0.5, 50), (0.501, 51), (0.95, 95), (1.0, 100)])
def test_a_quantile_is_a_value_that_was_measured(q: float, value: float) -> None:
    assert quantile(HUNDRED, q) == value


def test_the_quantile_of_one_value_is_that_value() -> None:
    assert quantile([7.0], 0.5) == quantile([7.0], 0.95) == 7.0


@pytest.mark.parametrize("n", [1, 10, 30, 58])
def test_p95_has_no_upper_bound_below_59_samples(n: int) -> None:
    assert quantile_bounds(HUNDRED[:n], 0.95)[1] == math.inf


def test_p95_has_an_upper_bound_from_a_hundred_samples_and_p50_from_ten() -> None:
    assert quantile_bounds(HUNDRED, 0.95) == (90.0, 100.0)
    assert quantile_bounds(HUNDRED[:10], 0.5)[1] < math.inf


def test_the_lowest_sample_can_be_a_lower_bound() -> None:
    assert quantile_bounds(HUNDRED[:8], 0.5)[0] == 1.0
    assert quantile_bounds(HUNDRED[:7], 0.5)[0] == 0.0


def test_with_few_samples_there_is_no_lower_bound_either() -> None:
    assert quantile_bounds([1.0, 2.0], 0.5) == (0.0, math.inf)


def cumulative(n: int, q: float, most: int) -> float:
    """Return P(binomial(n, q) <= most)."""
    terms = (
        math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1) + k * math.log(q) + (n - k) * math.log1p(-q)
        for k in range(most + 1)
    )
    return sum(math.exp(term) for term in terms)


@pytest.mark.parametrize("q", [0.5, 0.95])
@pytest.mark.parametrize("n", [20, 59, 70, 100, 300, 301, 1000])
def test_bounds_of_a_quantile_are_never_surer_than_the_exact_ones_and_hardly_less(n: int, q: float) -> None:
    ranks = [float(number) for number in range(1, n + 1)]
    low, high = quantile_bounds(ranks, q)
    if high < math.inf:
        assert 0.95 <= cumulative(n, q, int(high) - 1) < 0.9975
    if low > 0:
        assert 0.95 <= 1 - cumulative(n, q, int(low) - 1) < 0.9975


def test_zero_errors_in_300_prove_less_than_one_percent_and_in_299_not() -> None:
    low, high = rate_bounds(0, 300)
    assert low == 0.0
    assert high == pytest.approx(0.00994, abs=1e-5)
    assert rate_bounds(0, 100)[1] == pytest.approx(0.0295, abs=1e-4)
    assert rate_bounds(0, 30)[1] == pytest.approx(0.095, abs=1e-3)
    assert rate_bounds(0, 297)[1] > 0.01


def test_a_rate_of_nothing_may_be_anything() -> None:
    assert rate_bounds(0, 0) == (0.0, 1.0)
    assert rate_bounds(5, 0) == (0.0, 1.0)


def test_one_trial_proves_a_little() -> None:
    assert rate_bounds(0, 1) == pytest.approx((0.0, 0.95))
    assert rate_bounds(1, 1)[0] == pytest.approx(0.27, abs=0.001)


@pytest.mark.parametrize("n", [5, 7, 9])
def test_rounding_takes_no_bound_beyond_all_or_below_none(n: int) -> None:
    assert rate_bounds(n, n)[1] == 1.0
    assert rate_bounds(1e-17, 10)[0] == 0.0


def test_known_wilson_bounds() -> None:
    low, high = rate_bounds(10, 100)
    assert (low, high) == pytest.approx((0.0608, 0.1603), abs=2e-4)
    assert rate_bounds(100, 100) == pytest.approx((0.9737, 1.0), abs=1e-4)


def test_more_events_than_trials_are_no_more_than_all() -> None:
    assert rate_bounds(20, 10) == rate_bounds(10, 10)


@given(st.integers(1, 2000), st.integers(0, 2000))
@settings(max_examples=100, deadline=None)
def test_bounds_of_a_rate_hold_it_and_grow_with_the_events(trials: int, events: int) -> None:
    events = min(events, trials - 1)
    (low, high), (more_low, more_high) = rate_bounds(events, trials), rate_bounds(events + 1, trials)
    assert 0 <= low <= events / trials <= high <= 1
    assert low <= more_low
    assert high <= more_high


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=200), st.floats(0.01, 0.99))
@settings(max_examples=100, deadline=None)
def test_bounds_of_a_quantile_hold_it(values: list[float], q: float) -> None:
    values.sort()
    low, high = quantile_bounds(values, q)
    assert low <= quantile(values, q) <= high


def test_more_of_the_same_samples_never_make_less_sure() -> None:
    widths = [high - low for low, high in (quantile_bounds(sorted(HUNDRED[:50] * n), 0.5) for n in (1, 2, 4))]
    assert all(later <= earlier or math.isinf(earlier) for earlier, later in pairwise(widths))
    uppers = [rate_bounds(n, 100 * n)[1] for n in (1, 2, 4, 8)]
    assert uppers == sorted(uppers, reverse=True)


def latencies(count: int, factor: float = 1.0, seed: int = 1) -> list[float]:
    draw = random.Random(seed)
    return [factor * draw.lognormvariate(0, 0.4) for _ in range(count)]


def test_the_same_samples_give_the_same_interval() -> None:
    before, after = latencies(60), latencies(60, seed=2)
    assert ratio_bounds(before, after, 0.5) == ratio_bounds(before, after, 0.5)


@pytest.mark.parametrize(("factor", "expected"), [(1.0, "pass"), (2.0, "fail"), (1.25, "inconclusive")])
def test_the_three_way_rule_tells_same_from_slower_and_from_unknown(factor: float, expected: str) -> None:
    low, high = ratio_bounds(latencies(300), latencies(300, factor, seed=2), 0.5)
    assert ("pass" if high <= 1.25 else "fail" if low > 1.25 else "inconclusive") == expected


def test_the_interval_holds_the_ratio_and_scales_with_it() -> None:
    before = latencies(200)
    low, high = ratio_bounds(before, before, 0.95)
    assert low <= 1 <= high
    doubled = ratio_bounds(before, [2 * value for value in before], 0.95)
    assert doubled == pytest.approx((2 * low, 2 * high))


@pytest.mark.parametrize(("rounds", "bounds"), [(400, (21, 380)), (50, (3, 48)), (20, (2, 19))])
def test_the_interval_leaves_out_a_twentieth_of_the_draws_on_either_side(
    monkeypatch: pytest.MonkeyPatch, rounds: int, bounds: tuple[float, float]
) -> None:
    class Draws:
        """Draws 1 for each sample before, and 1, 2, 3 ... for those after."""

        def __init__(self, _seed: int) -> None:
            self.drawn = 0

        def choices(self, values: list[str], k: int) -> list[float]:
            self.drawn += values == ["after"]
            return [float(self.drawn) if values == ["after"] else 1.0] * k

    monkeypatch.setattr(random, "Random", Draws)
    assert ratio_bounds(["before"], ["after"], 0.5, rounds) == bounds  # type: ignore[list-item]


def test_from_nothing_any_growth_is_infinite() -> None:
    assert ratio_bounds([0.0] * 5, [1.0] * 5, 0.5) == (math.inf, math.inf)

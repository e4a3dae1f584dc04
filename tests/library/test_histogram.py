"""Histograms: the bucket that holds a quantile, and nothing finer."""

import math

import pytest

from drill.metrics.histogram import Buckets, latency_buckets, without_buckets
from drill.metrics.snapshot import Delta
from tests.library.world import snapshot

FOUR = Buckets((0.1, 0.5, 1.0, math.inf), (50.0, 90.0, 95.0, 100.0))


@pytest.mark.parametrize(
    ("q", "low", "high"),
    [
        (0.0, 0.0, 0.1),
        (0.5, 0.0, 0.1),
        (0.51, 0.1, 0.5),
        (0.9, 0.1, 0.5),
        (0.95, 0.5, 1.0),
        (0.951, 1.0, math.inf),
        (1.0, 1.0, math.inf),
    ],
)
def test_the_interval_is_the_bucket_that_holds_the_quantile(q: float, low: float, high: float) -> None:
    assert FOUR.interval(q) == (low, high)


def test_empty_leading_buckets_hold_no_quantile() -> None:
    assert Buckets((0.1, 0.5, math.inf), (0.0, 0.0, 5.0)).interval(0.0) == (0.5, math.inf)


def test_no_observations_say_nothing() -> None:
    assert Buckets((), ()).interval(0.5) == (0.0, math.inf)
    assert Buckets((), ()).samples == 0
    assert FOUR.samples == 100


def delta(before: dict[str, float], after: dict[str, float], labels: str = "backend=faiss", name: str = "h") -> Delta:
    def samples(counts: dict[str, float]) -> dict[str, float]:
        return {f"{name}_bucket{{{labels},le={bound}}}": count for bound, count in counts.items()}

    return Delta(snapshot(samples=samples(before)), snapshot(samples=samples(after)))


def test_buckets_are_what_was_observed_in_the_window_summed_over_instances() -> None:
    one = delta({"0.1": 1, "+Inf": 2}, {"0.1": 4, "+Inf": 6})
    other = delta({}, {"0.1": 10, "+Inf": 20})
    assert latency_buckets([one, other], "h", backend="faiss") == Buckets((0.1, math.inf), (13.0, 24.0))


def test_tenants_are_added_and_other_backends_are_not() -> None:
    after = {
        "h_bucket{backend=faiss,tenant=a,le=+Inf}": 1.0,
        "h_bucket{backend=faiss,tenant=b,le=+Inf}": 2.0,
        "h_bucket{backend=pgvector,tenant=a,le=+Inf}": 40.0,
        "h_bucket{le=+Inf}": 160.0,
        "hh_bucket{backend=faiss,tenant=a,le=+Inf}": 80.0,
    }
    found = latency_buckets([Delta(snapshot(), snapshot(samples=after))], "h", backend="faiss")
    assert found == Buckets((math.inf,), (3.0,))


def test_instances_with_different_buckets_are_not_compared() -> None:
    assert latency_buckets([delta({}, {"0.1": 1, "+Inf": 2}), delta({}, {"0.2": 1, "+Inf": 2})], "h") is None


def test_an_instance_without_observations_takes_nothing_away() -> None:
    assert latency_buckets([delta({}, {"0.1": 1, "+Inf": 2}), delta({}, {})], "h") is not None


def test_without_buckets_or_without_the_last_one_there_is_no_histogram() -> None:
    assert latency_buckets([], "h") is None
    assert latency_buckets([delta({}, {})], "h") is None
    assert latency_buckets([delta({}, {"0.1": 1})], "h") is None


def test_bounds_are_sorted_as_numbers() -> None:
    found = latency_buckets([delta({}, {"10": 3, "2.5": 2, "+Inf": 4})], "h")
    assert found == Buckets((2.5, 10.0, math.inf), (2.0, 3.0, 4.0))


@pytest.mark.parametrize(
    ("counted", "bounds", "hidden"),
    [
        (1, [], True),
        (1, ["+Inf"], True),
        (1, ["Inf"], True),
        (1, ["0.1", "+Inf"], False),
        (0, [], False),  # nothing was observed: nothing is hidden
    ],
)
def test_a_histogram_that_counts_and_shows_no_bucket_is_a_native_one(
    counted: float, bounds: list[str], hidden: bool
) -> None:
    """One instance of several is enough: what it observed is nowhere."""
    buckets = {f"h_bucket{{le={bound}}}": counted for bound in bounds}
    one = Delta(snapshot(samples={"h_count": 4}), snapshot(samples={"h_count": 4 + counted, **buckets}))
    other = Delta(snapshot(), snapshot(samples={"h_count": 9, "h_bucket{le=0.5}": 9, "h_bucket{le=+Inf}": 9}))
    assert without_buckets([one], "h") is hidden
    assert without_buckets([other, one], "h") is hidden

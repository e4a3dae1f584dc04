"""Growth of a counter from raw samples: births, restarts seen and hidden, values that fall."""

import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from drill.metrics.snapshot import START_TIME, Delta, History, Snapshot, counter_delta, is_another
from tests.library.world import A, key, snapshot

X = "x_total{backend=qdrant}"


@pytest.mark.parametrize(
    ("base", "samples", "reborn", "grown"),
    [
        (0, [(1, 0), (2, 3)], (), 3),
        (0, [(2, 7)], (), 7),
        (3, [(1, 3), (2, 2)], (), 2),
        (2, [(1, 2), (2, 2)], (2,), 2),
        (2, [(1, 2), (2, 2)], (1, 2), 4),
        (5, [(1, 6), (2, 1), (3, 4)], (2,), 5),
        (5, [(3, 8)], (1, 2), 8),
        (5, [], (1,), 0),
    ],
    ids=["flat then up", "born", "visible reset", "hidden reset", "two restarts", "mixed", "gap", "no samples"],
)
def test_a_counter_grows_by_differences_and_by_whole_values_of_new_processes(
    base: float, samples: list[tuple[float, float]], reborn: tuple[float, ...], grown: float
) -> None:
    assert counter_delta(base, samples, reborn) == grown


LIVES = st.lists(st.lists(st.tuples(st.integers(0, 9), st.booleans()), min_size=1, max_size=6), min_size=1, max_size=4)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(LIVES)
def test_whatever_is_scraped_of_several_processes_no_more_is_counted_than_happened(
    lives: list[list[tuple[int, bool]]],
) -> None:
    """Scrapes may miss what happened between the last one and a restart, and never invent anything."""
    happened, at = 0, 0
    samples: list[tuple[float, float]] = []
    reborn: list[float] = []
    for number, life in enumerate(lives):
        value, first = 0, True
        for step, scraped in life:
            value, at, happened = value + step, at + 1, happened + step
            if scraped:
                samples.append((float(at), float(value)))
                reborn += [float(at)] if first and number else []
                first = False
    grown = counter_delta(0.0, samples, reborn)
    assert grown <= happened
    if len(lives) == 1 and samples:
        assert grown == samples[-1][1]


def delta(
    before: dict[str, float], after: dict[str, float], kept: dict[str, list[tuple[float, float]]], *reborn: float
) -> Delta:
    history = History({key(name): samples for name, samples in kept.items()}, reborn)
    return Delta(snapshot(A, before), snapshot(A, after, taken=9.0), history)


def test_what_is_gone_at_the_end_has_moved_all_the_same() -> None:
    moved = delta({}, {}, {X: [(1, 3)]}, 2.0)
    assert moved.growth("x_total") == 3
    assert dict(moved.counters("x_")) == {"x_total": 3}
    assert moved.restarted


def test_a_restart_and_back_to_the_same_value_is_growth() -> None:
    moved = delta({X: 2}, {X: 2}, {X: [(1, 2), (2, 2)]}, 2.0)
    assert moved.growth("x_total", backend="qdrant") == 2


def test_series_that_no_history_is_kept_of_are_subtracted_at_the_ends() -> None:
    bucket = "x_bucket{le=1}"
    assert delta({bucket: 2}, {bucket: 5}, {X: [(1, 1)]}).growth("x_bucket") == 3
    assert delta({bucket: 2}, {bucket: 5}, {}, 2.0).growth("x_bucket") == 5


def test_a_process_that_goes_on_is_not_restarted() -> None:
    assert not delta({}, {}, {}).restarted
    assert Delta(snapshot(A), Snapshot(A, 1.0, {}, {(START_TIME, frozenset()): 2000.0})).restarted


def test_the_time_for_what_moved_grows_no_faster_than_the_page() -> None:
    """Ten times the series cost about ten times the time, not a hundred times."""

    def cost(series: int) -> float:
        samples = {f"retrieval_shadow_{n % 20}_total{{n={n}}}": float(n) for n in range(series)}
        before, after = (snapshot(A, samples, taken=at) for at in (1.0, 2.0))
        began = time.process_time()
        assert sum(value for _, value in Delta(before, after).counters("retrieval_")) == 0
        return time.process_time() - began

    small, large = (min(cost(series) for _ in range(3)) for series in (1_000, 10_000))
    assert large < 40 * small + 0.02


def named(*workers: str) -> Snapshot:
    return Snapshot("a", 1.0, {}, {}, frozenset(workers))


@pytest.mark.parametrize(
    ("old", "new", "another"),
    [
        (("1", "2"), ("3", "4"), True),
        (("1", "2"), ("2", "3"), False),
        (("1", "2"), ("1", "2", "3"), False),
        (("1",), (), False),
        ((), ("1",), False),
    ],
)
def test_a_restart_leaves_none_of_the_old_workers(old: tuple[str, ...], new: tuple[str, ...], another: bool) -> None:
    """A worker that is replaced while others stay, as gunicorn does after so many requests, is no restart."""
    assert is_another(named(*old), named(*new)) is another

"""Stable latency: each bound of the three-way rule at, below and above the value that decides."""

from dataclasses import replace
from pathlib import Path

import pytest

from drill.checks.post import _blocks, primary_latency, stable
from drill.verdict import Verdict
from tests.library.world import Probes, make_drill, probes, served, with_probes

MIXED = [200.0 if n % 15 < 7 else 300.0 for n in range(150)]
"""Its median is 300, also in each block of time, and may well be 200."""


def judge(
    early: float | list[float], late: float | list[float], *, ratio: float, limit: float = 150.0, noise: float = 10.0
) -> Verdict:
    first, then = ([value] * 150 if isinstance(value, float) else value for value in (early, late))
    return stable("P50", first, then, 0.5, ratio, limit, noise)[0]


@pytest.mark.parametrize(("ratio", "verdict"), [(1.99, Verdict.FAIL), (2.0, Verdict.INCONCLUSIVE), (3.0, Verdict.PASS)])
def test_a_ratio_that_may_be_just_the_tolerated_one_is_no_growth(ratio: float, verdict: Verdict) -> None:
    assert judge(100.0, MIXED, ratio=ratio) is verdict


@pytest.mark.parametrize(("ratio", "verdict"), [(1.99, Verdict.FAIL), (2.0, Verdict.PASS), (2.01, Verdict.PASS)])
def test_a_ratio_of_just_the_tolerated_one_is_stable(ratio: float, verdict: Verdict) -> None:
    assert judge(100.0, 200.0, ratio=ratio) is verdict


@pytest.mark.parametrize(("noise", "verdict"), [(99.9, Verdict.FAIL), (100.0, Verdict.PASS), (100.1, Verdict.PASS)])
def test_growth_by_just_the_noise_is_none(noise: float, verdict: Verdict) -> None:
    assert judge(100.0, 200.0, ratio=1.5, noise=noise) is verdict


@pytest.mark.parametrize(
    ("limit", "verdict"), [(299.9, Verdict.INCONCLUSIVE), (300.0, Verdict.PASS), (300.1, Verdict.PASS)]
)
def test_a_ratio_that_may_be_too_large_is_stable_where_even_the_upper_bound_is_within_the_slo(
    limit: float, verdict: Verdict
) -> None:
    assert judge(100.0, MIXED, ratio=2.0, limit=limit) is verdict


@pytest.mark.parametrize(
    ("most", "verdict"), [(199.5, Verdict.INCONCLUSIVE), (200.0, Verdict.INCONCLUSIVE), (200.5, Verdict.FAIL)]
)
def test_growth_that_only_a_stall_shows_is_not_proven_and_any_that_lasts_is(most: float, verdict: Verdict) -> None:
    late = [most] * 90 + [300.0] * 60
    found, _ = stable("P95", [100.0] * 150, late, 0.95, 2.0, 150.0, 10.0)
    assert found is verdict


@pytest.mark.parametrize(("late", "verdict"), [(130.0, Verdict.PASS), (130.1, Verdict.FAIL)])
def test_by_default_noise_is_a_share_of_the_slo(late: float, verdict: Verdict) -> None:
    assert stable("P50", [100.0] * 150, [late] * 150, 0.5, 1.2, 150.0)[0] is verdict


@pytest.mark.parametrize(
    ("values", "blocks"),
    [
        ([1.0, 1, 2, 2, 3, 3, 4, 4, 5, 5], [1.0, 2, 3, 4, 5]),
        ([5.0, 5, 9, 9, 1, 1, 1, 1, 9, 9], [1.0, 1, 5, 9, 9]),
        ([1.0, 2, 3], [1.0, 2, 3]),
        ([4.0], [4.0]),
    ],
)
def test_a_half_is_five_blocks_of_time_however_few_samples_there_are(values: list[float], blocks: list[float]) -> None:
    assert _blocks(values, 0.5) == blocks


def test_a_tail_that_comes_now_and_then_fails_nothing_and_one_that_stays_does() -> None:
    """A snapshot takes the processor in most blocks of the later half, then in all of them."""
    calm, slow = [100.0] * 30, [100.0] * 25 + [900.0] * 5
    for late, verdict in (([slow, calm, slow, calm, slow], Verdict.INCONCLUSIVE), ([slow] * 5, Verdict.FAIL)):
        assert stable("P95", calm * 5, [value for block in late for value in block], 0.95, 1.5, 500.0)[0] is verdict


def test_only_probes_of_one_rate_are_compared(tmp_path: Path) -> None:
    """Probes sent four times as fast are four times as slow: the load has grown, not the latency."""
    drill = make_drill(tmp_path)
    found = probes(400, latency_s=[0.05] * 300 + [0.2] * 100).found
    mixed = Probes([replace(one, rate=10.0 if n < 300 else 40.0) for n, one in enumerate(found)])
    assert primary_latency(with_probes(drill, mixed), served(count=400)).verdict is Verdict.PASS
    same = Probes([replace(one, rate=10.0) for one in found])
    assert primary_latency(with_probes(drill, same), served(count=400)).verdict is not Verdict.PASS


def test_rates_that_hardly_differ_are_one_load(tmp_path: Path) -> None:
    """A window whose rate was set a little higher at half time still shows latency that grows throughout."""
    found = probes(300, latency_s=[0.05] * 150 + [0.2] * 150).found
    mixed = Probes([replace(one, rate=10.0 if n < 150 else 11.5) for n, one in enumerate(found)])
    assert primary_latency(with_probes(make_drill(tmp_path), mixed), served(count=300)).verdict is Verdict.FAIL


def test_where_no_rate_was_kept_latency_is_not_compared(tmp_path: Path) -> None:
    each_its_own = Probes([replace(one, rate=2.0 ** (n % 30)) for n, one in enumerate(probes(300).found)])
    evidence = primary_latency(with_probes(make_drill(tmp_path), each_its_own), served(count=300))
    assert evidence.verdict is Verdict.INCONCLUSIVE
    assert "only equal load can be compared" in evidence.reason


def test_halves_and_thirds_of_the_window_are_told_apart_to_the_probe(tmp_path: Path) -> None:
    rising = [(n + 0.1234) / 1000 for n in range(1, 301)]
    evidence = primary_latency(with_probes(make_drill(tmp_path), probes(300, latency_s=rising)), served(count=300))
    assert (evidence.value, evidence.threshold) == (225.12, 105.12), "medians of 75.1234 and 225.1234 ms, 20 % of 150"
    thirds = [evidence.detail[f"{name} ms in third {third}"] for third in (1, 2, 3) for name in ("P50", "P95")]
    assert thirds == [50.12, 95.12, 150.12, 195.12, 250.12, 295.12]
    assert "P50 ms in third 4" not in evidence.detail


def test_a_slow_service_may_grow_by_the_ratio_and_a_quick_one_by_the_noise(tmp_path: Path) -> None:
    drill = make_drill(tmp_path)
    slow = primary_latency(with_probes(drill, probes(300, latency_s=[0.50013] * 150 + [0.55] * 150)), served(count=300))
    assert (slow.value, slow.threshold) == (550.0, 600.16)
    quick = primary_latency(with_probes(drill, probes(300, latency_s=[0.01] * 150 + [0.02] * 150)), served(count=300))
    assert (quick.value, quick.threshold) == (20.0, 40.0)


def test_the_noise_that_was_allowed_is_in_the_evidence(tmp_path: Path) -> None:
    asked = probes(300, latency_s=0.02)
    late = Probes([replace(one, late_s=0.1000612) for one in asked.found])
    detail = primary_latency(with_probes(make_drill(tmp_path), late), served(count=300)).detail
    assert (detail["P50 ms of noise allowed"], detail["P95 ms of noise allowed"]) == (430.2, 500.2)

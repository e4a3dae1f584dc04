"""Shadow reads just at the numbers that decide whether a target is ready."""

import math

import pytest

from drill.config import Config, Reopen, Slo
from drill.observation import Window
from drill.record import Evidence
from drill.reopen import shadow
from drill.reopen.rungs import Rung
from drill.reopen.shadow import judge_shadow_reads
from drill.stats import rate_bounds
from drill.verdict import Verdict
from tests.library.world import A, B, probes, snapshot, window
from tests.reopen.test_shadow import LATENCY, held, rung


def judge(seen: Window, part: str, on: Rung | None = None, config: Config | None = None) -> Evidence:
    return dict(judge_shadow_reads(config or Config(), on or rung(), seen))[part]


@pytest.mark.parametrize(
    ("shadowed", "verdict"),
    [(374, Verdict.FAIL), (375, Verdict.PASS), (400, Verdict.PASS), (425, Verdict.PASS), (426, Verdict.FAIL)],
)
def test_where_every_search_is_shadowed_a_twentieth_and_five_may_be_missing_or_too_many(
    shadowed: float, verdict: Verdict
) -> None:
    assert judge(held(shadowed=shadowed), "sampled").verdict is verdict


@pytest.mark.parametrize(
    ("served", "shadowed", "verdict"),
    [
        (14, 0, Verdict.FAIL),
        (13, 0, Verdict.INCONCLUSIVE),
        (14, 1, Verdict.INCONCLUSIVE),
        (30, 1, Verdict.PASS),
    ],
)
def test_none_at_all_is_no_chance_any_more_where_seven_were_due(
    served: float, shadowed: float, verdict: Verdict
) -> None:
    assert judge(held(served=served, shadowed=shadowed), "sampled", rung(0.5)).verdict is verdict


@pytest.mark.parametrize(("served", "verdict"), [(9, Verdict.INCONCLUSIVE), (10, Verdict.PASS)])
def test_from_ten_due_their_number_says_something_of_the_rate(served: float, verdict: Verdict) -> None:
    assert judge(held(served=served, shadowed=served), "sampled").verdict is verdict


def test_what_was_due_at_least_is_in_the_evidence_to_a_tenth() -> None:
    found = judge(held(served=403, shadowed=0), "sampled", rung(0.5))
    assert (found.value, found.op, found.threshold, found.samples) == (0.0, ">=", 146.3, 403)


def test_shadow_reads_are_summed_over_instances_and_of_two_bad_ones_the_first_is_named() -> None:
    good = judge(held(instances=(A, B)), "sampled")
    assert good.reason == "800 shadow reads, as many as were due on each instance"
    assert "a:1 shadowed 0 of 400" in judge(held(shadowed=0, instances=(A, B)), "sampled").reason


@pytest.mark.parametrize("part", ["agreement@5", "nDCG@10", "shadow latency", "dropped"])
@pytest.mark.parametrize(("reads", "verdict"), [(19, Verdict.INCONCLUSIVE), (20, Verdict.PASS)])
def test_from_twenty_shadow_reads_they_are_judged(part: str, reads: float, verdict: Verdict) -> None:
    assert judge(held(served=reads, shadowed=reads), part).verdict is verdict


def agreeing(least: float) -> Verdict:
    config = Config(reopen=Reopen(min_agreement_at_5=least))
    return judge(held(agreement=0.5), "agreement@5", config=config).verdict


def test_a_mean_fails_only_where_its_bound_is_below_what_is_required() -> None:
    bound = 0.5 + 1.645 * 0.5 / math.sqrt(400)
    assert agreeing(0.5) is Verdict.PASS
    assert agreeing(0.5001) is Verdict.INCONCLUSIVE
    assert agreeing(bound) is Verdict.INCONCLUSIVE
    assert agreeing(bound + 1e-6) is Verdict.FAIL


def test_a_mean_is_in_the_evidence_to_four_digits() -> None:
    assert judge(held(agreement=0.987654), "agreement@5").value == 0.9877
    assert judge(held(dropped=7, shadowed=420, served=420), "dropped").value == 0.0167


@pytest.mark.parametrize(
    ("p95_ms", "verdict"),
    [(99.0, Verdict.INCONCLUSIVE), (100.0, Verdict.PASS), (101.0, Verdict.PASS)],
)
def test_the_upper_bound_of_the_bucket_may_be_just_the_slo(p95_ms: float, verdict: Verdict) -> None:
    found = judge(held(), "shadow latency", config=Config(slo=Slo(p95_ms=p95_ms)))
    assert (found.verdict, found.value) == (verdict, 100.0)


@pytest.mark.parametrize(("slow", "verdict"), [(25, Verdict.INCONCLUSIVE), (29, Verdict.FAIL)])
def test_reads_slower_than_the_slo_fail_by_the_lower_bound_of_their_share(slow: float, verdict: Verdict) -> None:
    assert judge(held(slow=slow), "shadow latency").verdict is verdict


def test_a_share_of_just_what_may_be_slow_or_dropped_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    bound = rate_bounds(40, 400)[0]
    monkeypatch.setattr(shadow, "SLOW_SHARE", bound)
    assert judge(held(slow=40), "shadow latency").verdict is Verdict.INCONCLUSIVE
    config = Config(reopen=Reopen(max_drop_rate=bound))
    assert judge(held(dropped=40), "dropped", config=config).verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(("dropped", "verdict"), [(8, Verdict.PASS), (9, Verdict.INCONCLUSIVE)])
def test_just_the_tolerated_share_may_be_dropped(dropped: float, verdict: Verdict) -> None:
    assert judge(held(dropped=dropped), "dropped").verdict is verdict


def test_what_is_slower_than_the_slo_is_counted_from_the_bucket_that_ends_at_it() -> None:
    counts = {"0.1": 350.0, "0.5": 370.0, "1.0": 400.0, "+Inf": 400.0}
    samples = {f"{LATENCY}_bucket{{le={bound}}}": count for bound, count in counts.items()}
    seen = window([snapshot(A)], [snapshot(A, samples)], probes(20))
    assert "(30 of 400 were slower)" in judge(seen, "shadow latency").reason

"""Latency, errors and alerts against the SLO, at and around every boundary."""

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from drill.checks.alerts import alerts
from drill.checks.failures import Failures, kind_of
from drill.checks.post import primary_latency
from drill.checks.slo import _judge_histogram, _judge_probes, _judge_rate, errors, latency
from drill.context import Drill
from drill.metrics.histogram import Buckets
from drill.observation import Window
from drill.record import Evidence
from drill.verdict import Verdict
from tests.library.world import A, B, Probes, make_drill, probes, served, snapshot, window, with_probes

BUCKET = "retrieval_latency_seconds_bucket{backend=faiss,le=%s}"
QUICK: dict[str, float] = {BUCKET % "0.1": 300, BUCKET % "1": 300, BUCKET % "+Inf": 300}


@pytest.fixture
def drill(tmp_path: Path) -> Drill:
    return make_drill(tmp_path)


def judge_latency(
    drill: Drill, samples: dict[str, float], *, latency_s: float | Sequence[float] = 0.02, count: int = 300
) -> Evidence:
    return latency(with_probes(drill, probes(count, latency_s=latency_s)), served(samples, count=count))


def test_quick_probes_and_a_quick_histogram_pass(drill: Drill) -> None:
    evidence = judge_latency(drill, QUICK)
    assert evidence.verdict is Verdict.PASS
    assert (evidence.value, evidence.op, evidence.threshold, evidence.unit) == (20.0, "<=", 500.0, " ms")
    assert (evidence.samples, evidence.window_s) == (300, 30.0)
    assert evidence.detail["P95 histogram ms"] == "(0, 100]"


def test_what_was_measured_is_in_the_evidence_to_a_hundredth_of_a_millisecond(drill: Drill) -> None:
    spread = [0.0101234 + 0.0001 * n for n in range(300)]
    evidence = judge_latency(drill, QUICK, latency_s=spread)
    assert evidence.value == 38.52
    assert (evidence.detail["P50 probes ms"], evidence.detail["P95 probes ms"]) == (25.02, 38.52)
    assert judge_latency(drill, {}).detail["histogram samples"] == 0


def test_fewer_probes_than_needed_are_inconclusive(drill: Drill) -> None:
    evidence = judge_latency(drill, QUICK, count=299)
    assert evidence.verdict is Verdict.INCONCLUSIVE
    assert "299 probes answered, 300 needed" in evidence.reason


def test_failed_probes_are_no_latency_samples(drill: Drill) -> None:
    with_probes(drill, probes(300, latency_s=0.02, bad=1))
    assert latency(drill, served(QUICK, count=300)).verdict is Verdict.INCONCLUSIVE


def test_slow_probes_fail_and_say_which_quantile(drill: Drill) -> None:
    median = judge_latency(drill, QUICK, latency_s=[0.2] * 200 + [0.02] * 100)
    tail = judge_latency(drill, QUICK, latency_s=[0.6] * 30 + [0.02] * 270)
    assert (median.verdict, tail.verdict) == (Verdict.FAIL, Verdict.FAIL)
    assert median.reason == "P50 of 300 probes 200.0 ms > 150 ms"
    assert tail.reason == "P95 of 300 probes 600.0 ms > 500 ms"


def test_a_slow_histogram_fails_although_the_probes_are_quick(drill: Drill) -> None:
    evidence = judge_latency(drill, {BUCKET % "0.1": 100, BUCKET % "1": 100, BUCKET % "+Inf": 300})
    assert evidence.verdict is Verdict.FAIL
    assert "P95" in evidence.reason


def test_a_quantile_above_the_last_bound_is_large_and_unknown(drill: Drill) -> None:
    evidence = judge_latency(drill, {BUCKET % "0.1": 200, BUCKET % "+Inf": 300})
    assert evidence.verdict is Verdict.INCONCLUSIVE
    assert "last bound of 100 ms" in evidence.reason


def test_only_what_faiss_served_is_judged(drill: Drill) -> None:
    other = {"retrieval_latency_seconds_bucket{backend=pgvector,le=+Inf}": 9000.0}
    assert judge_latency(drill, {**QUICK, **other}).verdict is Verdict.PASS


def test_without_a_histogram_latency_is_not_proven(drill: Drill) -> None:
    evidence = judge_latency(drill, {})
    assert evidence.verdict is Verdict.INCONCLUSIVE
    assert evidence.samples == 0


@pytest.mark.parametrize(("held", "verdict"), [(270, Verdict.PASS), (269, Verdict.INCONCLUSIVE)])
def test_a_histogram_that_has_lost_requests_is_doubted(drill: Drill, held: int, verdict: Verdict) -> None:
    assert judge_latency(drill, dict.fromkeys(QUICK, held)).verdict is verdict


def test_latency_needs_its_positive_control(drill: Drill) -> None:
    with_probes(drill, probes(300, latency_s=0.02))
    old, new = snapshot(A, {}), snapshot(A, {**QUICK})
    assert latency(drill, window([old], [new], probes(300))).verdict is Verdict.INCONCLUSIVE
    unread = window(
        [old], [snapshot(A, {**QUICK, "retrieval_requests_total{backend=faiss}": 300})], probes(300), unread={B: "b"}
    )
    assert latency(drill, unread).verdict is Verdict.ERROR


def test_a_slow_instance_fails_even_with_an_unread_one(drill: Drill) -> None:
    with_probes(drill, probes(300, latency_s=2.0))
    seen = window([snapshot(A)], [snapshot(A, QUICK)], probes(300), unread={B: "b is down"})
    assert latency(drill, seen).verdict is Verdict.FAIL


@pytest.mark.parametrize(
    ("limit", "verdict"),
    [(292.0, Verdict.PASS), (291.9, Verdict.INCONCLUSIVE), (278.0, Verdict.INCONCLUSIVE), (277.9, Verdict.FAIL)],
)
def test_the_bounds_of_p95_decide_not_its_estimate(limit: float, verdict: Verdict) -> None:
    assert _judge_probes("P95", [float(n) for n in range(1, 301)], 0.95, limit)[0] is verdict


@pytest.mark.parametrize(("low", "verdict"), [(99.99, Verdict.PASS), (100.0, Verdict.PASS), (100.01, Verdict.FAIL)])
def test_equal_samples_exactly_at_the_limit_are_within_it(low: float, verdict: Verdict) -> None:
    assert _judge_probes("P50", [low] * 300, 0.5, 100.0)[0] is verdict


@pytest.mark.parametrize(
    ("limit", "verdict"),
    [
        (99.99, Verdict.FAIL),
        (100.0, Verdict.FAIL),
        (100.01, Verdict.PASS),
        (500.0, Verdict.PASS),
        (1000.0, Verdict.PASS),
    ],
)
def test_a_bucket_wholly_above_the_limit_fails_and_one_around_it_leaves_it_to_the_probes(
    limit: float, verdict: Verdict
) -> None:
    buckets = Buckets((0.1, 0.5, float("inf")), (0.0, 300.0, 300.0))
    assert _judge_histogram("P50", buckets, 0.5, limit, {})[0] is verdict


def test_an_empty_histogram_says_nothing() -> None:
    for buckets in (None, Buckets((), ()), Buckets((0.1, float("inf")), (0.0, 0.0))):
        verdict, reason = _judge_histogram("P50", buckets, 0.5, 100.0, {})
        assert verdict is Verdict.INCONCLUSIVE
        assert "no FAISS observations" in reason
    one = Buckets((0.1, float("inf")), (1.0, 1.0))
    assert _judge_histogram("P50", one, 0.5, 100.0, {})[0] is Verdict.PASS


def test_the_last_bucket_fails_where_it_lies_above_the_limit() -> None:
    buckets = Buckets((0.6, float("inf")), (0.0, 10.0))
    assert _judge_histogram("P95", buckets, 0.95, 500.0, {})[0] is Verdict.FAIL
    assert _judge_histogram("P95", buckets, 0.95, 700.0, {})[0] is Verdict.INCONCLUSIVE


def judge_errors(drill: Drill, samples: dict[str, float], *, count: int = 300, bad: int = 0) -> Evidence:
    asked = probes(count, bad=bad)
    before = snapshot(A, {"retrieval_requests_total{backend=faiss}": 5})
    after = snapshot(A, {"retrieval_requests_total{backend=faiss}": 5 + count, **samples})
    return errors(with_probes(drill, asked), window([before], [after], asked))


def test_300_requests_without_an_error_prove_one_percent(drill: Drill) -> None:
    evidence = judge_errors(drill, {})
    assert evidence.verdict is Verdict.PASS
    assert (evidence.value, evidence.op, evidence.threshold, evidence.samples) == (0, "<=", 0.01, 300)
    assert evidence.detail == {"retrieval requests failed": "0 of 300", "probes failed": "0 of 300"}


def test_without_alerts_of_a_limit_too_low_for_the_samples_is_not_proven(tmp_path: Path) -> None:
    drill = make_drill(tmp_path, toml="[slo]\nerror_rate = 0.0099")
    assert judge_errors(drill, {}).verdict is Verdict.INCONCLUSIVE


def test_too_few_requests_prove_nothing(drill: Drill) -> None:
    evidence = judge_errors(drill, {}, count=299)
    assert evidence.verdict is Verdict.INCONCLUSIVE
    assert "299 probes, 300 needed" in evidence.reason


@pytest.mark.parametrize(
    ("samples", "bad", "named"),
    [
        ({"retrieval_errors_total{backend=faiss,code=500}": 30}, 0, "30 of 300 retrieval requests"),
        ({"http_requests_total{status=500}": 30, "http_requests_total{status=200}": 270}, 0, "30 of 300 HTTP requests"),
        ({"http_requests_total{status=503}": 30, "http_requests_total{status=404}": 270}, 0, "30 of 300 HTTP requests"),
        (
            {"http_requests_total{status_code=500}": 30, "http_requests_total{status_code=200}": 270},
            0,
            "30 of 300 HTTP requests",
        ),
        ({"http_requests_total{code=5xx}": 30, "http_requests_total{code=2xx}": 270}, 0, "30 of 300 HTTP requests"),
        (
            {
                "http_requests_total{http_response_status_code=502}": 30,
                "http_requests_total{http_response_status_code=200}": 270,
            },
            0,
            "30 of 300 HTTP requests",
        ),
        ({}, 30, "30 of 300 probes"),
    ],
)
def test_each_way_of_counting_errors_fails_alone(drill: Drill, samples: dict[str, float], bad: int, named: str) -> None:
    evidence = judge_errors(drill, samples, bad=bad)
    assert evidence.verdict is Verdict.FAIL
    assert re.fullmatch(rf"{named} failed \([^()]+: 30\), limit 1.00%", evidence.reason)
    assert evidence.value == pytest.approx(0.1)


@pytest.mark.parametrize(("labels", "count"), [("{method=POST}", 300), ("{status=error}", 300), ("{status=error}", 1)])
def test_http_requests_without_a_status_hide_their_failures(drill: Drill, labels: str, count: int) -> None:
    """They are named, and the row is not green."""
    evidence = judge_errors(drill, {f"http_requests_total{labels}": count, "http_requests_total{status=200}": 300})
    assert evidence.verdict is Verdict.INCONCLUSIVE
    assert f"{count} HTTP requests carry no status" in evidence.reason


@pytest.mark.parametrize(("probed", "told"), [(300, False), (299, True)])
def test_what_kept_the_drill_from_asking_more_is_told_where_it_asked_too_little(
    drill: Drill, probed: int, told: bool
) -> None:
    """Enough probes were answered: then another reason leaves the row open."""
    drill.limiter._limited.append((1.0, A))
    evidence = judge_errors(drill, {"http_requests_total{status=error}": 300}, count=probed)
    assert evidence.verdict is Verdict.INCONCLUSIVE
    assert ("the service limits the drill" in evidence.reason) is told


def test_kinds_of_failures_are_named_the_most_frequent_first_and_then_by_name() -> None:
    failures = Failures("probes", 20, {"HTTP 503": 2, "timeout": 4, "HTTP 500": 2, "TLS": 1})
    assert failures.count == "9 of 20 (timeout: 4, HTTP 500: 2, HTTP 503: 2, others: 1)"


def test_errors_of_clients_are_none_of_the_service(drill: Drill) -> None:
    assert judge_errors(drill, {"http_requests_total{status=404}": 300}).verdict is Verdict.PASS


def test_errors_that_were_seen_fail_even_on_partial_data(drill: Drill) -> None:
    assert judge_errors(drill, {"retrieval_errors_total{backend=faiss}": 20}, count=30).verdict is Verdict.FAIL


def test_a_few_errors_may_be_too_many_or_not(drill: Drill) -> None:
    evidence = judge_errors(drill, {"retrieval_errors_total{backend=faiss}": 3})
    assert evidence.verdict is Verdict.INCONCLUSIVE
    assert "may be up to" in evidence.reason


@pytest.mark.parametrize("missing", ["retrieval_errors", "retrieval_requests"])
def test_errors_need_the_families_that_count_them(drill: Drill, missing: str) -> None:
    with_probes(drill, probes(300))
    seen = served({}, count=300, without=[missing])
    assert errors(drill, seen).verdict is Verdict.INCONCLUSIVE


def test_metrics_that_do_not_count_the_probes_prove_no_error_rate(drill: Drill) -> None:
    page = snapshot(A, {"retrieval_requests_total{backend=faiss}": 5})
    evidence = errors(with_probes(drill, probes(300)), window([page], [page], probes(300)))
    assert evidence.verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(
    ("bad", "total", "limit", "verdict"),
    [
        (0, 0, 0.01, Verdict.INCONCLUSIVE),
        (0, 300, 0.0, Verdict.INCONCLUSIVE),
        (0, 10_000, 0.0003, Verdict.PASS),
        (1, 10_000, 0.0001, Verdict.INCONCLUSIVE),
        (1, 10_000, 0.0006, Verdict.PASS),
        (10_000, 10_000, 0.9999, Verdict.INCONCLUSIVE),
        (10_000, 10_000, 0.9997, Verdict.FAIL),
        (9_999, 10_000, 0.9999, Verdict.INCONCLUSIVE),
        (9_990, 10_000, 0.9999, Verdict.PASS),
        (10_000, 10_000, 1.0, Verdict.PASS),
    ],
)
def test_rates_at_their_boundaries(bad: float, total: float, limit: float, verdict: Verdict) -> None:
    assert _judge_rate(Failures("x", total, {"": bad}), limit, 300)[0] is verdict


def test_errors_are_named_by_status_code_and_by_what_probes_met(drill: Drill) -> None:
    """Who reads that requests failed reads how."""
    samples: dict[str, float] = {
        "retrieval_errors_total{backend=faiss,code=timeout}": 20,
        "retrieval_errors_total{backend=faiss,code=index}": 3,
        "http_requests_total{status=503}": 30,
        "http_requests_total{status=500}": 2,
        "http_requests_total{status=404}": 50,
        "http_requests_total{status=200}": 218,
    }
    reason = judge_errors(drill, samples, bad=30).reason
    assert "23 of 300 retrieval requests failed (timeout: 20, index: 3)" in reason
    assert "32 of 300 HTTP requests failed (503: 30, 500: 2)" in reason
    assert "30 of 300 probes failed (HTTP 500: 30)" in reason


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ("HTTP 503 (text/html, 123 bytes)", "HTTP 503"),
        ("HTTP 401 (no content type, 0 bytes): no token is configured; set [service] auth_token_env", "HTTP 401"),
        ("HTTP 200 (text/html, 5 bytes) without a list of results", "HTTP 200 without a list of results"),
        ("no whole answer in time", "no whole answer in time"),
    ],
)
def test_probes_that_met_the_same_are_of_one_kind(error: str, kind: str) -> None:
    """Sizes and advice differ from one answer to the next."""
    assert kind_of(error) == kind


def test_the_most_frequent_kinds_are_named_and_the_rest_counted() -> None:
    """A service with many codes does not fill the line."""
    assert str(Failures("x", 20, {"a": 1, "b": 4, "c": 2, "d": 3})) == "10 of 20 x failed (b: 4, d: 3, c: 2, others: 1)"
    assert Failures("x", 20, {}).count == "0 of 20"


def test_alerts_that_nobody_looked_at_never_pass(drill: Drill) -> None:
    assert alerts(drill, served()).verdict is Verdict.INCONCLUSIVE


def test_no_alerting_by_choice_is_not_run_and_not_required(tmp_path: Path) -> None:
    none = make_drill(tmp_path, toml='[slo]\nalerts = ""')
    assert alerts(none, served()).verdict is Verdict.NOT_RUN
    assert not none.record.entries["slo.alerts"].required


STEADY = [0.05 + 0.0001 * (n % 10) for n in range(300)]


def stable(drill: Drill, latencies: list[float], seen: Window | None = None) -> Evidence:
    asked = probes(len(latencies), latency_s=latencies)
    return primary_latency(with_probes(drill, asked), seen or served(count=len(latencies)))


def test_steady_latency_is_stable(drill: Drill) -> None:
    evidence = stable(drill, STEADY)
    assert evidence.verdict is Verdict.PASS
    assert (evidence.op, evidence.samples) == ("<=", 300)
    assert evidence.value == 50.4
    assert evidence.threshold == pytest.approx(80.4)
    assert [name for name in evidence.detail if "third" in name][:2] == ["P50 ms in third 1", "P95 ms in third 1"]


def test_latency_that_grows_inside_the_window_fails(drill: Drill) -> None:
    evidence = stable(drill, STEADY[:150] + [2 * value for value in STEADY[150:]])
    assert evidence.verdict is Verdict.FAIL
    assert "P50" in evidence.reason
    assert "grew more than 1.2 times" in evidence.reason


def test_a_tail_that_grows_alone_fails_too(drill: Drill) -> None:
    late = [0.6 if n % 8 == 0 else value for n, value in enumerate(STEADY[150:])]
    evidence = stable(drill, STEADY[:150] + late)
    assert evidence.verdict is Verdict.FAIL
    assert evidence.reason.startswith("P95")


@pytest.mark.parametrize(("late_s", "verdict"), [(0.0, Verdict.FAIL), (0.004, Verdict.FAIL), (0.006, Verdict.PASS)])
def test_where_the_drill_s_own_machine_is_late_its_delay_is_no_growth(
    drill: Drill, late_s: float, verdict: Verdict
) -> None:
    asked = probes(300, latency_s=[0.05] * 150 + [0.1] * 150)
    delayed = Probes([replace(one, late_s=late_s if n >= 150 else 1.0) for n, one in enumerate(asked.found)])
    assert primary_latency(with_probes(drill, delayed), served(count=300)).verdict is verdict


def test_one_stall_in_the_later_half_is_no_growth(drill: Drill) -> None:
    late = [0.4 if 60 <= n < 72 else value for n, value in enumerate(STEADY[150:])]
    assert stable(drill, STEADY[:150] + late).verdict is Verdict.PASS


def test_a_tail_that_grows_in_most_of_the_later_half_is_not_proven_to_last(drill: Drill) -> None:
    late = [0.4 if n >= 60 and n % 10 < 3 else value for n, value in enumerate(STEADY[150:])]
    evidence = stable(drill, STEADY[:150] + late)
    assert evidence.verdict is Verdict.INCONCLUSIVE
    assert "not throughout: observe longer" in evidence.reason


def test_growth_that_is_small_beside_the_slo_is_noise(drill: Drill) -> None:
    assert stable(drill, [0.003] * 150 + [0.009] * 150).verdict is Verdict.PASS


def test_growth_by_just_the_tolerated_ratio_is_stable(drill: Drill) -> None:
    assert stable(drill, [0.5] * 150 + [0.6] * 150).verdict is Verdict.PASS
    assert stable(drill, [0.5] * 150 + [0.601] * 150).verdict is Verdict.FAIL


def test_latency_that_falls_is_no_growth(drill: Drill) -> None:
    assert stable(drill, [2 * value for value in STEADY[:150]] + STEADY[150:]).verdict is Verdict.PASS


def test_a_ratio_that_may_be_too_large_outside_the_slo_is_inconclusive(drill: Drill) -> None:
    early = [0.1 + 0.8 * (n % 2) for n in range(150)]
    late = [0.1 + 0.8 * (n % 5 < 3) for n in range(150)]
    assert stable(drill, early + late).verdict is Verdict.INCONCLUSIVE


def test_too_few_probes_show_no_stability(drill: Drill) -> None:
    assert stable(drill, STEADY[:299]).verdict is Verdict.INCONCLUSIVE


def test_stability_needs_its_positive_control(drill: Drill) -> None:
    page = snapshot(A)
    assert stable(drill, STEADY, window([page], [page], probes(300))).verdict is Verdict.INCONCLUSIVE
    assert (
        stable(drill, STEADY, served(count=300, without=["retrieval_latency_seconds"])).verdict is Verdict.INCONCLUSIVE
    )


@pytest.mark.parametrize(
    ("last_ms", "now_s", "verdict"),
    [
        (250, 0.3, Verdict.PASS),
        (249, 0.3, Verdict.FAIL),
        (20, 0.05, Verdict.PASS),
        (19.9, 0.05, Verdict.FAIL),
        (2, 0.005, Verdict.PASS),
    ],
)
def test_latency_is_compared_with_the_last_successful_drill_of_this_env(
    drill: Drill, last_ms: float, now_s: float, verdict: Verdict
) -> None:
    check = {"id": "post.primary_latency", "value": last_ms}
    known = {"drill_id": "d", "env_file": drill.record.env_file, "env_id": drill.record.env_id}
    line = {**known, "result": "success", "apply": True, "checks": [check]}
    drill.journal.parent.mkdir(parents=True, exist_ok=True)
    drill.journal.write_text(json.dumps(line))
    evidence = stable(drill, [now_s] * 300)
    assert evidence.verdict is verdict
    assert evidence.detail["P50 ms in the last successful drill"] == last_ms


def test_probes_outside_the_window_are_not_judged(drill: Drill) -> None:
    asked = probes(300, latency_s=0.02)
    late = [type(asked.found[0])(31.0, A, 9.0, ok=True, error="")] * 400
    with_probes(drill, Probes([*asked.found, *late]))
    assert latency(drill, served(QUICK, count=300)).verdict is Verdict.PASS
    assert errors(drill, served({}, count=300)).verdict is Verdict.PASS

"""Silence: a movement that was seen is a fail, and a pass needs something that moved."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from drill.checks.flags import judge_backend, judge_dual_write, judge_shadow
from drill.checks.post import circuit_open, shadow_silent, target_errors
from drill.checks.silence import doubts, judge_silence, short
from drill.context import Drill
from drill.metrics.snapshot import Delta
from drill.observation import Window
from drill.record import Evidence
from drill.verdict import Verdict
from tests.library.world import A, B, make_drill, probes, reading, served, snapshot, window

FAISS = "retrieval_requests_total{backend=faiss}"
Judge = Callable[[Drill, Window], Evidence]


@pytest.fixture
def drill(tmp_path: Path) -> Drill:
    drill = make_drill(tmp_path, toml="[slo]\nmin_requests = 20\n")
    counted = {"retrieval_shadow_dropped_total{reason=timeout}": 1.0}  # the old processes did count shadow reads
    drill.before = reading(0.0, snapshot(A, counted), snapshot(B, counted))
    return drill


def growth(delta: Delta) -> Mapping[str, float]:
    return {"x": delta.growth("x_total")}


def judge(seen: Window, **choices: bool | float) -> Evidence:
    return judge_silence(
        seen,
        ("retrieval_requests_total",),
        growth,
        what="x",
        since_boot=bool(choices.get("since_boot", True)),
        limit=float(choices.get("limit", 0.0)),
    )


def test_silence_while_the_probes_are_counted_passes() -> None:
    evidence = judge(served(instances=(A, B)))
    assert evidence.verdict is Verdict.PASS
    assert evidence.reason == "x silent on 2 instances"
    assert (evidence.value, evidence.op, evidence.threshold) == (0, "<=", 0.0)
    assert (evidence.samples, evidence.window_s) == (40, 30.0)
    assert evidence.detail == {"probes a:1": 20, "probes b:2": 20}


@pytest.mark.parametrize("value", [1, 0.5, float("nan"), float("inf")])
def test_any_movement_fails_and_a_value_that_is_no_number_never_passes(value: float) -> None:
    assert judge(served({"x_total": value})).verdict is Verdict.FAIL


@pytest.mark.parametrize(
    ("before", "after", "proven"), [("", "", False), ("w", "", False), ("", "w", False), ("w", "w", True)]
)
def test_without_a_start_time_workers_must_have_been_met_at_both_ends(before: str, after: str, proven: bool) -> None:
    """A restart in between would not be seen."""
    pages = [snapshot(A, {FAISS: total}, started=None) for total in (5, 25)]
    first, last = (replace(page, workers=frozenset(met)) for page, met in zip(pages, (before, after), strict=True))
    assert (doubts(window([first], [last], probes(20)), ()) == (Verdict.PASS, "")) is proven


def test_one_bad_instance_of_two_is_named() -> None:
    evidence = judge(served(instances=(A, B), only={B: {"x_total": 3}}))
    assert evidence.verdict is Verdict.FAIL
    assert evidence.reason == "x moved: b:2 x +3"
    assert (evidence.value, evidence.detail["b:2 x"]) == (3, 3)
    assert "a:1 x" not in evidence.detail


@pytest.mark.parametrize(("value", "verdict"), [(2.0, Verdict.PASS), (2.001, Verdict.FAIL), (1.0, Verdict.PASS)])
def test_up_to_the_limit_is_silent_and_above_it_is_not(value: float, verdict: Verdict) -> None:
    assert judge(served({"x_total": value}), limit=2.0).verdict is verdict


def test_a_movement_that_was_seen_fails_even_with_an_unread_instance() -> None:
    seen = window(
        [snapshot(A, {FAISS: 0})], [snapshot(A, {FAISS: 0, "x_total": 1})], probes(0), unread={B: "b is down"}
    )
    assert judge(seen).verdict is Verdict.FAIL


def test_silence_with_an_unread_instance_could_not_be_measured() -> None:
    seen = window([snapshot(A, {FAISS: 0})], [snapshot(A, {FAISS: 20})], probes(20), unread={B: "b is down"})
    evidence = judge(seen)
    assert (evidence.verdict, evidence.reason) == (Verdict.ERROR, "x: b is down")


def test_silence_of_no_instance_at_all_could_not_be_measured() -> None:
    assert judge(window([], [], probes(20))).verdict is Verdict.ERROR


@pytest.mark.parametrize("missing", ["retrieval_requests", "retrieval_shadow_dropped"])
def test_a_family_that_is_not_exposed_is_no_zero(missing: str) -> None:
    verdict, doubt = doubts(served(without=[missing]), ("retrieval_requests_total", "retrieval_shadow_dropped_total"))
    assert verdict is Verdict.INCONCLUSIVE
    assert f"{missing}_total" in doubt


def test_a_family_that_is_missing_on_one_of_two_instances_is_missing() -> None:
    after = [snapshot(A, {FAISS: 20}), snapshot(B, {FAISS: 20}, without=["retrieval_errors"])]
    seen = window([snapshot(A), snapshot(B)], after, probes(20, (A, B)))
    verdict, doubt = doubts(seen, ("retrieval_errors_total",))
    assert verdict is Verdict.INCONCLUSIVE
    assert doubt.startswith("b:2 does not expose retrieval_errors_total")


def test_a_restart_that_the_drill_did_not_do_proves_nothing() -> None:
    seen = window([snapshot(A, {FAISS: 0})], [snapshot(A, {FAISS: 30}, started=2000.0)], probes(20))
    evidence = judge(seen)
    assert evidence.verdict is Verdict.INCONCLUSIVE
    assert "restarted by itself" in evidence.reason


def test_a_process_without_a_start_time_might_have_restarted_unseen() -> None:
    evidence = judge(served(started=None))
    assert evidence.verdict is Verdict.INCONCLUSIVE
    assert "process_start_time_seconds" in evidence.reason


def test_without_probes_silence_proves_nothing() -> None:
    seen = window([snapshot(A, {FAISS: 0})], [snapshot(A, {FAISS: 50})], probes(0))
    evidence = judge(seen)
    assert evidence.verdict is Verdict.INCONCLUSIVE
    assert "answered no probe" in evidence.reason


def test_probes_of_one_instance_prove_nothing_of_another() -> None:
    before, after = ([snapshot(A, {FAISS: n}), snapshot(B, {FAISS: n})] for n in (0, 50))
    evidence = judge(window(before, after, probes(20, (A,))))
    assert evidence.verdict is Verdict.INCONCLUSIVE
    assert "b:2 answered no probe" in evidence.reason


@pytest.mark.parametrize(("counted", "verdict"), [(20, Verdict.PASS), (21, Verdict.PASS), (19, Verdict.INCONCLUSIVE)])
def test_metrics_that_do_not_count_every_probe_are_frozen_or_per_worker(counted: int, verdict: Verdict) -> None:
    seen = window([snapshot(A, {FAISS: 5})], [snapshot(A, {FAISS: 5 + counted})], probes(20))
    assert judge(seen).verdict is verdict


def test_a_frozen_page_proves_nothing() -> None:
    page = snapshot(A, {FAISS: 1000})
    evidence = judge(window([page], [page], probes(20)))
    assert evidence.verdict is Verdict.INCONCLUSIVE
    assert "frozen" in evidence.reason


def test_a_new_process_must_not_have_moved_before_the_first_reading_either() -> None:
    before, after = snapshot(A, {FAISS: 5, "x_total": 2}), snapshot(A, {FAISS: 25, "x_total": 2})
    seen = window([before], [after], probes(20), new=[A])
    assert judge(seen).verdict is Verdict.FAIL
    assert judge(seen, since_boot=False).verdict is Verdict.PASS
    assert judge(window([before], [after], probes(20))).verdict is Verdict.PASS


def test_instances_are_shown_without_their_scheme() -> None:
    assert (short("https://h:1/x"), short("h"), short("http://h/http://x")) == ("h:1/x", "h", "h/http://x")


SILENT: list[Judge] = [judge_shadow, shadow_silent, judge_dual_write, judge_backend, target_errors, circuit_open]


@pytest.mark.parametrize("check", SILENT)
def test_each_check_passes_on_a_silent_service_that_counts_the_probes(drill: Drill, check: Judge) -> None:
    assert check(drill, served(instances=(A, B))).verdict is Verdict.PASS


@pytest.mark.parametrize("check", SILENT)
def test_each_check_needs_its_positive_control(drill: Drill, check: Judge) -> None:
    page = snapshot(A, {FAISS: 1000})
    for seen in (window([page], [page], probes(20)), window([page], [page], probes(0)), window([], [], probes(20))):
        assert check(drill, seen).verdict in {Verdict.INCONCLUSIVE, Verdict.ERROR}


@pytest.mark.parametrize("check", SILENT)
def test_each_check_needs_every_instance_and_one_process(drill: Drill, check: Judge) -> None:
    unread = window([snapshot(A, {FAISS: 0})], [snapshot(A, {FAISS: 20})], probes(20), unread={B: "down"})
    assert check(drill, unread).verdict is Verdict.ERROR
    reborn = window([snapshot(A, {FAISS: 0})], [snapshot(A, {FAISS: 20}, started=2.0)], probes(20))
    assert check(drill, reborn).verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(
    ("check", "family"),
    [
        (judge_shadow, "retrieval_shadow_agreement_at_5"),
        (judge_shadow, "retrieval_shadow_ndcg_at_10"),
        (judge_shadow, "retrieval_shadow_latency_seconds"),
        (judge_shadow, "retrieval_shadow_dropped"),
        (shadow_silent, "retrieval_shadow_dropped"),
        (judge_dual_write, "retrieval_dual_write_errors"),
        (judge_dual_write, "retrieval_dual_write_skipped"),
        (judge_backend, "retrieval_requests"),
        (target_errors, "retrieval_errors"),
        (target_errors, "retrieval_dual_write_errors"),
        (circuit_open, "retrieval_dual_write_skipped"),
        (circuit_open, "retrieval_dual_write_outbox_size"),
    ],
)
def test_each_check_needs_every_family_it_judges(drill: Drill, check: Judge, family: str) -> None:
    assert check(drill, served(without=[family])).verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(("each", "verdict"), [(20, Verdict.PASS), (19, Verdict.INCONCLUSIVE)])
def test_a_rare_shadow_read_would_show_only_where_every_instance_served_enough(
    drill: Drill, each: int, verdict: Verdict
) -> None:
    seen = window(
        [snapshot(A, {FAISS: 0}), snapshot(B, {FAISS: 0})],
        [snapshot(A, {FAISS: 1000}), snapshot(B, {FAISS: each})],
        probes(10, (A, B)),
    )
    evidence = shadow_silent(drill, seen)
    assert evidence.verdict is verdict
    assert f"a sampling of 1% would be missed in {0.99**each:.1%}" in evidence.reason
    assert ("b:2 served 19 requests since its reload, 20 needed" in evidence.reason) == (verdict is not Verdict.PASS)


def test_what_users_ask_counts_and_the_requests_since_the_boot_do_too(drill: Drill) -> None:
    seen = window([snapshot(A, {FAISS: 15})], [snapshot(A, {FAISS: 20})], probes(2), new=(A,))
    assert shadow_silent(drill, seen).verdict is Verdict.PASS


SHADOW = "retrieval_shadow_"
MOVEMENTS: list[tuple[Judge, str, str]] = [
    (judge_shadow, f"{SHADOW}dropped_total{{reason=timeout}}", "dropped"),
    (judge_shadow, f"{SHADOW}latency_seconds_count{{backend=pgvector}}", "latency"),
    (judge_shadow, f"{SHADOW}agreement_at_5_count", "agreement"),
    (judge_shadow, f"{SHADOW}something_new_total", "something_new"),
    (shadow_silent, f"{SHADOW}ndcg_at_10_count", "ndcg"),
    (judge_backend, "retrieval_requests_total{backend=pgvector}", "backend=pgvector"),
    (judge_dual_write, "retrieval_dual_write_errors_total{target=pgvector}", "dual_write_errors"),
    (judge_dual_write, "retrieval_dual_write_skipped_total{reason=circuit_open}", "reason=circuit_open"),
    (judge_dual_write, "retrieval_dual_write_skipped_total{reason=Circuit-Open}", "reason=Circuit-Open"),
    (judge_dual_write, "retrieval_dual_write_latency_seconds_count", "latency"),
    (target_errors, "retrieval_errors_total{backend=pgvector,code=timeout}", "backend=pgvector"),
    (target_errors, "retrieval_dual_write_errors_total{target=pgvector}", "dual_write_errors"),
    (circuit_open, "retrieval_dual_write_skipped_total{reason=circuit_open}", "circuit_open"),
    (circuit_open, "retrieval_dual_write_outbox_size", "outbox"),
]


@pytest.mark.parametrize(("check", "series", "named"), MOVEMENTS)
def test_a_single_event_on_one_of_two_instances_fails_and_is_named(
    drill: Drill, check: Judge, series: str, named: str
) -> None:
    evidence = check(drill, served(instances=(A, B), only={B: {series: 1}}))
    assert evidence.verdict is Verdict.FAIL
    assert "b:2" in evidence.reason
    assert "a:1" not in evidence.reason
    assert named in evidence.reason


@pytest.mark.parametrize(("check", "series", "named"), MOVEMENTS)
def test_a_single_event_fails_even_where_nothing_could_be_proven(
    drill: Drill, check: Judge, series: str, named: str
) -> None:
    seen = window([snapshot(A)], [snapshot(A, {series: 1})], probes(0), unread={B: "b is down"})
    assert check(drill, seen).verdict is Verdict.FAIL


@pytest.mark.parametrize(
    ("check", "series"),
    [
        (judge_shadow, f"{SHADOW}latency_seconds_sum"),
        (judge_shadow, f"{SHADOW}enabled"),
        (judge_backend, "retrieval_requests_total"),
        (judge_dual_write, "retrieval_dual_write_skipped_total{reason=disabled}"),
        (judge_dual_write, "retrieval_dual_write_skipped_total{reason=flag-off}"),
        (judge_dual_write, "retrieval_dual_write_skipped_total{reason=feature_disabled}"),
        (judge_dual_write, "retrieval_dual_write_skipped_total{reason=Feature Flag Off}"),
        (judge_dual_write, "retrieval_dual_write_skipped_total{reason=OFF}"),
        (judge_dual_write, "retrieval_dual_write_outbox_dropped_total"),
        (judge_dual_write, "retrieval_dual_write_outbox_size"),
        (target_errors, "retrieval_errors_total{backend=faiss}"),
        (target_errors, "retrieval_errors_total"),
        (circuit_open, "retrieval_dual_write_skipped_total{reason=disabled}"),
    ],
)
def test_what_a_rolled_back_service_may_count_fails_nothing(drill: Drill, check: Judge, series: str) -> None:
    assert check(drill, served({series: 9})).verdict is Verdict.PASS


def test_old_counts_that_stand_still_fail_nothing(drill: Drill) -> None:
    old = {series: 7.0 for _, series, _ in MOVEMENTS}
    seen = window([snapshot(A, {FAISS: 0, **old})], [snapshot(A, {FAISS: 20, **old})], probes(20))
    for check in SILENT:
        assert check(drill, seen).verdict is Verdict.PASS


def test_what_a_new_process_did_before_the_first_reading_fails_but_for_the_circuit(drill: Drill) -> None:
    old = {series: 7.0 for _, series, _ in MOVEMENTS}
    seen = window([snapshot(A, {FAISS: 0, **old})], [snapshot(A, {FAISS: 20, **old})], probes(20), new=[A])
    for check in SILENT:
        expected = Verdict.PASS if check is circuit_open else Verdict.FAIL
        assert check(drill, seen).verdict is expected


@pytest.mark.parametrize(("skipped", "verdict"), [(3, Verdict.PASS), (3.1, Verdict.FAIL)])
@pytest.mark.parametrize("check", [circuit_open, judge_dual_write])
def test_the_configured_rate_of_open_circuits_is_allowed_over_the_window(
    tmp_path: Path, skipped: float, verdict: Verdict, check: Judge
) -> None:
    drill = make_drill(tmp_path, toml="[slo]\nmax_circuit_open_per_s = 0.1")
    seen = served({"retrieval_dual_write_skipped_total{reason=circuit_open}": skipped})
    assert check(drill, seen).verdict is verdict


@pytest.mark.parametrize(("skipped", "verdict"), [(2, Verdict.PASS), (2.1, Verdict.FAIL)])
def test_a_window_of_less_than_a_second_allows_what_a_second_does(
    tmp_path: Path, skipped: float, verdict: Verdict
) -> None:
    drill = make_drill(tmp_path, toml="[slo]\nmax_circuit_open_per_s = 2.0")
    seen = served({"retrieval_dual_write_skipped_total{reason=circuit_open}": skipped})
    brief = replace(seen, last=replace(seen.last, began=0.5))
    assert judge_dual_write(drill, brief).verdict is verdict
    assert circuit_open(drill, brief).verdict is verdict


@pytest.mark.parametrize(
    ("before", "after", "verdict"), [(5, 5, Verdict.PASS), (5, 2, Verdict.PASS), (5, 6, Verdict.FAIL)]
)
def test_the_outbox_must_not_grow(drill: Drill, before: float, after: float, verdict: Verdict) -> None:
    box = "retrieval_dual_write_outbox_size"
    seen = window([snapshot(A, {FAISS: 0, box: before})], [snapshot(A, {FAISS: 20, box: after})], probes(20))
    assert circuit_open(drill, seen).verdict is verdict


@pytest.mark.parametrize(
    ("at", "then", "verdict"),
    [
        (0.0, 5, Verdict.FAIL),
        (7.0, 5, Verdict.PASS),
        (15.0, 5, Verdict.PASS),
        (15.1, 5, Verdict.FAIL),
        (7.0, 4, Verdict.FAIL),
    ],
)
def test_an_outbox_that_is_taken_up_in_the_first_half_does_not_grow(
    drill: Drill, at: float, then: float, verdict: Verdict
) -> None:
    box = "retrieval_dual_write_outbox_size"
    drill.trace.keep(reading(-1.0, snapshot(A, {box: 9})))
    drill.trace.keep(reading(at, snapshot(A, {box: then})))
    seen = window([snapshot(A, {FAISS: 0, box: 0})], [snapshot(A, {FAISS: 20, box: 5})], probes(20))
    assert circuit_open(drill, seen).verdict is verdict


@pytest.mark.parametrize(
    ("sizes", "verdict"), [((1, 3, 5), Verdict.PASS), ((5, 3, 4), Verdict.FAIL), ((5, 5, 4), Verdict.FAIL)]
)
def test_an_outbox_is_measured_from_the_last_reading_of_the_first_half(
    drill: Drill, sizes: tuple[float, ...], verdict: Verdict
) -> None:
    box = "retrieval_dual_write_outbox_size"
    for at, size in zip((3.0, 6.0, 9.0), sizes, strict=True):
        drill.trace.keep(reading(at, snapshot(A, {box: size}), snapshot(B, {box: 0})))
    before, after = (
        [snapshot(A, {FAISS: 0}), snapshot(B, {FAISS: 0})],
        [
            snapshot(A, {FAISS: 20, box: 5}),
            snapshot(B, {FAISS: 20}),
        ],
    )
    assert circuit_open(drill, window(before, after, probes(20, (A, B)))).verdict is verdict


def test_an_outbox_whose_size_is_no_number_is_not_silent(drill: Drill) -> None:
    assert circuit_open(drill, served({"retrieval_dual_write_outbox_size": float("nan")})).verdict is Verdict.FAIL


def test_requests_that_faiss_did_not_count_leave_the_backend_unproven(drill: Drill) -> None:
    other = "retrieval_requests_total"
    seen = window([snapshot(A, {FAISS: 0, other: 0})], [snapshot(A, {FAISS: 19, other: 1})], probes(20))
    evidence = judge_backend(drill, seen)
    assert evidence.verdict is Verdict.INCONCLUSIVE
    assert evidence.reason == "FAISS did not count every probe: a:1 19 of 20"


def test_the_backend_is_proven_per_instance_not_in_sum(drill: Drill) -> None:
    before = [snapshot(A, {FAISS: 0}), snapshot(B, {FAISS: 0})]
    after = [snapshot(A, {FAISS: 60}), snapshot(B, {FAISS: 0, "retrieval_requests_total": 20})]
    evidence = judge_backend(drill, window(before, after, probes(20, (A, B))))
    assert evidence.verdict is Verdict.INCONCLUSIVE
    assert "b:2 0 of 20" in evidence.reason


def test_the_backend_s_evidence_counts_what_faiss_served(drill: Drill) -> None:
    evidence = judge_backend(drill, served(instances=(A, B), count=20))
    assert evidence.reason == "40 requests served by FAISS, none by anything else"
    assert evidence.detail["faiss requests b:2"] == 20

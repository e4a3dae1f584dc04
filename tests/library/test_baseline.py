"""Before and after: what the numbers of both sides mean, and what is said where there are none."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from drill.baseline import Side, baseline_of, by_probes, by_service, since_start
from drill.context import Drill
from drill.metrics.snapshot import Delta
from drill.probe import ProbeResult
from tests.library.world import A, B, make_drill, probes, reading, served, snapshot, window, with_probes

HISTOGRAM = {
    "retrieval_latency_seconds_bucket{backend=faiss,le=0.1}": 5,
    "retrieval_latency_seconds_bucket{backend=faiss,le=0.5}": 9,
    "retrieval_latency_seconds_bucket{backend=faiss,le=+Inf}": 10,
}


def counted(samples: Mapping[str, float], instance: str = A) -> Delta:
    return since_start(snapshot(instance, samples))


def test_the_service_s_side_counts_all_instances_together() -> None:
    mixed = {
        "retrieval_requests_total{backend=pgvector,tenant=t}": 60,
        "retrieval_requests_total{backend=faiss,tenant=t}": 0,
        "retrieval_errors_total{backend=pgvector}": 6,
    }
    side = by_service([counted(mixed), counted({"retrieval_requests_total{backend=faiss}": 40}, B)])
    assert side == Side(100, None, None, 0.06, {"pgvector": 0.6, "faiss": 0.4})


def test_quantiles_of_a_histogram_are_the_upper_bounds_of_their_buckets() -> None:
    side = by_service([counted({"retrieval_requests_total{backend=faiss}": 10, **HISTOGRAM})])
    assert side is not None
    assert (side.p50_ms, side.p95_ms) == (100.0, math.inf)


@pytest.mark.parametrize("samples", [{}, {"retrieval_requests_total{backend=faiss}": 0}])
def test_a_service_that_was_asked_nothing_has_no_side(samples: dict[str, float]) -> None:
    assert by_service([counted(samples)]) is None


def test_probes_count_failures_as_errors_and_only_good_ones_as_latency() -> None:
    results = probes(10, latency_s=0.02, bad=2).found
    assert by_probes(results) == Side(10, 20.0, 20.0, 0.2)
    assert by_probes([ProbeResult(0.0, A, 5.0, ok=False, error="HTTP 500")]) == Side(1, None, None, 1.0)
    assert by_probes([]) is None


def rolled_back(folder: Path, **choices: Any) -> Drill:
    """Return a drill that reloaded at second 10 and was observed over the window of 30 s."""
    drill = with_probes(make_drill(folder, **choices), probes(60, latency_s=0.01))
    drill.before = reading(0.0, snapshot(A, {"retrieval_requests_total{backend=pgvector}": 50}))
    drill.reload_began = 10.0
    return drill


def test_both_sides_of_a_rollback_are_there(tmp_path: Path) -> None:
    drill = rolled_back(tmp_path)
    drill.observed = served(count=20)
    baseline = baseline_of(drill)
    assert baseline.service_before == Side(50, None, None, 0.0, {"pgvector": 1.0})
    assert baseline.service_after == Side(20, None, None, 0.0, {"faiss": 1.0})
    assert baseline.probes_before is not None
    assert baseline.probes_after is not None
    assert 0 < baseline.probes_before.requests < 30 < baseline.probes_after.requests


def test_a_drill_that_changed_nothing_has_no_side_before(tmp_path: Path) -> None:
    drill = with_probes(make_drill(tmp_path), probes(20))
    first, last = snapshot(A, {"retrieval_requests_total{backend=faiss}": 5}), snapshot(A)
    drill.observed = window([first], [last], probes(20))
    drill.settled = drill.before = drill.observed.first
    baseline = baseline_of(drill)
    assert baseline.service_before is None
    assert baseline.probes_before is None
    assert baseline.probes_after is not None


def test_a_drill_that_never_looked_has_no_baseline_at_all(tmp_path: Path) -> None:
    baseline = baseline_of(make_drill(tmp_path))
    assert baseline == type(baseline)()

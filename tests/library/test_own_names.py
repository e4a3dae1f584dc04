"""A row names a metric as the service does: whoever is on call looks for that name."""

from pathlib import Path

import pytest

from drill.checks.preflight import _why_missing
from drill.metrics.snapshot import START_TIME
from drill.own_names import in_own_names
from drill.record import Evidence
from drill.rollback import Rollback
from drill.runner import Runner
from drill.verdict import Verdict
from tests.library.world import make_drill, snapshot

NAMES = {
    "retrieval_shadow_latency_seconds": "hirn_shadow",
    "retrieval_errors_total": "hirn.x_total",
    "retrieval_requests_total": "retrieval_errors_total",
}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a:1 retrieval_shadow_latency_seconds_count +3", "a:1 hirn_shadow_count +3"),
        ("retrieval_shadow_latency_seconds_bucket, retrieval_errors_total;", "hirn_shadow_bucket, hirn.x_total;"),
        ("retrieval_requests_total of a:1", "retrieval_errors_total of a:1"),  # once, not over and over
        (
            "my_retrieval_errors_total, retrieval_errors_total_more",
            "my_retrieval_errors_total, retrieval_errors_total_more",
        ),
        ("retrieval_dual_write_errors_total", "retrieval_dual_write_errors_total"),
    ],
)
def test_whole_names_are_said_as_the_service_says_them(text: str, told: str) -> None:
    assert in_own_names(text, NAMES) == told
    assert in_own_names(text, {}) == text


def test_the_reason_of_a_row_is_said_so(tmp_path: Path) -> None:
    drill = make_drill(tmp_path, toml='[metrics.names]\nretrieval_errors_total = "hirn_failures_total"\n')
    entry = Runner(drill, Rollback(drill)).check(
        "preflight.metrics", lambda _drill: Evidence(Verdict.INCONCLUSIVE, "a:1 does not expose retrieval_errors_total")
    )
    assert entry.evidence.reason == "a:1 does not expose hirn_failures_total"


def test_why_a_page_of_several_workers_lacks_families_is_said() -> None:
    """Labels that nobody has touched show nothing there, and such a page has no start of a process."""
    page = snapshot()
    assert "touch its labels" not in _why_missing(page, ["retrieval_errors_total"])
    assert "[service] worker_id" in _why_missing(page, [START_TIME])
    object.__setattr__(page, "workers", frozenset({"w1"}))
    told = _why_missing(page, ["retrieval_errors_total"])
    assert "touch its labels at the start" in told
    assert "[service] worker_id" not in told

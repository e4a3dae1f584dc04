"""Shadow reads are seen also where no counter counts them, and FAISS is FAISS in any spelling."""

from pathlib import Path

import pytest

from drill.checks.flags import judge_shadow
from drill.metrics.gauges import changed_gauges
from drill.metrics.names import Names
from drill.metrics.snapshot import Delta
from drill.proof.judge import prove_shadow
from drill.verdict import Verdict
from tests.library.world import MIGRATING, A, key, make_drill, probes, reading, snapshot, window

FAISS = "retrieval_requests_total{backend=faiss}"
AGREEMENT = "retrieval_shadow_agreement_at_5"
TOML = f'[service]\ninstances = ["{A}"]\n'


@pytest.mark.parametrize(
    ("series", "old", "new", "verdict"),
    [
        (AGREEMENT, 0.8, 0.7, Verdict.FAIL),
        (AGREEMENT, None, 0.7, Verdict.FAIL),
        (AGREEMENT, None, 1, Verdict.FAIL),
        (AGREEMENT, None, 0, Verdict.PASS),
        (AGREEMENT, 0.8, 0.8, Verdict.PASS),
        (AGREEMENT, 0.8, 0.0, Verdict.PASS),
        ("retrieval_shadow_sample_rate", 0.01, 0.01, Verdict.PASS),
        ("retrieval_shadow_sample_rate", None, 0.01, Verdict.PASS),
        ("retrieval_shadow_queue_size", 9, 4, Verdict.PASS),
        ("retrieval_shadow_queue_size", 4, 4, Verdict.PASS),
        ("retrieval_shadow_queue_size", 4, 9, Verdict.FAIL),
        ("retrieval_shadow_last_age_seconds", 4, 34, Verdict.PASS),
        ("retrieval_shadow_x_sum", 4, 34, Verdict.PASS),
        ("retrieval_shadow_x{quantile=0.5}", 4, 34, Verdict.PASS),
        ("retrieval_shadow_x_bucket{le=+Inf}", 4, 5, Verdict.FAIL),
        ("retrieval_shadow_x_bucket{le=0.1}", 4, 5, Verdict.PASS),
    ],
)
@pytest.mark.parametrize("new_process", [False, True])
def test_what_changes_inside_one_process_is_a_shadow_read(
    tmp_path: Path, series: str, old: float | None, new: float, verdict: Verdict, *, new_process: bool
) -> None:
    """What stands still, ends, waits less, or ages is none; counts of a new process begin at zero."""
    before = {FAISS: 5.0} | ({series: old} if old is not None else {})
    seen = window(
        [snapshot(A, before)],
        [snapshot(A, {FAISS: 25.0, series: new})],
        probes(20),
        new=(A,) if new_process else (),
    )
    assert judge_shadow(make_drill(tmp_path, toml=TOML), seen).verdict is verdict


def test_gauges_do_not_show_that_the_counters_can_speak(tmp_path: Path) -> None:
    """They stand still, and nothing counts: that proves nothing."""
    drill = make_drill(tmp_path, toml=TOML, env=MIGRATING)
    gauges = {
        AGREEMENT: 0.8,
        "retrieval_shadow_ndcg_at_10": 0.9,
        "retrieval_shadow_latency_seconds": 0.1,
        "retrieval_shadow_dropped_total": 0.0,
    }
    drill.before = reading(0.0, snapshot(A, gauges))
    seen = window([snapshot(A, {FAISS: 5, **gauges})], [snapshot(A, {FAISS: 25, **gauges})], probes(20), new=(A,))
    assert prove_shadow(drill, seen).verdict is Verdict.INCONCLUSIVE


def test_a_service_may_spell_faiss_as_it_likes() -> None:
    """Two spellings on one page are one backend."""
    found = {key("retrieval_requests_total{backend=FAISS}"): 2.0, key("retrieval_requests_total{backend=Faiss}"): 3.0}
    assert Names({}).samples(found) == {key(FAISS): 5.0}


def test_changed_gauges_are_counted_by_name_and_what_is_added_up_elsewhere_is_none() -> None:
    """Each tenant has a gauge of its own; the parts of a summary are no gauges."""
    tenants, summary = [f"{AGREEMENT}{{tenant={name}}}" for name in "abc"], "retrieval_shadow_x"
    before = snapshot(A, {**dict.fromkeys(tenants, 0.8), summary: 1.0, f"{summary}_count": 1.0})
    after = snapshot(A, {**dict.fromkeys(tenants[:2], 0.7), tenants[2]: 0.8, summary: 2.0, f"{summary}_count": 1.0})
    assert list(changed_gauges(Delta(before, after), "retrieval_shadow_", ())) == [(f"{AGREEMENT} (values changed)", 2)]

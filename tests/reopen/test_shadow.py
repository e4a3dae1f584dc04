"""What is concluded from the shadow counters of one rung."""

import pytest

from drill.config import Config
from drill.observation import Window
from drill.reopen.rungs import Rung
from drill.reopen.shadow import judge_shadow_reads
from drill.verdict import Verdict
from tests.library.world import A, B, probes, snapshot, window

AGREEMENT, NDCG = "retrieval_shadow_agreement_at_5", "retrieval_shadow_ndcg_at_10"
LATENCY, DROPPED = "retrieval_shadow_latency_seconds", "retrieval_shadow_dropped_total"
SERVED = "retrieval_requests_total{backend=faiss,tenant=default}"


def rung(rate: float = 1.0, tenants: tuple[str, ...] = ("default",)) -> Rung:
    return Rung(f"shadow-read {rate}", rate, dual_write=False, tenants=tenants, wanted={})


def held(
    *,
    served: float = 400,
    shadowed: float = 400,
    agreement: float = 0.97,
    ndcg: float = 0.97,
    slow: float = 0,
    dropped: float = 0,
    instances: tuple[str, ...] = (A,),
) -> Window:
    """Return a hold: ``slow`` of the shadow reads took more than the SLO, ``dropped`` were not finished."""
    done = shadowed - dropped
    samples = {
        SERVED: served,
        f"{AGREEMENT}_count": done,
        f"{AGREEMENT}_sum": done * agreement,
        f"{NDCG}_count": done,
        f"{NDCG}_sum": done * ndcg,
        f"{LATENCY}_count": done,
        f"{LATENCY}_bucket{{le=0.1}}": done - slow,
        f"{LATENCY}_bucket{{le=0.5}}": done - slow,
        f"{LATENCY}_bucket{{le=1.0}}": done,
        f"{LATENCY}_bucket{{le=+Inf}}": done,
        f"{DROPPED}{{reason=timeout}}": dropped,
    }
    after = [snapshot(name, samples) for name in instances]
    return window([snapshot(name) for name in instances], after, probes(20, instances))


def verdicts(seen: Window, on: Rung | None = None) -> dict[str, Verdict]:
    return {name: part.verdict for name, part in judge_shadow_reads(Config(), on or rung(), seen)}


def bad(seen: Window, on: Rung | None = None) -> dict[str, Verdict]:
    return {name: verdict for name, verdict in verdicts(seen, on).items() if verdict is not Verdict.PASS}


def test_a_target_that_agrees_and_keeps_up_holds() -> None:
    assert bad(held(instances=(A, B))) == {}
    assert bad(held(served=4000, shadowed=400), rung(0.1)) == {}


@pytest.mark.parametrize(
    ("seen", "part", "verdict"),
    [
        (held(shadowed=0), "sampled", Verdict.FAIL),
        (held(shadowed=200), "sampled", Verdict.FAIL),
        (held(served=200, shadowed=400), "sampled", Verdict.FAIL),
        (held(agreement=0.5), "agreement@5", Verdict.FAIL),
        (held(agreement=0.88), "agreement@5", Verdict.INCONCLUSIVE),
        (held(ndcg=0.4), "nDCG@10", Verdict.FAIL),
        (held(slow=40), "shadow latency", Verdict.FAIL),
        (held(dropped=40), "dropped", Verdict.FAIL),
        (held(dropped=10), "dropped", Verdict.INCONCLUSIVE),
    ],
)
def test_each_way_in_which_a_target_is_not_ready_shows_in_its_own_part(
    seen: Window, part: str, verdict: Verdict
) -> None:
    assert bad(seen)[part] is verdict


def test_too_few_shadow_reads_prove_nothing_but_none_at_all_where_many_were_due_is_bad() -> None:
    few = held(served=60, shadowed=5)
    assert bad(few, rung(0.1))["sampled"] is Verdict.INCONCLUSIVE
    assert bad(few, rung(0.1))["agreement@5"] is Verdict.INCONCLUSIVE
    assert bad(held(served=80, shadowed=0), rung(0.1))["sampled"] is Verdict.FAIL


def test_searches_of_tenants_that_do_not_take_part_must_not_be_shadowed() -> None:
    assert bad(held(served=400, shadowed=400), rung(1.0, tenants=("pilot",)))["sampled"] is Verdict.FAIL


def test_one_instance_that_shadows_nothing_is_found_and_named() -> None:
    good, lazy = held(instances=(A,)), held(shadowed=0, instances=(B,))
    both = Window(
        good.first,
        good.last,
        {**good.deltas, **lazy.deltas},
        {},
        good.probes + lazy.probes,
        {},
    )
    sampled = dict(judge_shadow_reads(Config(), rung(), both))["sampled"]
    assert sampled.verdict is Verdict.FAIL
    assert "b:2 shadowed 0" in sampled.reason


def test_without_any_instance_nothing_is_green() -> None:
    nobody = window([], [], probes(0))
    assert Verdict.PASS not in verdicts(nobody).values()

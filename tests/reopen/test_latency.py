"""Whether re-opening slows the primary down, by the probes before and now."""

from pathlib import Path

import pytest

from drill.context import Drill
from drill.record import Evidence
from drill.reopen.latency import not_slower, probe_latencies_ms
from drill.verdict import Verdict
from tests.library.world import Probes, make_drill, probes, served, with_probes


@pytest.fixture
def drill(tmp_path: Path) -> Drill:
    return make_drill(tmp_path)


def judge(drill: Drill, before_ms: list[float], now_ms: list[float]) -> Evidence:
    asked = probes(len(now_ms), latency_s=[value / 1000 for value in now_ms])
    return not_slower(with_probes(drill, asked), served(count=len(now_ms)), before_ms)


def test_latencies_are_those_of_good_answers_in_the_window_in_milliseconds(drill: Drill) -> None:
    asked = probes(4, latency_s=[0.5, 2.0, 1.0, 1.5], bad=1)
    late = [type(asked.found[0])(31.0, "a", 9.0, ok=True, error="")]
    assert probe_latencies_ms(with_probes(drill, Probes([*asked.found, *late])), served()) == [2000.0, 1000.0, 1500.0]


def test_the_same_latency_as_before_holds(drill: Drill) -> None:
    evidence = judge(drill, [100.0] * 150, [100.0] * 100)
    assert (evidence.verdict, evidence.samples, evidence.window_s) == (Verdict.PASS, 100, 30.0)
    assert evidence.reason == "P50 100.0 ms, then 100.0 ms; P95 100.0 ms, then 100.0 ms"


@pytest.mark.parametrize(("before", "now", "enough"), [(60, 60, True), (59, 60, False), (60, 59, False)])
def test_sixty_probes_are_needed_on_either_side(drill: Drill, before: int, now: int, enough: bool) -> None:
    evidence = judge(drill, [100.0] * before, [100.0] * now)
    assert evidence.verdict is (Verdict.PASS if enough else Verdict.INCONCLUSIVE)
    assert evidence.samples == now
    assert ("60 needed" in evidence.reason) is not enough


@pytest.mark.parametrize("quantile", ["P50", "P95"])
def test_a_median_or_a_tail_that_grows_is_not_proven_and_no_failure(drill: Drill, quantile: str) -> None:
    share = 8 if quantile == "P50" else 1
    before = [100.0 if n % 10 < 9 else 2000.0 for n in range(300)]
    calm = [100.0 if n % 100 < 99 else 9000.0 for n in range(300)]
    now = [400.0 if n % 10 < share else value for n, value in enumerate(before)]
    tail = [900.0 if n % 10 < share else value for n, value in enumerate(calm)]
    evidence = judge(drill, before, now) if quantile == "P50" else judge(drill, calm, tail)
    assert evidence.verdict is Verdict.INCONCLUSIVE
    assert evidence.reason.startswith(f"{quantile} ")
    assert "grew more than" in evidence.reason

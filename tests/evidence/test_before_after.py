"""The table of before and after: what each observer saw, and whether what is required was held."""

from dataclasses import replace

from drill.baseline import Baseline, Side
from drill.config import Slo
from drill.report.before_after import compare
from tests.evidence.timelines import BASELINE


def lines(baseline: Baseline) -> dict[str, tuple[str, str, str, str, bool | None]]:
    found = compare(baseline, Slo())
    return {one.name: (one.before, one.probes_before, one.after, one.probes_after, one.good) for one in found}


def test_both_observers_are_shown_on_both_sides() -> None:
    assert lines(BASELINE) == {
        "Latency P50": ("at most 500 ms", "320.4 ms", "at most 5 ms", "9.0 ms", True),
        "Latency P95": ("above its last bucket", "512.0 ms", "at most 50 ms", "13.5 ms", True),
        "Error rate": ("4 %", "25 %", "0 %", "0 %", True),
        "Answered by": ("faiss 10 %, pgvector 90 %", "", "faiss 100 %", "", True),
        "Searches seen": ("1,000", "12", "1,500", "303", None),
    }


def test_what_is_beyond_its_limit_after_is_not_held_whoever_saw_it() -> None:
    slow = Side(303, 151.0, 501.0, 0.02)
    found = lines(replace(BASELINE, probes_after=slow))
    assert [found[name][-1] for name in ("Latency P50", "Latency P95", "Error rate")] == [False] * 3
    mixed = replace(BASELINE, service_after=Side(10, 1.0, 1.0, 0.0, {"faiss": 0.99995, "pgvector": 0.00005}))
    assert lines(mixed)["Answered by"][2:] == ("faiss > 99.99 %, pgvector < 0.01 %", "", False)


def test_what_was_not_measured_is_said_and_never_held() -> None:
    found = lines(Baseline(service_before=Side(3)))
    assert found["Latency P95"] == ("not measured", "not measured", "not measured", "not measured", None)
    assert found["Answered by"][-1] is None
    assert found["Error rate"][-1] is None
    assert compare(None, Slo()) == compare(Baseline(), Slo()) == ()

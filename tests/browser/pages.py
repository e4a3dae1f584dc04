"""Reports of every kind of drill, for the browser."""

from functools import cache

from drill.record import DrillRecord, Evidence, RungRecord
from drill.report.material import Material, RawTest
from drill.report.render import render_page
from drill.report.timeline import Timeline
from drill.verdict import Result, Verdict
from tests.evidence.records import FLAGS_BEFORE, green, with_result
from tests.evidence.timelines import BASELINE, timeline

HEAD = "ab" * 32
TESTS = tuple(RawTest(f"drill_tests/test_it.py::test_{n}", "Passed", "12 ms", "see the table") for n in range(21))
KINDS = (*map(str, Result), "dry-run")


def material(record: DrillRecord, seen: Timeline | None) -> Material:
    undo = ("Put the previous env file back: cp -p .env.bak .env, then reload the service.",)
    return Material(record, FLAGS_BEFORE, HEAD, undo, seen, TESTS, "pytest-html 4")


@cache
def report(kind: str) -> str:
    """Return the report of a drill of this kind: a result, or ``dry-run``."""
    if kind == "dry-run":
        return render_page(material(green(apply=False), None))
    record = with_result(Result(kind))
    if kind == "success":
        held = Evidence(Verdict.PASS, "agreement and latency held")
        record.rungs = [RungRecord("shadow-read 10 %", {"FF_RETRIEVAL_SHADOW_READ": "ON"}, held, 60.0)]
    record.baseline = None if kind == "refused" else BASELINE
    record.entries["slo.alerts"].evidence = Evidence(
        Verdict.FAIL if kind == "failure" else Verdict.PASS,
        "see the names",
        1,
        "<=",
        0,
        12,
        30.0,
        "alerts",
        {
            "began to fire": "HighLatency",
            "fired before, resolved since": "TargetDown",
            "query": "max_over_time(ALERTS)",
        },
    )
    return render_page(material(record, None if kind == "refused" else timeline(growth=float(kind == "failure"))))

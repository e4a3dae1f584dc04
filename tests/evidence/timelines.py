"""What drills saw over time, made by hand, for the tests of plots and pages."""

from collections.abc import Mapping
from dataclasses import replace

from drill.baseline import Baseline, Side
from drill.config import Slo
from drill.metrics.histogram import Buckets
from drill.metrics.snapshot import Key
from drill.report.timeline import Sample, Timeline
from drill.trace import Mark, MarkKind, Moment

A, B = "http://10.0.0.11:8000", "http://10.0.0.12:8000"
INF = float("inf")
ROWS = (
    ("preflight.env_file", 0.0, 0.1),
    ("preflight.service", 0.1, 0.4),
    ("disable_dual_write", 0.4, 8.0),
    ("purge_delta", 8.0, 8.5),
    ("disable_shadow_read", 8.5, 8.51),
    ("force_faiss", 8.51, 8.6),
    ("slo.latency", 9.0, 33.0),
)
SHADOW: Key = ("retrieval_shadow_latency_seconds_count", frozenset({("backend", "pgvector"), ("sample", "1.0")}))
ERRORS: Key = ("retrieval_dual_write_errors_total", frozenset({("target", "pgvector"), ("tenant", "default")}))
OPEN: Key = ("retrieval_dual_write_skipped_total", frozenset({("reason", "circuit_open")}))
OFF: Key = ("retrieval_dual_write_skipped_total", frozenset({("reason", "off")}))
OUTBOX: Key = ("retrieval_dual_write_outbox_size", frozenset())


BASELINE = Baseline(
    Side(1000, 500.0, INF, 0.04, {"pgvector": 0.9, "faiss": 0.1}),
    Side(1500, 5.0, 50.0, 0.0, {"faiss": 1.0}),
    Side(12, 320.4, 512.0, 0.25),
    Side(303, 9.0, 13.5, 0.0),
)


def samples(count: int, *, bad: frozenset[int] = frozenset(), seconds: float = 33.0) -> tuple[Sample, ...]:
    """Return ``count`` probes over ``seconds``, of both instances in turn; those numbered ``bad`` failed."""
    return tuple(
        Sample(0.3 + seconds * n / count, 0.004 + (n * 7919 % 101) / 10_000, n not in bad, (A, B)[n % 2])
        for n in range(count)
    )


def moments(growth: float = 0.0, instances: tuple[str, ...] = (A, B)) -> tuple[Moment, ...]:
    """Return readings before and after the reload; the first instance's shadow counter grows by ``growth`` at each."""
    before: Mapping[Key, float] = {SHADOW: 120.0, ERRORS: 14.0, OPEN: 9.0, OUTBOX: 40.0}
    found = [Moment(0.4, dict.fromkeys(instances, before))]
    for n in range(12):
        quiet: dict[Key, float] = {OFF: 3.0 * n, OUTBOX: 0.0}
        values: dict[str, Mapping[Key, float]] = dict.fromkeys(instances, quiet)
        values[instances[0]] = {**quiet, SHADOW: growth * n}
        found.append(Moment(2.6 + 2.5 * n, values))
    return tuple(found)


def timeline(count: int = 330, *, bad: frozenset[int] = frozenset({4, 6, 8, 11}), growth: float = 0.0) -> Timeline:
    """Return a rollback as it usually goes."""
    bounds = (0.005, 0.01, 0.05, 0.1, 0.5, 1.0, INF)
    return Timeline(
        slo=Slo(),
        samples=samples(count, bad=bad),
        marks=(Mark(MarkKind.RELOAD, "reload", 0.5, 2.5), *(Mark(MarkKind.ROW, *row) for row in ROWS)),
        written_s=0.1,
        safe_s=8.0,
        settled_s=2.6,
        window=(2.6, 33.0),
        moments=moments(growth),
        new_processes=frozenset({A, B}),
        latency_before=Buckets(bounds, (0, 10, 100, 200, 700, 900, 1000)),
        latency_after=Buckets(bounds, (1000, 1400, 1490, 1500, 1500, 1500, 1500)),
    )


def named(*instances: str) -> Timeline:
    """Return the same with instances of other names."""
    known = timeline()
    renamed = (replace(one, instance=instances[n % len(instances)]) for n, one in enumerate(known.samples))
    return replace(known, samples=tuple(renamed), moments=moments(1.0, instances))

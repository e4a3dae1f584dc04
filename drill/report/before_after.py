"""Before and after, side by side: P50, P95, error rate and the backends that answered, with what is required."""

from collections.abc import Sequence
from dataclasses import dataclass

from drill.report.plots.latency import interval_ms
from drill.report.text import percent
from drill.report.timeline import Timeline
from drill.report.traffic import Traffic
from drill.stats import quantile


@dataclass(frozen=True, slots=True)
class Comparison:
    """One line of the table. ``good``: whether what was measured after is within the limit; ``None`` if unknown."""

    name: str
    before: str
    after: str
    probes: str
    limit: str
    good: bool | None


UNKNOWN = "not measured"


def compare(timeline: Timeline | None) -> tuple[Comparison, ...]:
    """Return the lines, none if nothing was measured after the rollback nor before it."""
    if timeline is None or (timeline.before is None and timeline.after is None):
        return ()
    return (
        _latency(timeline, "P50", 0.5, timeline.slo.p50_ms),
        _latency(timeline, "P95", 0.95, timeline.slo.p95_ms),
        _errors(timeline),
        _backends(timeline),
    )


def _latency(timeline: Timeline, name: str, q: float, limit: float) -> Comparison:
    samples = timeline.between(*timeline.window) if timeline.window else []
    values = sorted(sample.latency_s * 1000 for sample in samples if sample.ok)
    measured = quantile(values, q) if values else None
    before, after = (_quantile(side, q) for side in (timeline.before, timeline.after))
    probes = UNKNOWN if measured is None else f"{measured:.1f} ms"
    return Comparison(
        f"Latency {name}",
        before,
        after,
        probes,
        f"at most {limit:g} ms",
        None if measured is None else measured <= limit,
    )


def _quantile(side: Traffic | None, q: float) -> str:
    if side is None or side.latency is None or not side.latency.samples:
        return UNKNOWN
    return interval_ms(side.latency, q)


def _errors(timeline: Timeline) -> Comparison:
    limit = timeline.slo.error_rate
    before, after = ((None if side is None else side.error_rate) for side in (timeline.before, timeline.after))
    samples = timeline.between(*timeline.window) if timeline.window else []
    bad = sum(not sample.ok for sample in samples)
    probes = f"{percent(bad / len(samples))} ({bad} of {len(samples):,})" if samples else UNKNOWN
    good = None if after is None else after <= limit and (not samples or bad / len(samples) <= limit)
    return Comparison("Error rate", _rate(before), _rate(after), probes, f"at most {percent(limit)}", good)


def _rate(rate: float | None) -> str:
    return UNKNOWN if rate is None else percent(rate)


def _backends(timeline: Timeline) -> Comparison:
    after = timeline.after.requests if timeline.after else {}
    others = sum(count for backend, count in after.items() if backend != "faiss")
    good = None if not sum(after.values()) else others == 0
    return Comparison("Answered by", _shares(timeline.before), _shares(timeline.after), "", "FAISS only", good)


def _shares(side: Traffic | None) -> str:
    if side is None or not side.total:
        return UNKNOWN
    ranked: Sequence[tuple[str, float]] = sorted(side.requests.items(), key=lambda item: -item[1])
    return ", ".join(f"{backend} {percent(count / side.total)}" for backend, count in ranked if count)

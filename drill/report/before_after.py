"""Before and after, side by side: P50, P95, error rate and the backends that answered, with what is required."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from drill.baseline import Baseline, Side
from drill.config import Slo
from drill.report.text import percent, scalar

UNKNOWN = "not measured"
Value = Callable[[Side], float | None]


@dataclass(frozen=True, slots=True)
class Comparison:
    """One line of the table. ``good``: whether what was measured after is within the limit; ``None`` if unknown."""

    name: str
    before: str
    probes_before: str
    after: str
    probes_after: str
    limit: str
    good: bool | None


def compare(baseline: Baseline | None, slo: Slo) -> tuple[Comparison, ...]:
    """Return the lines of the table, none if neither side was measured."""
    if baseline is None or baseline == Baseline():
        return ()
    return (
        _latency(baseline, "P50", lambda side: side.p50_ms, slo.p50_ms),
        _latency(baseline, "P95", lambda side: side.p95_ms, slo.p95_ms),
        _errors(baseline, slo.error_rate),
        _backends(baseline),
        _searches(baseline),
    )


def _latency(baseline: Baseline, name: str, value: Value, limit: float) -> Comparison:
    def counted(side: Side | None) -> str:
        found = None if side is None else value(side)
        return UNKNOWN if found is None else "above its last bucket" if math.isinf(found) else f"at most {found:g} ms"

    def probed(side: Side | None) -> str:
        found = None if side is None else value(side)
        return UNKNOWN if found is None else f"{found:.1f} ms"

    after = None if baseline.probes_after is None else value(baseline.probes_after)
    return Comparison(
        f"Latency {name}",
        counted(baseline.service_before),
        probed(baseline.probes_before),
        counted(baseline.service_after),
        probed(baseline.probes_after),
        f"at most {limit:g} ms",
        None if after is None else after <= limit,
    )


def _errors(baseline: Baseline, limit: float) -> Comparison:
    def rate(side: Side | None) -> str:
        return UNKNOWN if side is None or side.error_rate is None else percent(side.error_rate)

    afters = (baseline.service_after, baseline.probes_after)
    rates = [side.error_rate for side in afters if side is not None and side.error_rate is not None]
    good = max(rates) <= limit if rates else None
    return Comparison("Error rate", *_each(baseline, rate), f"at most {percent(limit)}", good)


def _backends(baseline: Baseline) -> Comparison:
    def shares(side: Side | None) -> str:
        if side is None or not side.backend_share:
            return UNKNOWN
        return ", ".join(f"{name} {percent(share)}" for name, share in sorted(side.backend_share.items()))

    after = baseline.service_after.backend_share if baseline.service_after else {}
    good = set(after) == {"faiss"} if after else None
    before, _, now, _ = _each(baseline, shares)
    return Comparison("Answered by", before, "", now, "", "FAISS only", good)


def _searches(baseline: Baseline) -> Comparison:
    def count(side: Side | None) -> str:
        return UNKNOWN if side is None else scalar(side.requests)

    return Comparison("Searches seen", *_each(baseline, count), "", None)


def _each(baseline: Baseline, show: Callable[[Side | None], str]) -> tuple[str, str, str, str]:
    sides = (baseline.service_before, baseline.probes_before, baseline.service_after, baseline.probes_after)
    before, probes_before, after, probes_after = map(show, sides)
    return before, probes_before, after, probes_after

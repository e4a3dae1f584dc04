"""Step 6: latency and errors, over the observation window that lies wholly after the last reload."""

import math
from collections.abc import Iterable, Mapping

from drill.checks.failures import Failures, by_kind, kind_of
from drill.checks.limited_users import users_limited
from drill.checks.silence import doubts
from drill.checks.unmeasured import stood_still, too_few, why_few
from drill.context import Drill
from drill.metrics.histogram import Buckets, latency_buckets, without_buckets
from drill.metrics.status import status_of
from drill.observation import Window
from drill.record import Evidence, Scalar
from drill.stats import quantile, quantile_bounds, rate_bounds
from drill.verdict import Verdict, worst

LATENCY = "retrieval_latency_seconds"
NATIVE = (
    f"{LATENCY} counts without buckets, as a native histogram does: its quantiles are not judged, let Prometheus "
    "scrape the classic buckets as well"
)
MIN_OBSERVED = 0.9
"""Observations per request of the same window below which a histogram has lost requests (METRICS.md, number 35)."""


def latency(drill: Drill, window: Window) -> Evidence:
    """Judge P50 and P95 of the service's own histogram and of the drill's probes against the SLO."""
    slo = drill.config.slo
    probes = sorted(r.latency_s * 1000 for r in drill.prober.results(window.first.ended, window.last.began) if r.ok)
    buckets = latency_buckets(window.deltas.values(), LATENCY, backend="faiss")
    detail: dict[str, Scalar] = {"probes": len(probes), "histogram samples": buckets.samples if buckets else 0}
    detail |= window.asked
    samples = int(min(len(probes), buckets.samples if buckets else 0))
    if len(probes) < slo.min_requests:
        reason = too_few(drill, window, len(probes), "probes answered")
        return Evidence(Verdict.INCONCLUSIVE, reason, samples=samples, window_s=window.seconds, detail=detail)
    parts = []
    for name, q, limit in (("P50", 0.5, slo.p50_ms), ("P95", 0.95, slo.p95_ms)):
        detail[f"{name} probes ms"] = round(quantile(probes, q), 2)
        parts.append(_judge_probes(name, probes, q, limit))
        parts.append(_judge_histogram(name, buckets, q, limit, detail))
    parts.append(_lost(window, buckets))
    if without_buckets(window.deltas.values(), LATENCY):
        parts.append((Verdict.INCONCLUSIVE, NATIVE))
    parts.append(doubts(window, (LATENCY,)))
    parts.append(stood_still(drill, window))
    final = worst(part[0] for part in parts)
    reason = "; ".join(text for part, text in parts if part is final and text)
    p95 = quantile(probes, 0.95)
    return Evidence(final, reason, round(p95, 2), "<=", slo.p95_ms, samples, window.seconds, " ms", detail)


def _judge_probes(name: str, probes: list[float], q: float, limit: float) -> tuple[Verdict, str]:
    low, high = quantile_bounds(probes, q)
    text = f"{name} of {len(probes)} probes {quantile(probes, q):.1f} ms"
    if low > limit:
        return Verdict.FAIL, f"{text} > {limit:g} ms"
    if high <= limit:
        return Verdict.PASS, text
    return Verdict.INCONCLUSIVE, f"{text}, between {low:.1f} and {high:.1f} ms: too near to {limit:g} ms to tell"


def _judge_histogram(
    name: str, buckets: Buckets | None, q: float, limit: float, detail: dict[str, Scalar]
) -> tuple[Verdict, str]:
    """Judge the bucket that holds the quantile; where the limit lies inside it, the probes decide."""
    if buckets is None or buckets.samples <= 0:
        return (
            Verdict.INCONCLUSIVE,
            f"{LATENCY} has no FAISS observations in the window, or instances differ in buckets",
        )
    low, high = (1000 * bound for bound in buckets.interval(q))
    detail[f"{name} histogram ms"] = f"({low:g}, {high:g}]"
    if low >= limit:
        return Verdict.FAIL, f"{name} of {buckets.samples:g} requests by the histogram > {low:g} ms, limit {limit:g} ms"
    if math.isinf(high):
        return Verdict.INCONCLUSIVE, f"{name} lies above the histogram's last bound of {low:g} ms: unknown and large"
    return Verdict.PASS, ""


def _lost(window: Window, buckets: Buckets | None) -> tuple[Verdict, str]:
    """Doubt a histogram that does not hold the requests of its window: failed ones may be those that took longest."""
    requests = sum(delta.growth("retrieval_requests_total", backend="faiss") for delta in window.deltas.values())
    if buckets is None or buckets.samples >= MIN_OBSERVED * requests:
        return Verdict.PASS, ""
    return Verdict.INCONCLUSIVE, f"{LATENCY} holds {buckets.samples:g} of {requests:g} requests"


def errors(drill: Drill, window: Window) -> Evidence:
    """Judge the share of failed requests: by retrieval metrics, by HTTP status, and of the drill's own probes."""
    slo = drill.config.slo
    deltas = window.deltas.values()
    counted = [pair for delta in deltas for pair in delta.moved("retrieval_errors_total")]
    http = [pair for delta in deltas for pair in delta.moved("http_requests_total")]
    asked = drill.prober.results(window.first.ended, window.last.began)
    probes = [result for result in asked if result.apart is None]
    ways = [
        Failures(
            "retrieval requests",
            sum(delta.growth("retrieval_requests_total") for delta in deltas),
            by_kind((labels.get("code", ""), value) for labels, value in counted),
        ),
        Failures(
            "HTTP requests",
            sum(value for _, value in http),
            by_kind((status_of(labels), value) for labels, value in http if status_of(labels).startswith("5")),
        ),
        Failures("probes", len(probes), by_kind((kind_of(result.error), 1) for result in probes if result.failed)),
    ]
    ways = [way for way in ways if http or way.name != "HTTP requests"]
    detail: dict[str, Scalar] = {**{f"{way.name} failed": way.count for way in ways}, **window.asked}
    detail |= {"probes that say nothing of the service": len(asked) - len(probes)} if len(asked) > len(probes) else {}
    parts = [_judge_rate(way, slo.error_rate, slo.min_requests) for way in ways]
    parts.append(_without_status(http))
    parts.append(users_limited(drill, window))
    parts.append(doubts(window, ("retrieval_errors_total", "retrieval_requests_total")))
    parts.append(stood_still(drill, window))
    final = worst(part[0] for part in parts)
    reason = "; ".join(text for part, text in parts if part is final and text)
    if final is Verdict.INCONCLUSIVE and len(probes) < slo.min_requests:
        reason = "; ".join([reason, *why_few(drill, window)])
    rate = max((way.bad / way.total for way in ways if way.total), default=None)
    samples = int(min(way.total for way in ways))
    return Evidence(final, reason, rate, "<=", slo.error_rate, samples, window.seconds, "", detail)


def _without_status(http: Iterable[tuple[Mapping[str, str], float]]) -> tuple[Verdict, str]:
    """Doubt HTTP requests of which nobody can say how they ended."""
    count = sum(value for labels, value in http if not status_of(labels))
    if count <= 0:
        return Verdict.PASS, ""
    return Verdict.INCONCLUSIVE, (
        f"{count:g} HTTP requests carry no status, so failures among them cannot be seen: "
        "http_requests_total needs a label such as status, status_code or code (503, or 5xx)"
    )


def _judge_rate(way: Failures, limit: float, least: int) -> tuple[Verdict, str]:
    low, high = rate_bounds(way.bad, way.total)
    if way.total and low > limit:
        return Verdict.FAIL, f"{way}, limit {limit:.2%}"
    if way.total < least:
        return Verdict.INCONCLUSIVE, f"{way.total:g} {way.name}, {least} needed"
    if high <= limit:
        return Verdict.PASS, str(way)
    return Verdict.INCONCLUSIVE, f"{way}: the true rate may be up to {high:.2%}, limit {limit:.2%}"

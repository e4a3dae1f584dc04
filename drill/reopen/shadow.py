"""What shadow-read shows of the target on one rung: is it asked as often as it was set, and does it agree."""

import math
from collections.abc import Iterator

from drill.checks.silence import short
from drill.config import Config
from drill.metrics.histogram import latency_buckets
from drill.metrics.snapshot import Delta
from drill.observation import Window
from drill.record import Evidence
from drill.reopen.rungs import Rung
from drill.stats import rate_bounds
from drill.verdict import Verdict

AGREEMENT = "retrieval_shadow_agreement_at_5"
NDCG = "retrieval_shadow_ndcg_at_10"
LATENCY = "retrieval_shadow_latency_seconds"
DROPPED = "retrieval_shadow_dropped_total"
MIN_SAMPLES = 20
"""Shadow reads below which agreement, latency and drops are not judged."""
MIN_EXPECTED = 10.0
"""Shadow reads that must be due on an instance before their number says anything of the sample rate."""
ZERO_DUE = 7.0
"""Shadow reads due from which on none at all is no chance any more: e^-7 is one in a thousand."""
SIGMAS = 4.0
SLACK = 0.05
"""Share by which the number of shadow reads may differ beyond chance: some of them end outside the window."""
SLACK_READS = 5
SLOW_SHARE = 0.05
"""Share that may be slower than P95."""
Z_95 = 1.645

Part = tuple[str, Evidence]


def judge_shadow_reads(config: Config, rung: Rung, window: Window) -> Iterator[Part]:
    """Yield a named judgement for each thing that shadow-read has to show on this rung."""
    yield "sampled", _sampled(rung, window)
    yield "agreement@5", _mean(AGREEMENT, "agreement@5", config.reopen.min_agreement_at_5, window)
    yield "nDCG@10", _mean(NDCG, "nDCG@10", config.reopen.min_ndcg_at_10, window)
    yield "shadow latency", _latency(config.slo.p95_ms, window)
    yield "dropped", _dropped(config.reopen.max_drop_rate, window)


def _attempts(delta: Delta) -> float:
    return delta.growth(f"{LATENCY}_count") + delta.growth(DROPPED)


def _sampled(rung: Rung, window: Window) -> Evidence:
    """Judge that every instance shadows the share of searches that was set: not none, not fewer, not more."""
    if not window.deltas:
        return Evidence(Verdict.ERROR, "no instance could be read")
    worst_part = Evidence(Verdict.PASS, "")
    total = 0.0
    for name, delta in window.deltas.items():
        served = sum(
            delta.growth("retrieval_requests_total", backend="faiss", tenant=tenant) for tenant in rung.tenants
        )
        made, due = _attempts(delta), served * rung.shadow_rate
        total += made
        spread = SIGMAS * math.sqrt(due * (1 - rung.shadow_rate)) + SLACK * due + SLACK_READS
        seen = f"{short(name)} shadowed {made:g} of {served:g} searches, about {due:.0f} were due"
        part = Evidence(Verdict.PASS, seen, made, ">=", round(due - spread, 1), int(served), window.seconds)
        if (made == 0 and due >= ZERO_DUE) or abs(made - due) > spread:
            part = part.judged(Verdict.FAIL, f"{seen}: the flag, its sample rate or allow-list did not take effect")
        elif due < MIN_EXPECTED:
            part = part.judged(Verdict.INCONCLUSIVE, f"{seen}: too few to tell; hold longer")
        if part.verdict.rank > worst_part.verdict.rank:
            worst_part = part
    return (
        worst_part
        if worst_part.verdict is not Verdict.PASS
        else worst_part.judged(Verdict.PASS, f"{total:g} shadow reads, as many as were due on each instance")
    )


def _mean(family: str, name: str, least: float, window: Window) -> Evidence:
    """Judge a mean of values from 0 to 1; its error is bounded by that of the widest distribution they can have."""
    count = sum(delta.growth(f"{family}_count") for delta in window.deltas.values())
    if count < MIN_SAMPLES:
        reason = f"{name} of {count:g} shadow reads, {MIN_SAMPLES} needed; hold longer"
        return Evidence(Verdict.INCONCLUSIVE, reason, samples=int(count), window_s=window.seconds)
    mean = sum(delta.growth(f"{family}_sum") for delta in window.deltas.values()) / count
    seen = Evidence(Verdict.PASS, f"{name} {mean:.3f}", round(mean, 4), ">=", least, int(count), window.seconds)
    if mean >= least:
        return seen
    if mean + Z_95 * 0.5 / math.sqrt(count) < least:
        return seen.judged(Verdict.FAIL, f"{name} {mean:.3f} of {count:g} shadow reads, at least {least:g} is required")
    return seen.judged(Verdict.INCONCLUSIVE, f"{name} {mean:.3f} of {count:g}: too near to {least:g} to tell")


def _latency(limit_ms: float, window: Window) -> Evidence:
    """Judge P95 of the shadow reads against the SLO: the target would have to serve within it one day."""
    buckets = latency_buckets(window.deltas.values(), LATENCY)
    if buckets is None or buckets.samples < MIN_SAMPLES:
        return Evidence(Verdict.INCONCLUSIVE, f"fewer than {MIN_SAMPLES} shadow latencies, or buckets that differ")
    low, high = (1000 * bound for bound in buckets.interval(0.95))
    samples = int(buckets.samples)
    seen = Evidence(
        Verdict.PASS, f"shadow P95 at most {high:g} ms", high, "<=", limit_ms, samples, window.seconds, " ms"
    )
    if low >= limit_ms:
        within = [count for bound, count in zip(buckets.bounds, buckets.counts, strict=True) if 1000 * bound <= low]
        slower = buckets.samples - max(within, default=0.0)
        text = f"shadow P95 above {low:g} ms, limit {limit_ms:g} ms ({slower:g} of {samples} were slower)"
        return seen.judged(Verdict.FAIL if rate_bounds(slower, samples)[0] > SLOW_SHARE else Verdict.INCONCLUSIVE, text)
    if high > limit_ms:
        reason = f"shadow P95 between {low:g} and {high:g} ms: [slo] p95_ms {limit_ms:g} lies inside that bucket"
        return seen.judged(Verdict.INCONCLUSIVE, reason)
    return seen


def _dropped(limit: float, window: Window) -> Evidence:
    """Judge the share of shadow reads that were dropped: no room, no answer in time, an error."""
    made = sum(_attempts(delta) for delta in window.deltas.values())
    dropped = sum(delta.growth(DROPPED) for delta in window.deltas.values())
    if made < MIN_SAMPLES:
        return Evidence(Verdict.INCONCLUSIVE, f"{made:g} shadow reads, {MIN_SAMPLES} needed; hold longer")
    text = f"{dropped:g} of {made:g} shadow reads dropped"
    seen = Evidence(Verdict.PASS, text, round(dropped / made, 4), "<=", limit, int(made), window.seconds)
    if dropped / made <= limit:
        return seen
    return seen.judged(Verdict.FAIL if rate_bounds(dropped, made)[0] > limit else Verdict.INCONCLUSIVE, text)

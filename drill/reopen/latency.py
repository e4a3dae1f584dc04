"""Whether re-opening slows the primary down: the probes of a hold against those of the rolled-back service."""

from drill.checks.post import stable
from drill.context import Drill
from drill.observation import Window
from drill.record import Evidence
from drill.verdict import Verdict, worst
from drill.words import count

MIN_SAMPLES = 60
"""Probes on either side below which P95 has no upper bound (METRICS.md, number 45)."""


def probe_latencies_ms(drill: Drill, window: Window) -> list[float]:
    """Return the latencies of the probes that were answered well in ``window``, in order of time."""
    found = drill.prober.results(window.first.ended, window.last.began)
    return [result.latency_s * 1000 for result in found if result.ok]


def not_slower(drill: Drill, window: Window, baseline_ms: list[float]) -> Evidence:
    """Judge P50 and P95 of the probes against those before the ladder.

    Slower, but within the SLO, is no failure of the rung: it is not proven, and held on.
    """
    slo, now = drill.config.slo, probe_latencies_ms(drill, window)
    if min(len(now), len(baseline_ms)) < MIN_SAMPLES:
        reason = f"{count(len(now), 'probe')} against {len(baseline_ms)} before, {MIN_SAMPLES} needed"
        return Evidence(Verdict.INCONCLUSIVE, reason, samples=len(now))
    parts = [
        stable("P50", baseline_ms, now, 0.5, slo.max_p50_ratio, slo.p50_ms),
        stable("P95", baseline_ms, now, 0.95, slo.max_p95_ratio, slo.p95_ms),
    ]
    slower = worst(verdict for verdict, _ in parts)
    reason = "; ".join(text for verdict, text in parts if verdict is slower)
    final = Verdict.INCONCLUSIVE if slower is Verdict.FAIL else slower
    return Evidence(final, reason, samples=len(now), window_s=window.seconds)

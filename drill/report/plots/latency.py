"""How latency was spread before and after: the share of searches answered within a time."""

from dataclasses import replace
from typing import TYPE_CHECKING

from drill.metrics.histogram import Buckets
from drill.report.plots import Legend, Plot
from drill.report.plots.svg import GOOD, INSTANCES, SOFT, WARN, Canvas, milliseconds_axis
from drill.report.text import of
from drill.report.timeline import Timeline
from drill.stats import quantile

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NAME = "latency"
MAX_POINTS = 400


def describe(timeline: Timeline) -> Plot | None:
    """Say how latency was spread, or return ``None`` if nothing was measured."""
    probes = _probes(timeline)
    before, after = timeline.latency_before, timeline.latency_after
    words, legend = [], []
    if before is not None and before.samples:
        words.append(f"Before, {before.samples:,.0f} searches since the service started: {_quantiles(before)}.")
        legend.append(Legend("\N{EM DASH}", "inconclusive", "before, by the service since its start"))
    if after is not None and after.samples:
        words.append(f"After, {after.samples:,.0f} searches in the observation window: {_quantiles(after)}.")
        legend.append(Legend("\N{EM DASH}", "pass", "after, by the service in the observation window"))
    if probes:
        p50, p95 = (quantile(probes, q) for q in (0.5, 0.95))
        words.append(f"After, {of(len(probes), 'probe')} of the drill: P50 {p50:.1f} ms, P95 {p95:.1f} ms.")
        legend.append(Legend("\N{EM DASH}", "instance-1", "after, by the drill's own probes"))
    if not words:
        return None
    slo = timeline.slo
    words.append(f"Limits: P50 {slo.p50_ms:g} ms, P95 {slo.p95_ms:g} ms.")
    return Plot(NAME, "Latency before and after", " ".join(words), "", tuple(legend))


def draw(timeline: Timeline, plot: Plot) -> Plot:
    """Return ``plot`` with its figure."""
    canvas = Canvas(7.2, 2.7)
    probes, slo = _probes(timeline), timeline.slo
    with canvas as figure:
        axes = figure.subplots(gridspec_kw={"left": 0.1, "right": 0.98, "bottom": 0.18, "top": 0.9})
        sides = [(timeline.latency_before, WARN), (timeline.latency_after, GOOD)]
        bounds = [1000 * bound for side, _ in sides if side for bound in side.bounds[:-1] if bound > 0]
        lows, highs = [*bounds, *probes[:1], slo.p50_ms], [*bounds, *probes[-1:], slo.p95_ms]
        milliseconds_axis(axes, "x", min(lows) / 2, max(highs) * 1.5)
        for side, colour in sides:
            if side is not None and side.samples:
                _staircase(axes, side, colour, min(lows) / 2)
        if probes:
            chosen = probes[:: max(1, len(probes) // MAX_POINTS)] + probes[-1:]
            shares = (
                [100 * (probes.index(value) + 1) / len(probes) for value in chosen]
                if len(probes) < MAX_POINTS
                else [100 * n / (len(chosen) - 1) for n in range(len(chosen))]
            )
            axes.plot(chosen, shares, color=INSTANCES[0], linewidth=1.3, linestyle=(0, (1, 1)))
        for name, share, limit in (("P50", 50, slo.p50_ms), ("P95", 95, slo.p95_ms)):
            axes.plot([limit, limit], [0, share], color=SOFT, linewidth=0.9, linestyle=(0, (5, 3)))
            align, shift = ("right", -3) if name == "P50" else ("left", 3)
            axes.annotate(
                f"{name} at most {limit:g} ms",
                (limit, share - 9),
                xytext=(shift, 0),
                ha=align,
                textcoords="offset points",
                fontsize=8,
                color=SOFT,
            )
        axes.set_ylim(0, 103)
        axes.set_yticks([0, 50, 95], ["0 %", "50 %", "95 %"])
        axes.grid(axis="y")
        axes.set_xlabel("answered within")
        axes.set_ylabel("share of searches")
    return replace(plot, svg=canvas.markup(NAME, plot.title, plot.text))


def _staircase(axes: "Axes", buckets: Buckets, colour: str, low: float) -> None:
    """Draw what a histogram knows: at each bound the share below it, and nothing in between."""
    at = [low, *(1000 * bound for bound in buckets.bounds[:-1])]
    share = [0.0, *(100 * count / buckets.samples for count in buckets.counts[:-1])]
    axes.step(at, share, where="post", color=colour, linewidth=1.8)


def _probes(timeline: Timeline) -> list[float]:
    """Return the latency of the probes answered in the window, sorted, in milliseconds."""
    if timeline.window is None:
        return []
    return sorted(sample.latency_s * 1000 for sample in timeline.between(*timeline.window) if sample.ok)


def _quantiles(buckets: Buckets) -> str:
    return ", ".join(f"{name} {interval_ms(buckets, q)}" for name, q in (("P50", 0.5), ("P95", 0.95)))


def interval_ms(buckets: Buckets, q: float) -> str:
    """Return what a histogram knows of a quantile, in words."""
    low, high = (1000 * bound for bound in buckets.interval(q))
    return f"above {low:g} ms" if high == float("inf") else f"{low:g} to {high:g} ms"

"""The rollback as users felt it: latency and failures of the continuous probe, with what the drill did meanwhile."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from drill.report.plots import Legend, Plot
from drill.report.plots.svg import (
    ACCENT,
    BAD,
    GOOD,
    INK,
    INSTANCES,
    LINE,
    MARKERS,
    SIGNS,
    SOFT,
    WARN,
    Canvas,
    milliseconds_axis,
)
from drill.report.plots.thin import columns, distinct, spread
from drill.report.text import of, percent, seconds
from drill.report.timeline import Sample, Timeline
from drill.stats import quantile

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from drill.report.plots.thin import Floats

NAME = "timeline"
MAX_DOTS = 1500
"""More probes than these are drawn as columns of lowest, median and highest."""
COLUMNS = 700
"""How many columns of time a plot can show apart."""
BINS = 120
"""Parts of the time for which availability is shown."""
STEPS = {
    "disable_dual_write": "1 dual-write off",
    "purge_delta": "2 purge",
    "disable_shadow_read": "3 shadow-read off",
    "force_faiss": "4 backend FAISS",
    "reopen.shadow_read": "7 re-open shadow-read",
    "reopen.dual_write": "7 re-open dual-write",
}
CHAR = 4.6
"""Points that a character of a label takes, about."""
WIDTH = 792.0
LEFT, RIGHT = 52.0, 780.0
"""Points from where to where the axes reach."""


def describe(timeline: Timeline) -> Plot | None:
    """Say what the probes saw, or return ``None`` if there were none."""
    samples = timeline.samples
    if not samples:
        return None
    failed = [sample.at for sample in samples if not sample.ok]
    span = samples[-1].at - samples[0].at
    words = [f"{of(len(samples), 'probe')} in {seconds(span)}, {_failed(failed, len(samples))}."]
    words += _events(timeline)
    if timeline.changed_s is not None:
        words.append(_part("Before the change", timeline.between(-1e9, timeline.changed_s)))
    if timeline.window is not None:
        words.append(
            _part(
                f"In the observation window of {seconds(timeline.window[1] - timeline.window[0])}",
                timeline.between(*timeline.window),
            )
        )
    title = "Latency and availability from the first step to the last"
    return Plot(NAME, title, " ".join(filter(None, words)), "", _legend(timeline))


def draw(timeline: Timeline, plot: Plot) -> Plot:
    """Return ``plot`` with its figure."""
    canvas = Canvas(WIDTH / 72, 4.0)
    with canvas as figure:
        grid = {
            "height_ratios": (9, 0.9, 1.6),
            "hspace": 0.06,
            "left": LEFT / WIDTH,
            "right": RIGHT / WIDTH,
            "bottom": 0.115,
            "top": 0.855,
        }
        latency, strip, lane = figure.subplots(3, 1, sharex=True, gridspec_kw=grid)
        since, until = _span(timeline)
        lane.set_xlim(since, until)
        _phases(latency, timeline)
        _latency(latency, timeline)
        _events_drawn(latency, timeline, since, until)
        _availability(strip, timeline.samples, since, until)
        _steps(lane, timeline, since, until)
    return replace(plot, svg=canvas.markup(NAME, plot.title, plot.text))


def _failed(failed: Sequence[float], total: int) -> str:
    if not failed:
        return "every one answered"
    where = (
        f"from {seconds(failed[0])} to {seconds(failed[-1])}" if failed[-1] > failed[0] else f"at {seconds(failed[0])}"
    )
    return f"{len(failed)} failed ({percent(len(failed) / total)}), {where} after the first step"


def _events(timeline: Timeline) -> list[str]:
    found = []
    if timeline.written_s is not None:
        found.append(f"Flags on disk at {seconds(timeline.written_s)}.")
    found += [f"Reload from {seconds(mark.began)} to {seconds(mark.ended)}." for mark in timeline.reloads]
    if timeline.safe_s is not None:
        found.append(f"FAISS only, proven on every instance, at {seconds(timeline.safe_s)}.")
    return found


def _part(name: str, samples: Sequence[Sample]) -> str:
    good = sorted(sample.latency_s * 1000 for sample in samples if sample.ok)
    if not samples:
        return ""
    failed = len(samples) - len(good)
    latency = f"P50 {quantile(good, 0.5):.1f} ms, P95 {quantile(good, 0.95):.1f} ms" if good else "none answered"
    return f"{name}: {of(len(samples), 'probe')}, {failed} failed, {latency}."


def _legend(timeline: Timeline) -> tuple[Legend, ...]:
    samples = timeline.samples
    shown = [
        Legend(SIGNS[n % 4], f"instance-{n % 4 + 1}", name.split("://", 1)[-1])
        for n, name in enumerate(_instances(samples))
    ]
    if len(samples) > MAX_DOTS:
        shown = [Legend(SIGNS[1], "instance-1", "from lowest to highest latency, with the median")]
    if any(not sample.ok for sample in samples):
        shown.append(Legend("\N{MULTIPLICATION X}", "fail", "failed probe"))
    if timeline.changed_s is not None:
        shown.append(Legend(SIGNS[1], "inconclusive", "before"))
    if timeline.reloads:
        shown.append(Legend("\N{SQUARE WITH UPPER RIGHT TO LOWER LEFT FILL}", "soft", "reload"))
    if timeline.window is not None:
        shown.append(Legend(SIGNS[1], "pass", "after: observation window"))
    return tuple(shown)


def _instances(samples: Sequence[Sample]) -> list[str]:
    return sorted({sample.instance for sample in samples})


def _span(timeline: Timeline) -> tuple[float, float]:
    ends = [timeline.samples[-1].at, *(mark.ended for mark in timeline.marks)]
    starts = [timeline.samples[0].at, *(mark.began for mark in timeline.rows)]
    since, until = min(starts), max(ends)
    return since, max(until, since + 0.1)


def _phases(axes: "Axes", timeline: Timeline) -> None:
    """Shade before, the change itself, and after."""
    if timeline.changed_s is not None:
        axes.axvspan(axes.get_xlim()[0], timeline.changed_s, color=WARN, alpha=0.16, linewidth=0)
    for mark in timeline.reloads:
        axes.axvspan(mark.began, mark.ended, facecolor="none", edgecolor=SOFT, hatch="////", linewidth=0, alpha=0.35)
    if timeline.window is not None:
        axes.axvspan(*timeline.window, color=GOOD, alpha=0.13, linewidth=0)


def _latency(axes: "Axes", timeline: Timeline) -> None:
    import numpy as np

    good = [sample for sample in timeline.samples if sample.ok]
    values = np.array([max(sample.latency_s * 1000, 0.1) for sample in good] or [1.0])
    slo = timeline.slo
    top = max(values.max() * 3, slo.p95_ms * 2.2)
    milliseconds_axis(axes, "y", min(values.min() / 1.6, slo.p50_ms / 10), top)
    axes.grid(axis="y")
    for name, limit in (("P50", slo.p50_ms), ("P95", slo.p95_ms)):
        axes.axhline(limit, color=SOFT, linewidth=0.9, linestyle=(0, (5, 3)))
        axes.annotate(f"limit of {name}: {limit:g} ms", (1, limit), xycoords=("axes fraction", "data"), xytext=(-3, 2),
                      textcoords="offset points", ha="right", fontsize=8, color=SOFT)  # fmt: skip
    if good:
        _cloud(axes, good, values)
    _failures(axes, [sample.at for sample in timeline.samples if not sample.ok])
    axes.tick_params(axis="x", length=0, labelbottom=False)


def _cloud(axes: "Axes", good: Sequence[Sample], values: "Floats") -> None:
    import numpy as np

    if len(good) > MAX_DOTS:
        found = columns(np.array([sample.at for sample in good]), values, COLUMNS)
        axes.fill_between(found.at, found.low, found.high, color=INSTANCES[0], alpha=0.35, linewidth=0)
        axes.plot(found.at, found.median, color=INSTANCES[0], linewidth=1.2)
        return
    for n, name in enumerate(_instances(good)):
        mine = [(sample.at, value) for sample, value in zip(good, values, strict=True) if sample.instance == name]
        axes.plot(*zip(*mine, strict=True), MARKERS[n % 4], color=INSTANCES[n % 4], markersize=3, markeredgewidth=0)


def _failures(axes: "Axes", failed: Sequence[float]) -> None:
    """Draw each failure over the full height: a reader must not miss a single one."""
    if not failed:
        return
    shown = distinct(failed, axes.get_xlim(), COLUMNS)
    above = axes.get_xaxis_transform()
    axes.vlines(shown, 0, 0.95, transform=above, color=BAD, linewidth=0.8, alpha=0.45)
    axes.plot(
        shown, [0.95] * len(shown), "x", transform=above, color=BAD, markersize=5, markeredgewidth=1.4, clip_on=False
    )


def _events_drawn(axes: "Axes", timeline: Timeline, since: float, until: float) -> None:
    """Write above the plot what happened when, each with a line down to its moment."""
    found = [(timeline.written_s, "flags on disk", INK)]
    found += [(mark.began, f"reload {seconds(mark.ended - mark.began)}", SOFT) for mark in timeline.reloads]
    found += [(timeline.safe_s, "FAISS proven: safe", GOOD)]
    found += [(timeline.window[0], "observation window", SOFT)] if timeline.window else []
    known = sorted((at, text, colour) for at, text, colour in found if at is not None)
    places = _places([at for at, _, _ in known], [text for _, text, _ in known], since, until)
    above = axes.get_xaxis_transform()
    for (at, text, colour), place in zip(known, places, strict=True):
        axes.plot([at, at, place], [0, 1.0, 1.08], transform=above, color=colour, linewidth=1.0, clip_on=False)
        weight = "bold" if colour in {GOOD, INK} else "normal"
        axes.text(place, 1.1, text, transform=above, color=colour, fontsize=8.5, fontweight=weight)


def _places(wanted: Sequence[float], texts: Sequence[str], since: float, until: float) -> list[float]:
    """Return where labels at these times begin, in seconds, so that none covers another."""
    scale = (until - since) / (RIGHT - LEFT)
    widths = [CHAR * len(text) + 14 for text in texts]
    begin = spread([(at - since) / scale for at in wanted], widths, RIGHT - LEFT + 8)
    return [since + place * scale for place in begin]


def _availability(axes: "Axes", samples: Sequence[Sample], since: float, until: float) -> None:
    """Fill each part of the time as far as its probes were answered."""
    import numpy as np

    at = np.array([sample.at for sample in samples])
    bad = np.array([not sample.ok for sample in samples], dtype=float)
    count = min(BINS, max(1, len(samples) // 5))
    edges = np.linspace(since, until, count + 1)
    total, _ = np.histogram(at, edges)
    failed, _ = np.histogram(at, edges, weights=bad)
    good = 1 - failed / np.maximum(total, 1)
    axes.stairs(np.where(total > 0, good, np.nan), edges, fill=True, color=GOOD, linewidth=0)
    if failed.any():
        axes.stairs(np.where(failed > 0, 1.0, np.nan), edges, baseline=good, fill=True, color=BAD, linewidth=0)
    axes.set_ylim(0, 1)
    axes.set_yticks([0.5], ["answered"], fontsize=8)
    axes.tick_params(length=0, labelbottom=False)


def _steps(axes: "Axes", timeline: Timeline, since: float, until: float) -> None:
    """Draw the steps and checks as bars, and name the steps."""
    for mark in timeline.rows:
        step = mark.name in STEPS
        width = max(mark.ended - mark.began, (until - since) / 400)
        axes.barh(0.8, width, 0.4, mark.began, color=ACCENT if step else LINE, linewidth=0)
    steps = [mark for mark in timeline.rows if mark.name in STEPS]
    texts = [STEPS[mark.name] for mark in steps]
    for mark, text, place in zip(
        steps, texts, _places([mark.began for mark in steps], texts, since, until), strict=True
    ):
        axes.plot([mark.began, place], [0.6, 0.42], color=ACCENT, linewidth=0.8, clip_on=False)
        axes.text(place, 0.08, text, fontsize=8, color=ACCENT)
    axes.set_ylim(0, 1.1)
    axes.set_yticks([0.8], ["steps"], fontsize=8)
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("seconds since the first step")

"""Time to safety and P95 of the drills of one env file over time, as inline SVG in the colours of the page."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from drill.history.past import Past
from drill.report.plots.svg import ACCENT, BAD, SOFT, Canvas
from drill.report.text import seconds

MAX_POINTS = 300
"""Of each env file, how many of its last measured drills are drawn."""


@dataclass(frozen=True, slots=True)
class _Series:
    """What one half of the plot shows."""

    title: str
    value: Callable[[Past], float | None]
    show: Callable[[float], str]
    unit: str


_SAFETY = _Series("Time to safety", lambda drill: drill.time_to_safety_s, seconds, "s")
_P95 = _Series("P95 of the probes", lambda drill: drill.p95_ms, lambda value: f"{value:.0f} ms", "ms")


def trend(name: str, drills: Sequence[Past], number: int) -> str:
    """Return the plot of the drills of the env file ``name`` (newest first), empty if fewer than two are measured.

    ``number`` tells its ids from those of other plots on the page. The title and the description of the SVG say in
    words what it shows.
    """
    series = [(one, _points(one, drills)) for one in (_SAFETY, _P95)]
    if all(len(points) < 2 for _, points in series):
        return ""
    text = " ".join(_words(one, points) for one, points in series)
    return _draw(series, f"trend-{number}", f"{name}: time to safety and P95 over time", text)


def _points(series: _Series, drills: Sequence[Past]) -> list[Past]:
    """Return the drills that were measured, oldest first."""
    return [drill for drill in drills if series.value(drill) is not None][:MAX_POINTS][::-1]


def _words(series: _Series, points: Sequence[Past]) -> str:
    if not points:
        return f"{series.title}: not measured."
    values = [value for drill in points if (value := series.value(drill)) is not None]
    show = series.show
    seen = f"last {show(values[-1])}, median {show(median(values))}, highest {show(max(values))}"
    span = f"{points[0].at:%Y-%m-%d} to {points[-1].at:%Y-%m-%d}"
    return f"{series.title} of {len(points)} drill{'s' * (len(points) > 1)}, {span}: {seen}."


def _draw(series: Sequence[tuple[_Series, Sequence[Past]]], name: str, title: str, text: str) -> str:
    canvas = Canvas(9.6, 2.2)
    from matplotlib import rc_context

    with canvas as figure, rc_context({"date.converter": "concise"}):
        figure.subplots_adjust(left=0.045, right=0.99, bottom=0.2, top=0.85, wspace=0.12)
        for axes, (one, points) in zip(figure.subplots(1, 2, sharex=True), series, strict=True):
            _half(axes, one, points)
    return canvas.markup(name, title, text)


def _half(axes: Any, series: _Series, points: Sequence[Past]) -> None:
    axes.set_title(f"{series.title} ({series.unit})")
    axes.grid(axis="y")
    if not points:
        axes.set_axis_off()
        axes.text(0.5, 0.5, "not measured", color=SOFT, ha="center", va="center", transform=axes.transAxes)
        return
    _marks(axes, series, points)
    if series is _P95:
        _limit(axes, points)
    axes.set_ylim(0, 1.1 * axes.get_ylim()[1])
    axes.xaxis.get_offset_text().set_color(SOFT)
    axes.legend(frameon=False, labelcolor=SOFT, fontsize=8, ncols=3, loc="lower right", bbox_to_anchor=(1.0, 0.98))


def _marks(axes: Any, series: _Series, points: Sequence[Past]) -> None:
    """Draw each drill: told apart by form, not by colour alone."""
    for label, marker, colour, wanted in (("success", "o", ACCENT, True), ("other", "X", BAD, False)):
        chosen = [drill for drill in points if drill.succeeded is wanted]
        if chosen:
            values = [series.value(drill) for drill in chosen]
            axes.plot([drill.at for drill in chosen], values, marker, color=colour, markersize=3.5, label=label)


def _limit(axes: Any, points: Sequence[Past]) -> None:
    """Draw the objective of each drill as steps: it may have been set anew."""
    limits = [(drill.at, drill.p95_limit_ms) for drill in points if drill.p95_limit_ms is not None]
    if limits:
        style = {"linestyle": "--", "linewidth": 1, "drawstyle": "steps-post"}
        axes.plot(*zip(*limits, strict=True), color=BAD, label="objective", **style)

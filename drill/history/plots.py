"""Time to safety and P95 of the drills of one env file over time, as inline SVG in the colours of the page."""

import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from statistics import median
from typing import Any

from drill.history.past import Past
from drill.report.view import seconds

MAX_POINTS = 300
"""Of each env file, how many of its last measured drills are drawn."""

_COLOURS = {"#010101": "--ink", "#020202": "--soft", "#030303": "--line", "#040404": "--mark", "#050505": "--failure"}
"""Colours that the plot is drawn in, and the variables of the style sheet that they become."""
_INK, _SOFT, _LINE, _MARK, _BAD = _COLOURS


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
    return _inline(_draw(series, number), f"{name}: time to safety and P95 over time", text, number)


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


def _draw(series: Sequence[tuple[_Series, Sequence[Past]]], number: int) -> str:
    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    settings: Any = {"svg.fonttype": "none", "svg.hashsalt": f"history-{number}", "date.converter": "concise"}
    with rc_context({**settings, "font.size": 9}):
        figure = Figure(figsize=(9.6, 2.2))
        figure.subplots_adjust(left=0.045, right=0.99, bottom=0.2, top=0.85, wspace=0.12)
        figure.patch.set_visible(False)
        for axes, (one, points) in zip(figure.subplots(1, 2), series, strict=True):
            _half(axes, one, points)
        out = io.StringIO()
        # The figure's own savefig would load the module that keeps figures for windows.
        canvas: Any = FigureCanvasSVG(figure)
        canvas.print_svg(out, metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    return out.getvalue()


def _half(axes: Any, series: _Series, points: Sequence[Past]) -> None:
    axes.set_title(f"{series.title} ({series.unit})", color=_INK, loc="left", fontsize=10)
    axes.patch.set_visible(False)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(_LINE)
    axes.tick_params(colors=_SOFT, labelcolor=_SOFT)
    axes.grid(axis="y", color=_LINE, linewidth=0.6)
    if not points:
        axes.set_xticks([])
        axes.set_yticks([])
        axes.text(0.5, 0.5, "not measured", color=_SOFT, ha="center", va="center", transform=axes.transAxes)
        return
    _marks(axes, series, points)
    if series is _P95:
        _limit(axes, points)
    axes.set_ylim(bottom=0)
    axes.xaxis.get_offset_text().set_color(_SOFT)
    axes.legend(frameon=False, labelcolor=_SOFT, fontsize=8, ncols=3, loc="lower right", bbox_to_anchor=(1.0, 0.98))


def _marks(axes: Any, series: _Series, points: Sequence[Past]) -> None:
    """Draw each drill: told apart by form, not by colour alone."""
    for label, marker, colour, wanted in (("success", "o", _MARK, True), ("other", "X", _BAD, False)):
        chosen = [drill for drill in points if drill.succeeded is wanted]
        if chosen:
            values = [series.value(drill) for drill in chosen]
            axes.plot([drill.at for drill in chosen], values, marker, color=colour, markersize=3.5, label=label)


def _limit(axes: Any, points: Sequence[Past]) -> None:
    """Draw the objective of each drill as steps: it may have been set anew."""
    limits = [(drill.at, drill.p95_limit_ms) for drill in points if drill.p95_limit_ms is not None]
    if limits:
        style = {"linestyle": "--", "linewidth": 1, "drawstyle": "steps-post"}
        axes.plot(*zip(*limits, strict=True), color=_BAD, label="objective", **style)


def _inline(svg: str, title: str, text: str, number: int) -> str:
    """Return the ``svg`` element alone: no prolog, no style sheet of its own, no id that nothing refers to."""
    body = re.sub(r"<(defs|metadata)>\s*(<style.*?</style>|<rdf.*?</rdf:RDF>)\s*</\1>", "", svg, flags=re.DOTALL)
    body = body[body.index("<svg") :]
    used = set(re.findall(r"(?:url\(#|href=\"#)([\w-]+)", body))
    body = re.sub(r' id="([^"]+)"', lambda match: match[0] if match[1] in used else "", body)
    for colour, variable in _COLOURS.items():
        body = body.replace(colour, f"var({variable})")
    body = re.sub(r" font-family: [^;\"]*;", "", body)
    names = f'<title id="trend-{number}">{escape(title)}</title><desc id="trend-{number}-words">{escape(text)}</desc>'
    role = f'<svg role="img" aria-labelledby="trend-{number}" aria-describedby="trend-{number}-words"'
    head, rest = body.split(">", 1)
    head = re.sub(r' (?:width|height|version|xmlns)="[^"]*"', "", head)
    rest = re.sub(r">\s+<", "><", rest)
    return f"{head.replace('<svg', role, 1)}>{names}{rest}"

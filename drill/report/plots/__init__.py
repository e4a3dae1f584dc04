"""The plots of a report: inline SVG in the colours of the page, each with a text that says what it shows in numbers."""

from collections.abc import Callable
from dataclasses import dataclass

from drill.report.timeline import Timeline

__all__ = ["Legend", "Plot", "draw_plots"]


@dataclass(frozen=True, slots=True)
class Legend:
    """One line of a legend: a sign, the name of its colour in the style sheet, and what it stands for."""

    sign: str
    colour: str
    text: str


@dataclass(frozen=True, slots=True)
class Plot:
    """One figure of the report."""

    name: str
    title: str
    text: str
    """What it shows, in numbers."""
    svg: str
    """Markup, safe to include; empty if the figure could not be drawn."""
    legend: tuple[Legend, ...] = ()
    problem: str = ""
    """Why it could not be drawn."""


def draw_plots(timeline: Timeline) -> dict[str, Plot]:
    """Return the figures by name: ``timeline``, ``latency``, ``counters``, as far as there is something to show.

    A plot that cannot be drawn costs itself and no more: its text stands in the report all the same.
    """
    from drill.report.plots import counters, latency
    from drill.report.plots import timeline as over_time

    found = (_drawn(module.describe, module.draw, timeline) for module in (over_time, latency, counters))
    return {plot.name: plot for plot in found if plot is not None}


def _drawn(
    describe: Callable[[Timeline], Plot | None], draw: Callable[[Timeline, Plot], Plot], timeline: Timeline
) -> Plot | None:
    from dataclasses import replace

    described = describe(timeline)
    if described is None:
        return None
    try:
        return draw(timeline, described)
    except Exception as error:  # noqa: BLE001 - a defect of a plot must not cost the evidence
        return replace(described, problem=f"the figure could not be drawn ({type(error).__name__})")

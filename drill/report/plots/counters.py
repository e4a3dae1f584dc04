"""What must be silent after the rollback: each counter over the time since the service settled, per instance."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from drill.checks.unknown_names import circuit_is_open, flag_says_off
from drill.metrics.snapshot import Key
from drill.report.plots import Legend, Plot
from drill.report.plots.svg import BAD, GOOD, INSTANCES, MARKERS, SIGNS, SOFT, Canvas
from drill.report.text import of, seconds
from drill.report.timeline import Timeline
from drill.trace import Moment

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NAME = "counters"
SLACK_S = 1.0
"""How long the reading that ends the window may take."""
SKIPPED = "retrieval_dual_write_skipped_total"


@dataclass(frozen=True, slots=True)
class Counter:
    """One thing that must be silent."""

    title: str
    counts: Callable[[str, Mapping[str, str]], bool]
    """Whether a sample (name, labels) belongs to it."""
    gauge: bool = False

    def value(self, samples: Mapping[Key, float]) -> float:
        """Return its value in one reading of one instance."""
        return sum(value for (name, labels), value in samples.items() if self.counts(name, dict(labels)))


COUNTERS = (
    Counter("shadow-read", lambda name, _: name.startswith("retrieval_shadow_")),
    Counter("dual-write errors", lambda name, _: name == "retrieval_dual_write_errors_total"),
    Counter(
        "dual-write skipped",
        lambda name, labels: name == SKIPPED and not flag_says_off(labels) and not circuit_is_open(labels),
    ),
    Counter("circuit open", lambda name, labels: name == SKIPPED and circuit_is_open(labels)),
    Counter("outbox size", lambda name, _: name == "retrieval_dual_write_outbox_size", gauge=True),
)
"""In the order of the panels. Writes that are skipped because the flag is off are what is wanted, and not counted."""


@dataclass(frozen=True, slots=True)
class Series:
    """One counter of one instance: growth (of a gauge: value) over time."""

    instance: str
    at: Sequence[float]
    values: Sequence[float]

    @property
    def growth(self) -> float:
        """By how much it moved in all."""
        return self.values[-1] - self.values[0]


def series(timeline: Timeline, counter: Counter) -> list[Series]:
    """Return the counter of every instance since the service settled.

    Where the process is known to be new it counts from zero: what it did before it was first read is its doing too.
    """
    moments = _moments(timeline)
    names = sorted({name for moment in moments for name in moment.values})
    return [_series(name, moments, counter, new=name in timeline.new_processes) for name in names]


def _series(name: str, moments: Sequence[Moment], counter: Counter, *, new: bool) -> Series:
    points = [(moment.at, counter.value(moment.values[name])) for moment in moments if name in moment.values]
    base = 0.0 if new or counter.gauge else points[0][1]
    values = [value - base for _, value in points]
    start = [(points[0][0], 0.0)] if new and not counter.gauge else []
    return Series(name, [*(at for at, _ in start), *(at for at, _ in points)], [*(v for _, v in start), *values])


def _moments(timeline: Timeline) -> list[Moment]:
    if timeline.settled_s is None:
        return []
    until = timeline.window[1] + SLACK_S if timeline.window else float("inf")  # re-opening moves what was silent
    return [moment for moment in timeline.moments if timeline.settled_s <= moment.at <= until]


def describe(timeline: Timeline) -> Plot | None:
    """Say what moved, or return ``None`` if the counters were not read at least twice."""
    moments = _moments(timeline)
    if len(moments) < 2 or not any(moment.values for moment in moments):
        return None
    span = moments[-1].at - moments[0].at
    names = sorted({name for moment in moments for name in moment.values})
    instances = of(len(names), "instance")
    words = [f"{of(len(moments), 'reading')} of {instances} in {seconds(span)} since the service settled."]
    words += [_said(counter, series(timeline, counter)) for counter in COUNTERS]
    missing = sorted({name.split("://", 1)[-1] for moment in moments for name in moment.unread})
    words += [f"Not always readable: {', '.join(missing)}."] if missing else []
    words.append(_before(timeline))
    legend = (Legend(SIGNS[n % 4], f"instance-{n % 4 + 1}", name.split("://", 1)[-1]) for n, name in enumerate(names))
    return Plot(NAME, "Counters that must be silent", " ".join(filter(None, words)), "", tuple(legend))


def _said(counter: Counter, found: Sequence[Series]) -> str:
    name = counter.title[0].upper() + counter.title[1:]
    moved = [(one.instance.split("://", 1)[-1], one) for one in found if one.growth]
    if counter.gauge:
        last = sum(one.values[-1] for one in found)
        return (
            f"{name} {last:g} at the end."
            if not moved
            else f"{name} moved: "
            + ", ".join(f"{n} from {one.values[0]:g} to {one.values[-1]:g}" for n, one in moved)
            + "."
        )
    return (
        f"{name} silent."
        if not moved
        else f"{name} moved: " + ", ".join(f"{n} by {one.growth:+g}" for n, one in moved) + "."
    )


def _before(timeline: Timeline) -> str:
    """Say what the same counters stood at before the reload: that they can move at all."""
    earlier = [moment for moment in timeline.moments if moment.at < (timeline.settled_s or 0) and moment.values]
    if not earlier:
        return ""
    first = earlier[0].values.values()
    counted = ", ".join(f"{counter.title} {sum(map(counter.value, first)):,.0f}" for counter in COUNTERS)
    return f"Before the rollback they stood at: {counted}."


def draw(timeline: Timeline, plot: Plot) -> Plot:
    """Return ``plot`` with its figure."""
    canvas = Canvas(11, 1.95)
    with canvas as figure:
        grid = {"left": 0.035, "right": 0.99, "bottom": 0.22, "top": 0.74, "wspace": 0.22}
        for axes, counter in zip(figure.subplots(1, len(COUNTERS), gridspec_kw=grid), COUNTERS, strict=True):
            _panel(axes, counter, series(timeline, counter))
    return replace(plot, svg=canvas.markup(NAME, plot.title, plot.text))


def _panel(axes: "Axes", counter: Counter, found: Sequence[Series]) -> None:
    from matplotlib.ticker import MaxNLocator

    highest = max((max(one.values) for one in found), default=0.0)
    lowest = min((min(one.values) for one in found), default=0.0)
    for n, one in enumerate(found):
        axes.step(one.at, one.values, where="post", color=INSTANCES[n % 4], linewidth=1.4)
        axes.plot(one.at, one.values, MARKERS[n % 4], color=INSTANCES[n % 4], markersize=2.4, markeredgewidth=0)
    axes.set_ylim(min(0.0, lowest) - 0.06 * max(1.0, highest), max(1.0, highest) * 1.1)
    axes.yaxis.set_major_locator(MaxNLocator(3, integer=True))
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.set_title(counter.title, pad=16, fontweight="bold")
    said, colour = _short(counter, found)
    axes.text(0, 1.06, said, transform=axes.transAxes, color=colour, fontsize=8.5)
    axes.set_xlabel("s", loc="right", labelpad=-2, color=SOFT)


def _short(counter: Counter, found: Sequence[Series]) -> tuple[str, str]:
    grown = sum(one.growth for one in found)
    if counter.gauge:
        last = sum(one.values[-1] for one in found)
        return (f"{last:g} at the end" if not grown else f"{last - grown:g}, then {last:g}"), BAD if grown > 0 else GOOD
    return ("silent", GOOD) if not any(one.growth for one in found) else (f"moved by {grown:g}", BAD)

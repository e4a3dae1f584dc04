"""From a matplotlib figure to SVG that lives in a page: its colours, its ids, its text alternatives."""

import io
import re
from html import escape
from typing import TYPE_CHECKING, Any

from drill.report.plots.library import load_matplotlib

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, SOFT, LINE, GOOD, BAD, WARN, ACCENT, CARD = (f"#0{n}0{n}0{n}" for n in range(1, 9))
INSTANCES = tuple(f"#1{n}1{n}1{n}" for n in range(1, 5))
"""Colours of instances; with more than these they repeat."""
MARKERS = ("o", "s", "^", "D")
SIGNS = ("\N{BLACK CIRCLE}", "\N{BLACK SQUARE}", "\N{BLACK UP-POINTING TRIANGLE}", "\N{BLACK DIAMOND}")
"""The markers as characters, for a legend in text."""
VARIABLES = {
    **dict(
        zip(
            (INK, SOFT, LINE, GOOD, BAD, WARN, ACCENT, CARD),
            ("ink", "soft", "line", "pass", "fail", "inconclusive", "link", "card"),
            strict=True,
        )
    ),
    **{colour: f"instance-{n}" for n, colour in enumerate(INSTANCES, 1)},
}
"""Colour that a plot is drawn in -> variable of the style sheet that it becomes: light, dark and print follow."""
_SETTINGS: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "rollback-drill",
    "font.family": "sans-serif",
    "font.size": 9,
    "text.parse_math": False,
    "axes.edgecolor": LINE,
    "axes.labelcolor": SOFT,
    "axes.titlecolor": INK,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.color": INK,
    "xtick.color": LINE,
    "ytick.color": LINE,
    "xtick.labelcolor": SOFT,
    "ytick.labelcolor": SOFT,
    "figure.facecolor": "none",
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "path.simplify": True,
}


class Canvas:
    """One figure under the project's settings; use as a context manager, then ask for `markup`."""

    def __init__(self, width: float, height: float) -> None:
        """``width`` and ``height`` in inches of 72 points."""
        mpl = load_matplotlib()
        from matplotlib.figure import Figure

        self._context = mpl.rc_context(_SETTINGS)
        self._size = (width, height)
        self._figure = Figure

    def __enter__(self) -> "Figure":
        self._context.__enter__()
        self.figure = self._figure(figsize=self._size)
        return self.figure

    def __exit__(self, *error: object) -> None:
        try:
            if error[0] is None:
                self._text = _print(self.figure)
        finally:
            self._context.__exit__(None, None, None)

    def markup(self, name: str, title: str, text: str) -> str:
        """Return the figure as inline SVG whose ids begin with ``name``, titled and described for those who listen."""
        inner = self._text[self._text.index(">", self._text.index("<svg")) + 1 :]
        inner = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>", "", inner, count=1, flags=re.DOTALL)
        inner = re.sub(r'(id="|href="#|url\(#)', rf"\g<1>{name}-", inner)
        inner = re.sub(r"#[01]\d[01]\d[01]\d\b", lambda found: f"var(--{VARIABLES[found[0]]})", inner)
        inner = re.sub(r"font-family: [^;\"]*", "font-family: inherit", inner)
        width, height = (72 * side for side in self._size)
        head = f'<svg class="plot" role="img" viewBox="0 0 {width:g} {height:g}" '
        head += f'aria-labelledby="{name}-title" aria-describedby="{name}-desc">'
        names = f'<title id="{name}-title">{escape(title)}</title><desc id="{name}-desc">{escape(text)}</desc>'
        return head + names + re.sub(r"\n\s*", "\n", inner)


def _print(figure: "Figure") -> str:
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    out = io.StringIO()
    # The figure's own savefig would load the module that keeps figures for windows.
    canvas: Any = FigureCanvasSVG(figure)
    canvas.print_svg(out, metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    return out.getvalue()


def milliseconds_axis(axes: "Axes", which: str, low: float, high: float) -> None:
    """Make an axis logarithmic from ``low`` to ``high`` milliseconds, with ticks a reader knows."""
    axis = axes.yaxis if which == "y" else axes.xaxis
    (axes.set_yscale if which == "y" else axes.set_xscale)("log")
    (axes.set_ylim if which == "y" else axes.set_xlim)(low, high)
    ticks = [tick for tick in (0.1, 1, 10, 100, 1000, 10_000, 100_000) if low <= tick <= high]
    if len(ticks) < 3:
        ticks = sorted({*ticks, *(step * tick for tick in (0.1, 1, 10, 100, 1000, 10_000) for step in (2, 5))})
        ticks = [tick for tick in ticks if low <= tick <= high]
    axis.set_ticks(ticks, [f"{tick / 1000:g} s" if tick >= 1000 else f"{tick:g} ms" for tick in ticks])
    axis.set_ticks([], minor=True)

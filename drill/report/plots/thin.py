"""Thinning many probes to what a picture can show, without losing one failure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Columns:
    """Values in columns of time: the middle of each column that holds any, and their lowest, median and highest."""

    at: "Floats"
    low: "Floats"
    median: "Floats"
    high: "Floats"


def columns(at: "Floats", values: "Floats", count: int) -> Columns:
    """Sum up ``values`` (any order) in ``count`` columns of equal width over the time that they span."""
    import numpy as np

    order = np.lexsort((values, _column_of(at, count)))  # by column, and by value inside it
    column, ranked = _column_of(at, count)[order], values[order]
    starts = np.flatnonzero(np.diff(column, prepend=-1))
    ends = np.append(starts[1:], column.size)
    width = (at.max() - at.min()) / count
    middle = at.min() + (column[starts] + 0.5) * width
    return Columns(middle, ranked[starts], ranked[(starts + ends - 1) // 2], ranked[ends - 1])


def distinct(at: Sequence[float], span: tuple[float, float], count: int) -> list[float]:
    """Return ``at`` with those left out that would be drawn on top of one another.

    Of the times that fall into the same of ``count`` columns of ``span``, the first is kept: whatever had one of them
    still has one.
    """
    since, until = span
    width = max(until - since, 1e-9) / count
    first: dict[int, float] = {}
    for moment in at:
        first.setdefault(int((moment - since) / width), moment)
    return list(first.values())


def _column_of(at: "Floats", count: int) -> "NDArray[np.int64]":
    import numpy as np

    span = at.max() - at.min()
    place = (at - at.min()) / span * count if span > 0 else np.zeros_like(at)
    return np.minimum(place.astype(np.int64), count - 1)


def spread(wanted: Sequence[float], widths: Sequence[float], until: float) -> list[float]:
    """Return where labels of ``widths`` begin, near ``wanted`` (sorted): none over another, none past ``until``.

    If they do not all fit, they overlap at the right.
    """
    places: list[float] = []
    end = 0.0
    for place, width in zip(wanted, widths, strict=True):
        places.append(max(place, end))
        end = places[-1] + width
    for index in range(len(places) - 1, -1, -1):
        places[index] = max(0.0, min(places[index], until - widths[index]))
        until = places[index]
    return places

"""Several workers behind one port: how many answers, or documents, it takes that none of them was left out."""

from math import ceil, log

from drill.metrics.workers import MOST, SURE, UNSURE
from drill.observation import Window
from drill.words import count

UNKNOWN = 8
"""Workers that are reckoned with where nobody has met them yet."""


def sharing(window: Window) -> int:
    """Return how many workers one instance has, of several the most; 0 where they do not name themselves."""
    return max((len(seen.workers) for seen in window.last.snapshots.values()), default=0)


def left_out(workers: int, times: int) -> float:
    """Return the probability that one of ``workers``, who are met equally often, took none of ``times`` requests."""
    return (1 - 1 / workers) ** times if workers > 1 else 0.0


def enough(workers: int) -> int:
    """Return how many requests leave one of ``workers`` out no more often than `SURE`; `MOST` of too many workers."""
    return min(MOST, ceil(log(SURE) / log(1 - 1 / workers))) if workers > 1 else 1


def too_few(workers: int, documents: int) -> str:
    """Say why ``documents`` that stayed away prove nothing of so many workers; empty if they are enough."""
    chance = left_out(workers, documents)
    if chance <= UNSURE:
        return ""
    return (
        f"{count(documents, 'document')} written since, each by any of {workers} workers: one that still writes to the "
        f"target is missed with probability {chance:.2g}"
    )

"""Quantiles of a histogram as what they are: the bucket that holds them, not a point inside it."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from drill.metrics.snapshot import Delta, is_last_bucket


@dataclass(frozen=True, slots=True)
class Buckets:
    """Observations per upper bound, cumulative, in seconds; the last bound is infinity."""

    bounds: tuple[float, ...]
    counts: tuple[float, ...]

    @property
    def samples(self) -> float:
        """How many observations there are."""
        return self.counts[-1] if self.counts else 0.0

    def interval(self, q: float) -> tuple[float, float]:
        """Return the bounds (low, high] of the bucket that holds the ``q`` quantile; high may be infinite."""
        rank = q * self.samples
        for index, count in enumerate(self.counts):
            if count >= rank and count > 0:
                return (self.bounds[index - 1] if index else 0.0), self.bounds[index]
        return 0.0, math.inf


def latency_buckets(deltas: Iterable[Delta], name: str, **labels: str) -> Buckets | None:
    """Return the buckets of ``name`` that were filled in the window, summed over the instances.

    ``None`` if there are none, or if the instances do not share the same bounds (METRICS.md, number 36).
    """
    total: dict[float, float] = {}
    shapes: set[tuple[float, ...]] = set()
    for delta in deltas:
        here: dict[float, float] = {}
        for have, value in delta.moved(f"{name}_bucket"):
            if labels.items() <= have.items():
                bound = float(have["le"])
                here[bound] = here.get(bound, 0.0) + value
        if here:
            shapes.add(tuple(sorted(here)))
        for bound, value in here.items():
            total[bound] = total.get(bound, 0.0) + value
    if len(shapes) != 1:
        return None
    bounds = tuple(sorted(total))
    return Buckets(bounds, tuple(total[bound] for bound in bounds)) if math.isinf(bounds[-1]) else None


def without_buckets(deltas: Iterable[Delta], name: str) -> bool:
    """Whether ``name`` counts on some instance and shows no bucket but the last one: as a native histogram does."""
    return any(
        delta.growth(f"{name}_count") > 0
        and all(is_last_bucket(dict(labels)) for _, labels in delta.after.by_name.get(f"{name}_bucket", ()))
        for delta in deltas
    )

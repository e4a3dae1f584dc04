"""Small exact statistics: what a number of samples can prove, and no more."""

import math
import random
from collections.abc import Sequence

CONFIDENCE = 0.95
DRAWS = 400
"""Samples that a bootstrap draws."""
SEED = 20_251_021


def quantile(values: Sequence[float], q: float) -> float:
    """Return the ``q`` quantile of sorted ``values`` (nearest rank: always a value that was measured)."""
    return values[max(0, math.ceil(q * len(values)) - 1)]


def quantile_bounds(values: Sequence[float], q: float) -> tuple[float, float]:
    """Return one-sided 95 % lower and upper bounds of the ``q`` quantile of sorted ``values``, from order statistics.

    The number of samples below the true quantile is binomial(n, q); its normal approximation with continuity
    correction is exact enough from n = 59 on, below which P95 has no upper bound at all (METRICS.md, number 45):
    then the bound is infinite.
    """
    n = len(values)
    spread = _z() * math.sqrt(n * q * (1 - q))
    low, high = math.floor(n * q - spread - 0.5), math.ceil(n * q + spread + 0.5)
    return (values[low - 1] if low >= 1 else 0.0, values[high - 1] if high <= n else math.inf)


def rate_bounds(events: float, trials: float, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Return one-sided lower and upper bounds of a rate, by Wilson's score with the exact value at zero events.

    Zero in n proves no less than 1 - 0.05^(1/n), the "rule of three": 1.0 % at n = 300.
    """
    if trials <= 0:
        return 0.0, 1.0
    if events <= 0:
        return 0.0, 1 - (1 - confidence) ** (1 / trials)
    z = _z(confidence)
    p = min(1.0, events / trials)
    centre = p + z * z / (2 * trials)
    spread = z * math.sqrt(p * (1 - p) / trials + z * z / (4 * trials * trials))
    scale = 1 + z * z / trials
    return max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)


def ratio_bounds(before: Sequence[float], after: Sequence[float], q: float, rounds: int = DRAWS) -> tuple[float, float]:
    """Return the 90 % bootstrap interval of quantile(after) / quantile(before) (METRICS.md, A4: the three-way rule).

    The generator is seeded: the same samples give the same verdict.
    """
    draw = random.Random(SEED)  # noqa: S311 - a bootstrap needs no secret randomness
    ratios = []
    for _ in range(rounds):
        old = quantile(sorted(draw.choices(before, k=len(before))), q)
        new = quantile(sorted(draw.choices(after, k=len(after))), q)
        ratios.append(new / old if old > 0 else math.inf)
    ratios.sort()
    left_out = int(0.05 * rounds)
    return ratios[left_out], ratios[-1 - left_out]


def _z(confidence: float = CONFIDENCE) -> float:
    """Return the standard normal quantile of the confidence; ``statistics`` is slow to load, and only needed here."""
    from statistics import NormalDist

    return NormalDist().inv_cdf(confidence)

"""Numbers as a reader wants them."""

from drill.record import Scalar


def scalar(value: Scalar) -> str:
    """Return a measured value for reading: four significant digits, words for booleans and nothing."""
    if value is None:
        return "unknown"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return value


def seconds(value: float) -> str:
    """Return a duration for reading: ``340 ms``, ``12.3 s``, ``4 min 05 s``."""
    if value == 0:
        return "0 s"
    if value < 0.001:
        return "< 1 ms"
    if value < 1:
        return f"{value * 1000:.0f} ms"
    if value < 59.95:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest:02d} s"


def percent(share: float) -> str:
    """Return a share as a percentage that is never rounded to nothing or to all."""
    if 0 < share < 0.0001:
        return "< 0.01 %"
    if 0.9999 < share < 1:
        return "> 99.99 %"
    return f"{100 * share:.3g} %" if share < 0.99 else f"{100 * share:.4g} %"


def of(count: float, noun: str) -> str:
    """Return a count with its noun: ``1 probe``, ``1,200 probes``."""
    return f"{count:,.0f} {noun}{'' if count == 1 else 's'}"

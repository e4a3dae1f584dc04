"""Gauges that show work: the last value of a measurement changes with each one; nobody adds it up."""

import re
from collections.abc import Collection, Iterator

from drill.metrics.snapshot import Delta, Key

_OTHERWISE = ("_total", "_count", "_bucket", "_sum", "_created")
_TIME_PASSES = re.compile(r"(^|_)(age|since|uptime|idle|staleness)(_|$)", re.IGNORECASE)
_WAITING = re.compile(r"(^|_)(queue|queued|size|depth|length|pending|backlog|in_?flight|active)(_|$)", re.IGNORECASE)


def changed_gauges(delta: Delta, prefix: str, measured: Collection[str]) -> Iterator[tuple[str, float]]:
    """Yield name and count of gauges that took another value while one process ran.

    What goes to zero, or is a queue that gets shorter, may be the end of earlier work; an age changes by itself. A
    gauge that was not there before counts if it is one of ``measured``: others may be set once, at the first request.
    """
    if delta.restarted:
        return
    found: dict[str, float] = {}
    for key in delta.after.samples:
        if key[0].startswith(prefix) and _shows_work(delta, key, measured):
            found[key[0]] = found.get(key[0], 0.0) + 1
    yield from ((f"{name} (values changed)", count) for name, count in sorted(found.items()))


def _shows_work(delta: Delta, key: Key, measured: Collection[str]) -> bool:
    name, labels = key
    summed = f"{name}_count" in delta.after.by_name or any(label == "quantile" for label, _ in labels)
    if summed or name.endswith(_OTHERWISE) or _TIME_PASSES.search(name):
        return False
    old, new = delta.before.samples.get(key), delta.after.samples[key]
    if old is None:
        return new != 0 and name in measured
    return new > old if _WAITING.search(name) else new not in {old, 0.0}

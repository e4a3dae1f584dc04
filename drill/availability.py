"""What the probes felt as a user would: each stands for the time until its instance was asked again."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from drill.probe import MAX_GAP_S

if TYPE_CHECKING:
    from drill.probe import ProbeResult


def downtime_s(results: Sequence["ProbeResult"]) -> float:
    """Return for how long a user of all instances alike was not served, in seconds."""
    instances = {result.instance for result in results}
    return sum(weight for result, weight in _weighed(results) if result.failed) / max(1, len(instances))


def availability(results: Sequence["ProbeResult"]) -> float | None:
    """Return the share of the time that was measured in which searches were answered; ``None`` if none was."""
    weighed = list(_weighed(results))
    total = sum(weight for _, weight in weighed)
    failed = sum(weight for result, weight in weighed if result.failed)
    return round(1 - failed / total, 5) if total else None


def _weighed(results: Sequence["ProbeResult"]) -> Iterator[tuple["ProbeResult", float]]:
    """Yield what was answered or failed with its seconds; the last of an instance counts as the one before it."""
    by_instance: dict[str, list[ProbeResult]] = {}
    for result in results:
        by_instance.setdefault(result.instance, []).append(result)
    for mine in by_instance.values():
        gaps = [min(later.due - earlier.due, MAX_GAP_S) for earlier, later in pairwise(mine)]
        for result, weight in zip(mine, [*gaps, *(gaps[-1:] or [1.0])], strict=True):
            if result.apart is None:
                yield result, weight

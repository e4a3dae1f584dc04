"""What moved on every instance between two moments, with the probes that prove that the metrics are alive."""

import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from drill.errors import CannotMeasure
from drill.metrics.snapshot import START_TIME, Delta, Snapshot

if TYPE_CHECKING:
    from drill.probe import Prober


class MetricsSource(Protocol):
    """Where snapshots come from."""

    def snapshot(self, instance: str) -> Snapshot:
        """Read one instance now; raises `CannotMeasure`."""


@dataclass(frozen=True, slots=True)
class Reading:
    """All instances read once; ``began`` and ``ended`` are monotonic seconds around it."""

    began: float
    ended: float
    snapshots: Mapping[str, Snapshot]
    unread: Mapping[str, str] = field(default_factory=dict)
    """Instance -> why it could not be read."""


def read_all(source: MetricsSource, instances: Iterable[str]) -> Reading:
    """Read every instance at the same time; never raises for an instance that cannot be read."""
    from drill.service import each

    def read(instance: str) -> Snapshot | str:
        try:
            return source.snapshot(instance)
        except CannotMeasure as problem:
            return str(problem)

    names = list(instances)
    began = time.monotonic()
    found = dict(zip(names, each(read, names), strict=True))
    snapshots = {name: item for name, item in found.items() if isinstance(item, Snapshot)}
    unread = {name: item for name, item in found.items() if isinstance(item, str)}
    return Reading(began, time.monotonic(), snapshots, unread)


@dataclass(frozen=True, slots=True)
class Window:
    """The time between two readings, per instance.

    ``deltas`` count from the first reading. ``since_boot`` counts from the start of the process where the drill knows
    that the process is new: what a rolled-back process must never do, it must not have done before the first reading
    either (METRICS.md, section 0 rule 6).
    """

    first: Reading
    last: Reading
    deltas: Mapping[str, Delta]
    since_boot: Mapping[str, Delta]
    probes: Counter[str]
    """Probes per instance that were sent, and answered well, wholly inside the window: the positive control."""
    unread: Mapping[str, str]
    """Instances of which one of the two readings is missing, and why."""

    @property
    def seconds(self) -> float:
        """Length of the window."""
        return self.last.began - self.first.ended

    @property
    def restarted(self) -> list[str]:
        """Instances whose process was replaced inside the window, which the drill did not do."""
        return [name for name, delta in self.deltas.items() if delta.restarted]


def open_window(first: Reading, last: Reading, prober: "Prober", new_processes: Iterable[str]) -> Window:
    """Return what moved from ``first`` to ``last``; ``new_processes`` are instances the drill has seen restart."""
    both = [name for name in first.snapshots if name in last.snapshots]
    deltas = {name: Delta(first.snapshots[name], last.snapshots[name]) for name in both}
    new = set(new_processes)
    since_boot = {name: _from_zero(delta) if name in new else delta for name, delta in deltas.items()}
    inside = [r for r in prober.results(first.ended, last.began) if r.ok and r.due + r.latency_s <= last.began]
    probes = Counter(result.instance for result in inside)
    return Window(first, last, deltas, since_boot, probes, {**first.unread, **last.unread})


def _from_zero(delta: Delta) -> Delta:
    """Return the same delta counted from an empty process."""
    first = delta.before
    start = {key: value for key, value in first.samples.items() if key[0] == START_TIME}
    return Delta(Snapshot(first.instance, first.taken, first.families, start), delta.after)


def replaced(before: Reading, after: Reading) -> list[str]:
    """Return the instances that run as another process in ``after`` than in ``before``."""
    pairs = ((name, before.snapshots.get(name), after.snapshots.get(name)) for name in after.snapshots)
    return [name for name, old, new in pairs if old and new and old.start_time != new.start_time]

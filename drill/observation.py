"""What moved on every instance between two moments, with the probes that prove that the metrics are alive."""

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from drill.errors import CannotMeasure
from drill.metrics.snapshot import ADDED_UP, NOTHING, Delta, History, Snapshot, is_another

if TYPE_CHECKING:
    from drill.probe import Prober
    from drill.record import Scalar


@dataclass(frozen=True, slots=True)
class Reading:
    """All instances read once; ``began`` and ``ended`` are monotonic seconds around it."""

    began: float
    ended: float
    snapshots: Mapping[str, Snapshot]
    unread: Mapping[str, str] = field(default_factory=dict)
    """Instance -> why it could not be read."""
    doubts: Mapping[str, str] = field(default_factory=dict)
    """Instance -> why what was read of it proves no silence."""
    facts: Mapping[str, "Scalar"] = field(default_factory=dict)
    """How it was read, for the report."""
    behind_one_address: str = ""
    """Where instances are not listed: what is known of those that answer at the one address."""


@dataclass(frozen=True, slots=True)
class Between:
    """What a source knows of the time between two readings, beside the two."""

    history: Mapping[str, History] = field(default_factory=dict)
    unread: Mapping[str, str] = field(default_factory=dict)
    doubts: Mapping[str, str] = field(default_factory=dict)
    query: str = ""
    """What a reader can ask to see the same samples."""


class MetricsSource(Protocol):
    """Where metrics are read: from the instances themselves, or from the Prometheus that scrapes them.

    Nothing here raises: what cannot be read is ``unread``.
    """

    @property
    def waits(self) -> bool:
        """Whether a reading has to wait for the next scrapes."""

    def read(self, instances: Sequence[str], *, wait: bool = True) -> Reading:
        """Read every instance as it is now; with ``wait=False``, as it was when it was scraped last."""

    def recent(self, instances: Sequence[str], count: int) -> list[Reading]:
        """Return the last ``count`` readings that can be had without waiting, oldest first, at least one."""

    def between(self, first: Reading, last: Reading) -> Between:
        """Return what happened between two readings."""

    def least_watch_s(self) -> float:
        """Return for how long the service must be watched at least, seconds."""


class SnapshotSource(Protocol):
    """Reads one instance at a time."""

    def snapshot(self, instance: str) -> Snapshot:
        """Read one instance now; raises `CannotMeasure`."""


def read_all(source: SnapshotSource, instances: Iterable[str]) -> Reading:
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
    either (METRICS.md, section 0 rule 6). A page that several workers share outlives them, and counts from before them.
    """

    first: Reading
    last: Reading
    deltas: Mapping[str, Delta]
    since_boot: Mapping[str, Delta]
    probes: Counter[str]
    """Probes per instance that were sent, and answered well, wholly inside the window: the positive control."""
    unread: Mapping[str, str]
    """Instances of which one of the two readings is missing, and why."""
    doubts: Mapping[str, str] = field(default_factory=dict)
    """Instances of which the source itself says why silence in this window proves nothing."""
    query: str = ""
    """The resolved query, where the source is one that is asked queries."""

    @property
    def asked(self) -> dict[str, "Scalar"]:
        """How it was read, as details of evidence: the query, and what is known of instances that are not listed."""
        known = {"query": self.query, "behind one address": self.last.behind_one_address}
        workers = {name: fact for name, fact in self.last.facts.items() if name.startswith("workers of ")}
        return {**{name: text for name, text in known.items() if text}, **workers}

    @property
    def seconds(self) -> float:
        """Length of the window."""
        return self.last.began - self.first.ended

    @property
    def restarted(self) -> list[str]:
        """Instances whose process was replaced inside the window, which the drill did not do."""
        return [name for name, delta in self.deltas.items() if delta.restarted]


def open_window(
    first: Reading, last: Reading, prober: "Prober", new_processes: Iterable[str], between: Between | None = None
) -> Window:
    """Return what moved from ``first`` to ``last``; ``new_processes`` are instances the drill has seen restart."""
    known = between or Between()
    both = [name for name in first.snapshots if name in last.snapshots]
    history = {name: known.history.get(name, NOTHING) for name in both}
    deltas = {name: Delta(first.snapshots[name], last.snapshots[name], history[name]) for name in both}
    new = set(new_processes)
    zeroed = {name for name, delta in deltas.items() if name in new and delta.after.start_time is not None}
    since_boot = {name: _from_zero(delta) if name in zeroed else delta for name, delta in deltas.items()}
    inside = [r for r in prober.results(first.ended, last.began) if r.ok and r.due + r.latency_s <= last.began]
    probes = _attributed(Counter(result.instance for result in inside), both)
    unread = {**first.unread, **last.unread, **known.unread}
    doubts = {**first.doubts, **last.doubts, **known.doubts}
    return Window(first, last, deltas, since_boot, probes, unread, doubts, known.query)


def _attributed(probes: Counter[str], names: Iterable[str]) -> Counter[str]:
    """Return the probes per name of the source.

    Where a source names as many instances as the drill asks, but by other names, each has answered at least as many
    probes as the instance that answered fewest.
    """
    known = list(names)
    if not probes or any(name in probes for name in known):
        return probes
    return Counter(dict.fromkeys(known, min(probes.values()))) if len(known) == len(probes) else probes


def _from_zero(delta: Delta) -> Delta:
    """Return the same delta with all counts from an empty process; gauges stay, they start from nowhere."""
    first = delta.before
    start = {key: value for key, value in first.samples.items() if not key[0].endswith(ADDED_UP)}
    earlier = {key: [(first.taken, value)] for key, value in first.samples.items()}
    samples = {key: [*earlier.get(key, ()), *found] for key, found in delta.between.samples.items()}
    history = History(samples, delta.between.reborn_at)
    return Delta(Snapshot(first.instance, first.taken, first.families, start), delta.after, history)


def replaced(before: Reading, after: Reading) -> list[str]:
    """Return the instances that run as another process in ``after`` than in ``before``.

    Where several processes answer at one address, each has a name of its own: new is who was not met before.
    """
    if after.behind_one_address and before.snapshots:
        old = {one.start_time for one in before.snapshots.values()}
        return [name for name, one in after.snapshots.items() if one.start_time not in old]
    pairs = ((name, before.snapshots.get(name), after.snapshots.get(name)) for name in after.snapshots)
    return [name for name, old, new in pairs if old and new and is_another(old, new)]

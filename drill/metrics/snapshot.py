"""One reading of one instance's metrics, and what moved between two readings."""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

Labels = frozenset[tuple[str, str]]
Key = tuple[str, Labels]

ADDED_UP = ("_total", "_count", "_bucket", "_sum")
"""Ends of the names of samples that begin at zero with the process."""
START_TIME = "process_start_time_seconds"
Samples = Sequence[tuple[float, float]]
"""Raw samples of one series, oldest first: (seconds by the source's clock, value)."""


def by_name(keys: Iterable[Key]) -> Mapping[str, Sequence[Key]]:
    """Return the series of every sample name."""
    found: dict[str, list[Key]] = {}
    for key in keys:
        found.setdefault(key[0], []).append(key)
    return found


@dataclass(frozen=True)
class Snapshot:
    """All samples of one instance at one moment.

    ``families`` maps each registered family (without ``_total``) to its type: a family that is registered and has no
    samples is a true zero, one that is not registered is unknown (METRICS.md, A1 number 2).
    """

    instance: str
    taken: float
    """Seconds by the source's clock: this process' monotonic one, or the time of the scrape by Prometheus."""
    families: Mapping[str, str]
    samples: Mapping[Key, float]
    workers: frozenset[str] = frozenset()
    """Who answers at this instance, where its workers name themselves."""

    @cached_property
    def by_name(self) -> Mapping[str, Sequence[Key]]:
        """The series of every sample name."""
        return by_name(self.samples)

    @property
    def start_time(self) -> float | None:
        """The start time that the process reports; only ever compared with itself, it may be a second early."""
        return next((self.samples[key] for key in self.by_name.get(START_TIME, ())), None)

    def has(self, family: str) -> bool:
        """Whether the family is registered, with or without samples."""
        return family.removesuffix("_total") in self.families

    def select(self, name: str, **labels: str) -> Iterator[tuple[Mapping[str, str], float]]:
        """Yield labels and value of every sample called ``name`` whose labels hold ``labels``."""
        wanted = frozenset(labels.items())
        for key in self.by_name.get(name, ()):
            if wanted <= key[1]:
                yield dict(key[1]), self.samples[key]

    def total(self, name: str, **labels: str) -> float:
        """Return the sum of the selected samples; 0 if there are none (ask `has` whether that is a true zero)."""
        return sum(value for _, value in self.select(name, **labels))


def is_another(old: Snapshot, new: Snapshot) -> bool:
    """Whether ``new`` is of another process than ``old``; where workers name themselves, of none of the same workers.

    A worker that is replaced while others stay is no restart: it has the environment of those.
    """
    return old.start_time != new.start_time or bool(old.workers and new.workers and not old.workers & new.workers)


@dataclass(frozen=True)
class History:
    """What a source has kept of one instance between two snapshots, the later one included."""

    samples: Mapping[Key, Samples] = field(default_factory=dict)
    """Counters; also those that are gone by the end."""
    reborn_at: Sequence[float] = ()
    """Times of the scrapes that first saw another process."""

    @cached_property
    def by_name(self) -> Mapping[str, Sequence[Key]]:
        """The series of every sample name."""
        return by_name(self.samples)


NOTHING = History()


@dataclass(frozen=True, slots=True)
class Delta:
    """What moved on one instance from ``before`` to ``after``: raw samples subtracted, nothing extrapolated."""

    before: Snapshot
    after: Snapshot
    between: History = NOTHING

    @property
    def restarted(self) -> bool:
        """Whether the process was replaced in between: its start time has a new value, or no old worker is left."""
        return is_another(self.before, self.after) or bool(self.between.reborn_at)

    @property
    def seconds(self) -> float:
        """Time between the two readings."""
        return self.after.taken - self.before.taken

    def moved(self, name: str) -> Iterator[tuple[Mapping[str, str], float]]:
        """Yield labels and growth of every counter sample called ``name``.

        A series born in between counts from zero; after a restart, or where a value fell, the whole new value counts
        (METRICS.md, A1 numbers 1, 4 and 5).
        """
        restarted = self.restarted
        for key in self._keys(name):
            if key in self.between.samples:
                base = self.before.samples.get(key, 0.0)
                yield dict(key[1]), counter_delta(base, self.between.samples[key], self.between.reborn_at)
            else:
                value = self.after.samples[key]
                base = 0.0 if restarted else self.before.samples.get(key, 0.0)
                yield dict(key[1]), value if value < base else value - base

    def _keys(self, name: str) -> Iterator[Key]:
        yield from self.after.by_name.get(name, ())
        yield from (key for key in self.between.by_name.get(name, ()) if key not in self.after.samples)

    def growth(self, name: str, **labels: str) -> float:
        """Return the growth of the counters called ``name`` with these labels, summed."""
        wanted = labels.items()
        return sum(value for have, value in self.moved(name) if wanted <= have.items())

    def counters(self, prefix: str) -> Iterator[tuple[str, float]]:
        """Yield name and growth of every counter whose name starts with ``prefix``, one per sample name.

        Histograms and summaries count by ``_count``, or where that is missing by the last bucket; ``_sum`` says the
        same again, ``_created`` is a time and gauges do not count.
        """
        names = {*self.after.by_name, *self.between.by_name}
        for name in sorted(name for name in names if name.startswith(prefix)):
            if name.endswith(("_total", "_count")):
                yield name, sum(value for _, value in self.moved(name))
            elif name.endswith("_bucket") and f"{name.removesuffix('_bucket')}_count" not in names:
                yield name, sum(value for labels, value in self.moved(name) if is_last_bucket(labels))

    def dead(self) -> bool:
        """Whether not one sample differs: a cached page or a frozen exporter, not a living process."""
        return dict(self.before.samples) == dict(self.after.samples)


def is_last_bucket(labels: Mapping[str, str]) -> bool:
    """Whether these are the labels of the bucket that holds all observations."""
    return labels.get("le", "").lower().lstrip("+") in {"inf", "infinity"}


def counter_delta(base: float, samples: Samples, reborn_at: Sequence[float] = ()) -> float:
    """Return the growth of a counter from ``base`` over the later ``samples`` (METRICS.md, section (b)).

    Where the value fell, or the first scrape of another process is seen, the whole new value has grown since.
    """
    grown, earlier = 0.0, base
    born = deque(reborn_at)
    for at, value in samples:
        reborn = bool(born) and born[0] <= at
        while born and born[0] <= at:
            born.popleft()
        grown += value if reborn or value < earlier else value - earlier
        earlier = value
    return grown

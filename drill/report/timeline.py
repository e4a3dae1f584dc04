"""What one drill saw over time, frozen for its report; all times in seconds since its first step."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from drill.baseline import LATENCY, since_start
from drill.config import Slo
from drill.metrics.histogram import Buckets, latency_buckets
from drill.trace import Mark, MarkKind, Moment

if TYPE_CHECKING:
    from drill.context import Drill
    from drill.probe import ProbeResult


@dataclass(frozen=True, slots=True)
class Sample:
    """One probe: when it was due, how long it took, whether it was answered well, and by whom."""

    at: float
    latency_s: float
    ok: bool
    instance: str


@dataclass(frozen=True, slots=True)
class Timeline:
    """Probes, marks and counters of one drill; ``None`` is not reached."""

    slo: Slo
    samples: tuple[Sample, ...] = ()
    marks: tuple[Mark, ...] = ()
    written_s: float | None = None
    """When the flags were on disk."""
    safe_s: float | None = None
    """When every instance was proven to answer from FAISS only."""
    settled_s: float | None = None
    """When the rolled-back service was read first: what must be silent is watched from here to the window's end."""
    window: tuple[float, float] | None = None
    """The observation window."""
    moments: tuple[Moment, ...] = ()
    new_processes: frozenset[str] = frozenset()
    """Instances seen to restart: their counters count from zero."""
    latency_before: Buckets | None = None
    """Of all searches from the start of the service's processes to the reload, as the service counted them."""
    latency_after: Buckets | None = None
    """Of all searches in the observation window, as the service counted them."""

    @property
    def reloads(self) -> tuple[Mark, ...]:
        """The reloads, in order."""
        return tuple(mark for mark in self.marks if mark.kind is MarkKind.RELOAD)

    @property
    def rows(self) -> tuple[Mark, ...]:
        """The steps and checks, in the order in which they ran."""
        return tuple(mark for mark in self.marks if mark.kind is MarkKind.ROW)

    @property
    def changed_s(self) -> float | None:
        """When users began to feel the rollback: the first reload, else when the flags were on disk."""
        return self.reloads[0].began if self.reloads else self.written_s

    def between(self, since: float, until: float) -> list[Sample]:
        """Return the probes due in ``[since, until)``."""
        return [sample for sample in self.samples if since <= sample.at < until]


def timeline_of(drill: "Drill") -> Timeline:
    """Freeze what ``drill`` has seen."""
    zero = drill.began
    safety = drill.record.time_to_safety_s
    written = None if drill.written_at is None else drill.written_at - zero
    observed = drill.observed
    settled = observed.first if observed else drill.settled
    return Timeline(
        slo=drill.config.slo,
        samples=_samples(drill.prober.results() if drill.probing else [], zero),
        marks=tuple(
            replace(mark, began=mark.began - zero, ended=mark.ended - zero)
            for mark in drill.trace.marks
            if drill.reopen or not mark.name.startswith("reopen.")
        ),
        written_s=written,
        safe_s=None if written is None or safety is None else written + safety,
        settled_s=None if settled is None else settled.ended - zero,
        window=None if observed is None else (observed.first.ended - zero, observed.last.began - zero),
        moments=tuple(replace(moment, at=moment.at - zero) for moment in drill.trace.moments),
        new_processes=frozenset(drill.new_processes),
        latency_before=_before(drill),
        latency_after=None if observed is None else latency_buckets(observed.deltas.values(), LATENCY),
    )


def _samples(results: Iterable["ProbeResult"], zero: float) -> tuple[Sample, ...]:
    """Return the probes that were measured: one that the service limited is no failure that a user felt."""
    measured = (result for result in results if result.apart is None)
    return tuple(Sample(result.due - zero, result.latency_s, result.ok, result.instance) for result in measured)


def _before(drill: "Drill") -> Buckets | None:
    """Return the latency before the reload, if there was a reload."""
    if drill.before is None or drill.before is drill.settled:
        return None
    return latency_buckets(map(since_start, drill.before.snapshots.values()), LATENCY)

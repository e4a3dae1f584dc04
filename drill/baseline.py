"""The service before the first write and after the last reload, side by side, by its own metrics and by probes.

Nothing waits for a baseline. What the service counted before is what its old processes had counted since they started;
what the probes saw before are the probes between the first row and the reload.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from drill.metrics.histogram import Buckets, latency_buckets
from drill.metrics.snapshot import Delta, Snapshot
from drill.stats import quantile

if TYPE_CHECKING:
    from drill.context import Drill
    from drill.probe import ProbeResult

LATENCY = "retrieval_latency_seconds"


@dataclass(frozen=True, slots=True)
class Side:
    """Searches of one span of time, as one observer saw them; ``None`` is not measured."""

    requests: int = 0
    p50_ms: float | None = None
    """Of a histogram, the upper bound of the bucket that holds it: infinite above the last one."""
    p95_ms: float | None = None
    error_rate: float | None = None
    """Share of failed searches."""
    backend_share: Mapping[str, float] = field(default_factory=dict)
    """Backend -> share of the searches it was asked; empty where the observer cannot know."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """Before and after, by two observers."""

    service_before: Side | None = None
    service_after: Side | None = None
    probes_before: Side | None = None
    probes_after: Side | None = None


def baseline_of(drill: "Drill") -> Baseline:
    """Return what ``drill`` has measured on both sides; what it has not is ``None``."""
    observed, before = drill.observed, drill.before
    untouched = before is None or before is drill.settled
    results = drill.prober.results() if drill.probing else []
    changed = drill.reload_began
    return Baseline(
        service_before=None if before is None or untouched else by_service(map(since_start, before.snapshots.values())),
        service_after=None if observed is None else by_service(observed.deltas.values()),
        probes_before=None if changed is None else by_probes([one for one in results if one.due < changed]),
        probes_after=None
        if observed is None
        else by_probes([one for one in results if observed.first.ended <= one.due < observed.last.began]),
    )


def since_start(snapshot: Snapshot) -> Delta:
    """Return what a process has counted since it started."""
    return Delta(Snapshot(snapshot.instance, snapshot.taken, snapshot.families, {}), snapshot)


def by_service(deltas: Iterable[Delta]) -> Side | None:
    """Return what the instances counted together; ``None`` if they were asked nothing."""
    counted = list(deltas)
    asked: dict[str, float] = {}
    for delta in counted:
        for labels, value in delta.moved("retrieval_requests_total"):
            backend = labels.get("backend", "unknown")
            asked[backend] = asked.get(backend, 0.0) + value
    total = sum(asked.values())
    if not total > 0:
        return None
    failed = sum(delta.growth("retrieval_errors_total") for delta in counted)
    buckets = latency_buckets(counted, LATENCY)
    shares = {backend: value / total for backend, value in asked.items() if value}
    return Side(round(total), _bound(buckets, 0.5), _bound(buckets, 0.95), failed / total, shares)


def by_probes(results: Sequence["ProbeResult"]) -> Side | None:
    """Return what these probes saw; ``None`` if there are none. Latency is that of the ones answered well."""
    measured = [one for one in results if one.apart is None]
    if not measured:
        return None
    good = sorted(one.latency_s * 1000 for one in measured if one.ok)
    bad = len(measured) - len(good)
    p50, p95 = (quantile(good, 0.5), quantile(good, 0.95)) if good else (None, None)
    return Side(len(measured), p50, p95, bad / len(measured))


def _bound(buckets: Buckets | None, q: float) -> float | None:
    return None if buckets is None or buckets.samples <= 0 else 1000 * buckets.interval(q)[1]

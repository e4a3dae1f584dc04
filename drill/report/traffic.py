"""What the service counted of its searches in a time: by backend, failed, and how fast."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from drill.metrics.histogram import Buckets, latency_buckets
from drill.metrics.snapshot import Delta, Snapshot


@dataclass(frozen=True, slots=True)
class Traffic:
    """Searches of all instances together."""

    requests: Mapping[str, float]
    """Backend -> searches it was asked."""
    errors: float
    latency: Buckets | None
    """``None`` if the service has no histogram, or its instances do not share one."""

    @property
    def total(self) -> float:
        """Searches in all."""
        return sum(self.requests.values())

    @property
    def error_rate(self) -> float | None:
        """Share of failed searches."""
        return self.errors / self.total if self.total else None


def traffic(deltas: Sequence[Delta]) -> Traffic:
    """Return the searches that ``deltas`` counted."""
    requests: dict[str, float] = {}
    for delta in deltas:
        for labels, value in delta.moved("retrieval_requests_total"):
            backend = labels.get("backend", "unknown")
            requests[backend] = requests.get(backend, 0.0) + value
    errors = sum(delta.growth("retrieval_errors_total") for delta in deltas)
    return Traffic(requests, errors, latency_buckets(deltas, "retrieval_latency_seconds"))


def since_start(snapshot: Snapshot) -> Delta:
    """Return what a process has counted since it started."""
    return Delta(Snapshot(snapshot.instance, snapshot.taken, snapshot.families, {}), snapshot)

"""Which instances users have written documents to, by the service's HTTP metrics."""

from collections.abc import Mapping

from drill.context import Drill
from drill.metrics.snapshot import Delta, Snapshot
from drill.metrics.status import said
from drill.observation import Window

HTTP = "http_requests_total"
CHANGING = frozenset({"POST", "PUT", "PATCH", "DELETE"})


def written_to(drill: Drill, window: Window, own: Mapping[str, int]) -> frozenset[str]:
    """Return the instances, by their names in ``window``, that have accepted a write of a user inside it.

    ``own``: how many writes of the drill itself each instance (URL) has accepted; those are no user's.
    Only requests to ``[service] ingest_path`` count: what other requests change is not known. Where there is one
    instance only, every document that is new has been written to it.
    """
    if len(window.deltas) == 1 and len(drill.service.instances) == 1:
        return frozenset(window.deltas)
    return frozenset(name for name, many in writes_of_users(drill, window, own).items() if many > 0)


def writes_of_users(drill: Drill, window: Window, own: Mapping[str, int]) -> dict[str, float]:
    """Return how many writes of users each instance, by its name in ``window``, has accepted inside it, by its metrics.

    Where the metrics call the instances otherwise, it is as few as it can have been.
    """
    path, all_own = drill.config.service.ingest_path, sum(own.values())
    known = set(drill.service.instances)
    return {
        name: _accepted(delta, path) - (own.get(name, 0) if name in known else all_own)
        for name, delta in window.deltas.items()
    }


def took_writes(drill: Drill, page: Snapshot) -> bool:
    """Whether a process has accepted writes of users since its boot."""
    path = drill.config.service.ingest_path
    return any(value > 0 and path and _is_write(labels, path) for labels, value in page.select(HTTP))


def _accepted(delta: Delta, path: str) -> float:
    return sum(value for labels, value in delta.moved(HTTP) if path and _is_write(labels, path))


def _is_write(labels: Mapping[str, str], path: str) -> bool:
    """Whether the labels are those of a write that was accepted, whatever route and status are called."""
    values = set(labels.values())
    changing = labels.get("method", "POST").upper() in CHANGING
    return path in values and changing and all(status.startswith("2") for status in said(labels))

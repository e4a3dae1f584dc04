"""A look at an instance's own page, for what Prometheus does not tell: what it has dropped, merged, or taken once."""

from drill.errors import CannotMeasure
from drill.metrics.names import family
from drill.metrics.pages import Page
from drill.metrics.scrape import RepeatedSeries
from drill.metrics.snapshot import START_TIME, Snapshot
from drill.observation import SnapshotSource

OURS = ("retrieval_", "http_requests", START_TIME)


def look(direct: SnapshotSource, instance: str) -> Snapshot | CannotMeasure:
    """Read the page of ``instance``, or return why it could not be read."""
    try:
        return direct.snapshot(instance)
    except CannotMeasure as problem:
        return problem


def doubt(page: Page, seen: Snapshot | CannotMeasure) -> str:
    """Return why what Prometheus has stored of a page proves no silence, given the page itself; empty if it does.

    A series that stands twice on the page is one that Prometheus has the first value of, and says nothing of. Where the
    page cannot be read from here, that cannot be known.
    """
    if isinstance(seen, RepeatedSeries):
        return f"Prometheus keeps one of two values: {seen}"
    label = page.snapshot.instance
    drops = f"Prometheus drops {page.dropped:g} samples of each scrape of {label} (metric_relabel_configs)"
    if isinstance(seen, CannotMeasure):
        return f"{drops}, and its page could not be read to see which" if page.dropped > 0 else ""
    if page.dropped > 0 and (lost := _ours(seen) - set(page.snapshot.by_name)):
        return f"{drops}, among them {', '.join(sorted({family(sample) for sample in lost}))}"
    if merged := sorted(name for name in _ours(seen) if _merged(name, seen, page.snapshot)):
        return f"Prometheus leaves labels of {label} away, so that several series of {', '.join(merged)} become one"
    return ""


def _ours(seen: Snapshot) -> set[str]:
    return {sample for sample in seen.by_name if sample.startswith(OURS)}


def _merged(name: str, seen: Snapshot, stored: Snapshot) -> bool:
    """Whether series of the page cannot be told apart by the labels that Prometheus has kept of them."""
    kept = {label for _, labels in stored.by_name.get(name, ()) for label, _ in labels}
    if not kept and len(stored.by_name.get(name, ())) != 1:
        return False
    told = {
        frozenset(pair for pair in labels if pair[0] in kept or f"exported_{pair[0]}" in kept)
        for _, labels in seen.by_name[name]
    }
    return len(told) < len(seen.by_name[name])

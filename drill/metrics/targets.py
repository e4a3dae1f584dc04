"""Which of Prometheus' targets are the instances that the drill knows by their URLs."""

import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from drill.addresses import endpoint
from drill.metrics.matchers import quoted
from drill.metrics.prometheus import Sample
from drill.words import count


@dataclass(frozen=True, slots=True)
class Targets:
    """The targets found; an instance is called by its URL, or by Prometheus' label where there is no telling."""

    labels: Mapping[str, str] = field(default_factory=dict)
    """Instance -> its ``instance`` label."""
    missing: Mapping[str, str] = field(default_factory=dict)
    """Instance -> why no one target is meant by it."""

    def matcher(self) -> str:
        """Return a matcher that selects these targets."""
        return "instance=~" + quoted("|".join(re.escape(label) for label in sorted(self.labels.values())))


def address(url: str) -> str:
    """Return ``host:port`` of a URL, as Prometheus calls what it scrapes there."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{host}:{parts.port or (443 if parts.scheme == 'https' else 80)}"


def locate(instances: Sequence[str], up: Iterable[Sample], selector: str) -> Targets:
    """Find the target of every instance among the series of ``up``, by host and port.

    Where none of them is found so (pod names, another network), the targets are judged under Prometheus' own names,
    provided that ``selector`` finds exactly as many as there are instances.
    """
    jobs: dict[str, list[str]] = {}
    for sample in up:
        jobs.setdefault(sample.labels.get("instance", ""), []).append(sample.labels.get("job", ""))
    by_url = _by_address(instances, jobs)
    if not by_url and selector and len(jobs) == len(instances):
        by_url = {label: label for label in jobs}
    twice = {name: label for name, label in by_url.items() if len(jobs[label]) > 1}
    found = {name: label for name, label in by_url.items() if name not in twice}
    missing = {name: _twice(label, jobs[label]) for name, label in twice.items()}
    if not by_url:
        missing = dict.fromkeys(instances, _nowhere(instances, jobs, selector))
    elif set(by_url) <= set(instances):
        missing |= {url: _not_scraped(url, selector) for url in instances if url not in by_url}
    return Targets(found, missing)


def _by_address(instances: Sequence[str], labels: Iterable[str]) -> dict[str, str]:
    """Return the label of every instance that is called by its own host and port, however either writes them."""
    known: dict[tuple[str, int], str] = {}
    for label in labels:
        with suppress(ValueError):
            known[endpoint(f"//{label}")] = label
    exact = {label.lower(): label for label in labels}
    found = {url: exact.get(address(url).lower()) or known.get(endpoint(url)) for url in instances}
    return {url: label for url, label in found.items() if label}


def _twice(label: str, jobs: Iterable[str]) -> str:
    names = ", ".join(sorted(set(jobs)))
    return f"Prometheus scrapes {label} more than once (jobs {names}): let [metrics] selector select one"


def _not_scraped(url: str, selector: str) -> str:
    within = f" among the targets with {selector}" if selector else ""
    return f"Prometheus does not scrape {address(url)}{within}: add it there, or correct [service] instances"


def _nowhere(instances: Sequence[str], jobs: Mapping[str, object], selector: str) -> str:
    if not jobs:
        meant = f"with {selector}" if selector else "at all"
        return f"Prometheus has no target {meant}: check [metrics] selector and prometheus_url"
    if not selector:
        return (
            f"none of the {count(len(jobs), 'target')} of Prometheus is called {', '.join(map(address, instances))}: "
            "set [metrics] selector to the labels of this service's targets"
        )
    return (
        f"Prometheus has {count(len(jobs), 'target')} with {selector}, none of them called "
        f"{', '.join(map(address, instances))}, and [service] names {count(len(instances), 'instance')}: "
        "name every instance by the address that Prometheus scrapes"
    )

"""Reading ``/metrics`` of an instance directly, as OpenMetrics where it can: a body cut in half is then an error."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar
from urllib.parse import urljoin

from drill.config import Values
from drill.errors import CannotMeasure
from drill.http import HttpClient, Reply
from drill.metrics.exposition import Exposition, Repeated, Unreadable, is_openmetrics, read
from drill.metrics.names import Names
from drill.metrics.snapshot import Snapshot
from drill.observation import Between, Reading, read_all

ACCEPT = "application/openmetrics-text; version=1.0.0; q=1, text/plain; version=0.0.4; q=0.2"
OK = 200
"""The only status with which Prometheus takes a page: with 206 it would be a part of one."""
HEADERS = {"Accept": ACCEPT, "Cache-Control": "no-cache"}


class RepeatedSeries(CannotMeasure):
    """A page holds one series twice with different values."""


@dataclass(frozen=True, slots=True)
class ScrapeSource:
    """The instances' own ``/metrics``, each read by its own address."""

    waits: ClassVar[bool] = False
    client: HttpClient
    path: str
    names: Mapping[str, str]
    """Metric of the design -> the service's own name for it."""
    values: Values | None = None

    def snapshot(self, instance: str) -> Snapshot:
        """Read one instance on a new connection.

        Raises `CannotMeasure` if there is no answer, or none that is a complete exposition.
        """
        reply = self.client.get(instance + self.path, fresh=True, headers=HEADERS)
        where = f"metrics of {instance} at {self.path}"
        if reply.apart:
            raise CannotMeasure(f"{where}: {reply.seen()}; allow the drill more requests, or lower [probe] rate")
        if reply.error or reply.status != OK:
            raise CannotMeasure(
                f"{where}: seen {reply.seen()}{_moved(reply, instance)}, expected Prometheus metrics; "
                "check [service] metrics_path"
            )
        page, names = _parse(reply, where), Names(self.names, self.values)
        names.learn(page.counters)
        return Snapshot(instance, time.monotonic(), names.families(page.families), names.samples(page.samples))

    def read(self, instances: Sequence[str], *, wait: bool = True) -> Reading:  # noqa: ARG002 - there is no wait here
        """Read every instance now."""
        return read_all(self, instances)

    def recent(self, instances: Sequence[str], count: int) -> list[Reading]:
        """Read every instance ``count`` times in a row; after a reading that is not whole, no more."""
        readings = [self.read(instances)]
        while len(readings) < count and not readings[-1].unread:
            readings.append(self.read(instances))
        return readings

    def between(self, first: Reading, last: Reading) -> Between:  # noqa: ARG002 - a scrape knows nothing in between
        """Return nothing: two scrapes say all that they know."""
        return Between()

    def least_watch_s(self) -> float:
        """Return 0: a scrape can be had at any time."""
        return 0.0


def _moved(reply: Reply, instance: str) -> str:
    """Say where on the same host the page is, if the answer says so: Prometheus would follow, a drill does not."""
    there = urljoin(instance, reply.headers.get("location", ""))
    return f", to {there.removeprefix(instance)}" if there.startswith(f"{instance}/") else ""


def _parse(reply: Reply, where: str) -> Exposition:
    openmetrics = is_openmetrics(reply.content_type)
    if not openmetrics and not reply.framed and not reply.body.endswith(b"\n"):
        raise CannotMeasure(f"{where}: seen a text that ends within a line: it may be cut off, expected all of it")
    try:
        return read(reply.body, openmetrics=openmetrics)
    except Repeated as problem:
        raise RepeatedSeries(f"{where}: {problem}; let the service register it once") from None
    except Unreadable as problem:
        raise CannotMeasure(
            f"{where}: seen {reply.seen()}, {problem}; expected Prometheus metrics, check [service] metrics_path"
        ) from None

"""Reading ``/metrics`` of an instance directly, as OpenMetrics where it can: a body cut in half is then an error."""

import math
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from drill.errors import CannotMeasure
from drill.http import HttpClient, Reply
from drill.metrics.names import Names, base
from drill.metrics.snapshot import Key, Snapshot
from drill.observation import Between, Reading, read_all

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

ACCEPT = "application/openmetrics-text; version=1.0.0; q=1, text/plain; version=0.0.4; q=0.2"
COUNTS = ("_total", "_count", "_bucket")
"""Ends of the names of what is counted, which is never NaN; a gauge or the quantile of an empty summary may be."""
HEADERS = {"Accept": ACCEPT, "Cache-Control": "no-cache"}


@dataclass(frozen=True, slots=True)
class ScrapeSource:
    """The instances' own ``/metrics``, each read by its own address."""

    waits: ClassVar[bool] = False
    client: HttpClient
    path: str
    names: Mapping[str, str]
    """Metric of the design -> the service's own name for it."""

    def snapshot(self, instance: str) -> Snapshot:
        """Read one instance on a new connection.

        Raises `CannotMeasure` if there is no answer, or none that is a complete exposition.
        """
        reply = self.client.get(instance + self.path, fresh=True, headers=HEADERS)
        where = f"metrics of {instance} at {self.path}"
        if not reply.ok:
            raise CannotMeasure(
                f"{where}: seen {reply.seen()}, expected Prometheus metrics; check [service] metrics_path"
            )
        families, samples = _parse(reply, where)
        names = Names(self.names)
        return Snapshot(instance, time.monotonic(), names.families(families), names.samples(samples))

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


def _parse(reply: Reply, where: str) -> tuple[dict[str, str], dict[Key, float]]:
    from prometheus_client import parser
    from prometheus_client.openmetrics import parser as openmetrics

    kind = reply.content_type
    if "text/plain" not in kind and "openmetrics" not in kind:
        raise CannotMeasure(f"{where}: seen {reply.seen()}, expected Prometheus metrics; check [service] metrics_path")
    text = reply.body.decode("utf-8", "replace")
    if "openmetrics" not in kind and not text.endswith("\n"):
        raise CannotMeasure(f"{where}: seen a text that ends within a line, expected Prometheus metrics")
    read = (
        openmetrics.text_string_to_metric_families if "openmetrics" in kind else parser.text_string_to_metric_families
    )
    try:
        return _collect(read(text))
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise CannotMeasure(
            f"{where}: not a complete exposition ({type(error).__name__}); expected Prometheus metrics"
        ) from None


def _collect(metrics: Iterable["Metric"]) -> tuple[dict[str, str], dict[Key, float]]:
    families: dict[str, str] = {}
    samples: dict[Key, float] = {}
    for family in metrics:
        families[base(family.name)] = family.type
        for sample in family.samples:
            if not sample.name.endswith("_created"):
                value = float(sample.value)
                if not math.isfinite(value) and family.type != "gauge" and sample.name.endswith(COUNTS):
                    raise ValueError("a counter that is not a number")
                if not math.isnan(value):
                    samples[sample.name, frozenset(sample.labels.items())] = value
    if not samples:
        raise ValueError("no samples at all")
    return families, samples

"""Reading ``/metrics`` of an instance directly, as OpenMetrics where it can: a body cut in half is then an error."""

import math
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from drill.errors import CannotMeasure
from drill.http import HttpClient, Reply
from drill.metrics.snapshot import Key, Snapshot

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

ACCEPT = "application/openmetrics-text; version=1.0.0; q=1, text/plain; version=0.0.4; q=0.2"
COUNTS = ("_total", "_count", "_bucket")
"""Ends of the names of what is counted, which is never NaN; a gauge or the quantile of an empty summary may be."""
HEADERS = {"Accept": ACCEPT, "Cache-Control": "no-cache"}


@dataclass(frozen=True, slots=True)
class ScrapeSource:
    """The instances' own ``/metrics``, each read by its own address."""

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
        families, samples = self._renamed(*_parse(reply, where))
        return Snapshot(instance, time.monotonic(), families, samples)

    def _renamed(
        self, families: Mapping[str, str], samples: Mapping[Key, float]
    ) -> tuple[Mapping[str, str], Mapping[Key, float]]:
        back = {_base(own): _base(name) for name, own in self.names.items()}
        if not back:
            return families, samples
        renamed = {(_rename(name, back), labels): value for (name, labels), value in samples.items()}
        return {back.get(name, name): kind for name, kind in families.items()}, renamed


def _base(name: str) -> str:
    return name.removesuffix("_total")


def _rename(name: str, back: Mapping[str, str]) -> str:
    for suffix in ("_total", "_bucket", "_count", "_sum", ""):
        if name.endswith(suffix) and (known := back.get(name.removesuffix(suffix))):
            return known + suffix
    return name


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
        families[family.name.removesuffix("_total")] = family.type
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

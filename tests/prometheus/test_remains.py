"""A target that has changed its labels, or whose job was renamed: Prometheus finds the old one for minutes more."""

from dataclasses import dataclass
from typing import cast

import pytest

from drill.errors import CannotMeasure
from drill.metrics.prometheus import Described, PrometheusClient, Sample, Series
from drill.metrics.queried import PrometheusSource
from drill.metrics.snapshot import Snapshot
from tests.library.world import A

NOW = 1_000_000.0
OLD, NEW = (
    {"__name__": "up", "instance": "a:1", "job": "retrieval", "pod": "old"},
    {"__name__": "up", "instance": "a:1", "job": "retrieval", "pod": "new"},
)


@dataclass
class Fake:
    """Scraped every second; the old target stopped ``old_s`` ago, the new one began then."""

    old_s: float
    reversed: bool = False

    def vector(self, _expr: str, at: float | None = None) -> list[Sample]:
        return [Sample(labels, NOW, 1.0) for labels in (OLD, NEW)]

    def raw(self, selector: str, span_s: float, until: float | None = None) -> list[Series]:
        end = NOW - 0.5
        old = [(end - 60 + n, 1.0) for n in range(60) if end - 60 + n < end - self.old_s]
        new = [(end - n, 1.0) for n in range(int(self.old_s), -1, -1)]
        names = ("up",) if selector.startswith("up") else ("up", "retrieval_requests_total")
        found = [
            Series({**labels, "__name__": name}, samples)
            for name in names
            for labels, samples in ((OLD, old), (NEW, new))
        ]
        return found[::-1] if self.reversed else found

    def described(self, _matchers: str) -> list[Described]:
        return []


class Nowhere:
    def snapshot(self, instance: str) -> Snapshot:
        raise CannotMeasure(instance)


def source(fake: Fake) -> PrometheusSource:
    return PrometheusSource(cast("PrometheusClient", fake), "", {}, Nowhere())


@pytest.mark.parametrize("back_to_front", [False, True])
def test_what_is_scraped_no_more_does_not_hide_what_took_its_place(back_to_front: bool) -> None:
    reading = source(Fake(20.0, back_to_front)).read([A], wait=False)
    assert reading.unread == {}
    assert reading.snapshots[A].taken == NOW - 0.5
    assert reading.snapshots[A].total("retrieval_requests_total") == 1


def test_what_is_scraped_twice_now_is_not_judged() -> None:
    reading = source(Fake(2.0)).read([A], wait=False)
    assert "more than once" in reading.unread[A]

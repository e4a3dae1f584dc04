"""Native histograms, which a real Prometheus stores without any ``_count``: their count is read, not silence."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from drill.checks import slo
from drill.checks.flags import judge_shadow
from drill.context import Drill
from drill.verdict import Verdict
from sandbox.native import COUNTER, GAUGE, HISTOGRAM, PROTOBUF, counter, family, gauge, histogram
from tests.library.server import Answer, running
from tests.prometheus.exporter import SERVED, Exporter, job, scraping
from tests.prometheus.server import BINARY
from tests.prometheus.test_source_real import World, drills, observed

__all__ = ["drills"]

pytestmark = pytest.mark.skipif(
    BINARY is None, reason="prometheus is not installed (Debian: apt-get install prometheus)"
)
SHADOW_COUNT = "retrieval_shadow_latency_seconds_count"
FAISS = {"backend": "faiss", "tenant": "default"}


class NativeExporter(Exporter):
    """Gives its histograms as native ones to whoever asks for the binary format."""

    def _page(self) -> Answer:
        if "protobuf" not in self.headers[-1]["accept"]:
            return super()._page()
        shadow, served = int(self.values[SHADOW_COUNT]), int(self.values[SERVED])
        pages = [
            family("process_start_time_seconds", GAUGE, [gauge(self.started)]),
            family("retrieval_requests_total", COUNTER, [counter(served, FAISS)]),
            family("retrieval_latency_seconds", HISTOGRAM, [histogram(served, {"backend": "faiss"})]),
            family("retrieval_shadow_latency_seconds", HISTOGRAM, [histogram(shadow)] if shadow else []),
            family("retrieval_dual_write_outbox_size", GAUGE, [gauge(0)]),
            *(
                family(name, COUNTER, [counter(0)])
                for name in ("retrieval_errors_total", "retrieval_shadow_dropped_total")
            ),
            *(
                family(f"retrieval_shadow_{name}", HISTOGRAM, [histogram(1)])
                for name in ("agreement_at_5", "ndcg_at_10")
            ),
        ]
        return Answer(b"".join(pages), kind=PROTOBUF)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with running(NativeExporter()) as exporter:
        exporter.serve(5)
        features = "--enable-feature=native-histograms"
        with scraping(tmp_path_factory.mktemp("native"), [job("native", exporter)], features, ready=1) as url:
            yield World(url, {"native": exporter})


@pytest.fixture
def drill(world: World, tmp_path: Path, drills: list[Drill]) -> Drill:
    drills.append(world.drill(tmp_path, 'job="native"', "native"))
    return drills[-1]


def test_prometheus_stores_no_count_of_a_native_histogram(world: World, drill: Drill) -> None:
    """The world is what it is meant to be: the classic series are not there."""
    world.exporters["native"].values[SHADOW_COUNT] += 1
    drill.read_metrics()
    assert drill.prometheus.vector('{__name__=~"retrieval_.+_(count|bucket|sum)"}') == []
    assert drill.prometheus.vector("retrieval_requests_total") != []


def test_a_shadow_read_that_a_native_histogram_counts_is_a_fail(world: World, drill: Drill) -> None:
    """It moves by what its count grows, which Prometheus has under no name of its own."""
    world.exporters["native"].values[SHADOW_COUNT] += 1
    window = observed(drill, world.exporters["native"], served=0)
    assert judge_shadow(drill, window).verdict is not Verdict.PASS
    world.exporters["native"].values[SHADOW_COUNT] += 7
    evidence = judge_shadow(drill, drill.window(drill.read_metrics()))
    assert evidence.verdict is Verdict.FAIL, evidence.line()
    assert f"{SHADOW_COUNT} +7" in evidence.reason


def test_a_native_histogram_that_stands_still_is_silent(world: World, drill: Drill) -> None:
    """A described family without a sample, and one that does not grow, are both zero."""
    evidence = judge_shadow(drill, observed(drill, world.exporters["native"]))
    assert evidence.verdict is Verdict.PASS, evidence.line()


def test_latency_of_a_native_histogram_is_inconclusive_for_the_reason_that_is_said(world: World, drill: Drill) -> None:
    """Its buckets are not read, and that is said; nothing is passed on what is not there."""
    evidence = slo.latency(drill, observed(drill, world.exporters["native"], served=400))
    assert evidence.verdict is Verdict.INCONCLUSIVE, evidence.line()
    assert "counts without buckets, as a native histogram does" in evidence.reason

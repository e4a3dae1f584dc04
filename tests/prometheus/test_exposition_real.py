"""Pages of all kinds as a real Prometheus reads them, and as we do: the same samples, or an error, never others."""

import math
from collections.abc import Iterator, Mapping

import pytest

from drill.metrics.exposition import Unreadable, is_openmetrics, read
from drill.metrics.prometheus import PrometheusClient
from drill.metrics.snapshot import Key
from tests.library.server import Answer, ScriptedService, running
from tests.prometheus.exporter import scraping
from tests.prometheus.kinds_of_pages import PAGES, Kind
from tests.prometheus.server import BINARY, wait_for

pytestmark = pytest.mark.skipif(
    BINARY is None, reason="prometheus is not installed (Debian: apt-get install prometheus)"
)

Samples = Mapping[Key, float]
Read = dict[str, Samples | None]
"""Page -> what was read of it, or nothing if it was refused."""


@pytest.fixture(scope="module")
def pages() -> Iterator[ScriptedService]:
    """Serve every page under a path of its own."""
    with running(ScriptedService()) as server:
        for number, page in enumerate(PAGES):
            server.script["GET", f"/{number}"] = Answer(page.body, kind=page.type)
        yield server


@pytest.fixture(scope="module")
def by_prometheus(tmp_path_factory: pytest.TempPathFactory, pages: ScriptedService) -> Read:
    """Let Prometheus scrape every page, and return what it has stored of each."""
    jobs = [
        {
            "job_name": str(number),
            "metrics_path": f"/{number}",
            "scrape_interval": "1s",
            "honor_timestamps": False,
            "static_configs": [{"targets": [pages.url.removeprefix("http://")]}],
        }
        for number in range(len(PAGES))
    ]
    with scraping(tmp_path_factory.mktemp("pages"), jobs, ready=1) as url:
        client = PrometheusClient(url)
        wait_for(lambda: len(client.vector("count_over_time(up[1m]) >= 2")) == len(PAGES), "all pages are scraped")
        up = {sample.labels["job"]: sample.value for sample in client.vector("up")}
        found = client.vector('{job=~".+",__name__!~"up|scrape_.+"}')
        client.close()
    stored_by: Read = {page.name: {} if up[str(number)] == 1 else None for number, page in enumerate(PAGES)}
    for sample in found:
        labels = frozenset((k, v) for k, v in sample.labels.items() if k not in {"__name__", "job", "instance"})
        stored = stored_by[PAGES[int(sample.labels["job"])].name]
        assert isinstance(stored, dict)
        if not (math.isnan(sample.value) or sample.labels["__name__"].endswith("_created")):
            stored[sample.labels["__name__"], labels] = sample.value
    return stored_by


def by_us(page: Kind) -> Samples | None:
    try:
        return read(page.body, openmetrics=is_openmetrics(page.type)).samples
    except Unreadable:
        return None


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_is_read_as_prometheus_reads_it_or_refused(by_prometheus: Read, page: Kind) -> None:
    """What we read is what Prometheus has stored; what it refuses we refuse, and beyond that only what is said."""
    ours, theirs = by_us(page), by_prometheus[page.name]
    assert ours == (None if page.stricter else theirs)
    assert theirs is not None or not page.stricter, "Prometheus refuses it too"


def test_the_comparison_saw_pages_of_both_kinds(by_prometheus: Read) -> None:
    """Both sides have read pages, and refused some: neither answer is given by nothing at all."""
    assert len(PAGES) == len(by_prometheus) >= 40
    assert sum(bool(read) for read in by_prometheus.values()) >= 40
    assert sum(read is None for read in by_prometheus.values()) >= 20

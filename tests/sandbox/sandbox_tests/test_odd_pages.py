"""The odd and the faulty metrics pages of the sandbox are what they are called."""

import pytest
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as openmetrics

from drill.metrics.exposition import Repeated, read
from sandbox.faults.metrics import MetricsDuplicateSeries
from sandbox.oddities.pages import EXEMPLAR, PageOfOddLines, WorkersSharePage


def page(*, of_openmetrics: bool) -> bytes:
    registry = CollectorRegistry()
    requests = Counter("retrieval_requests_total", "-", ["backend"], registry=registry)
    requests.labels("faiss").inc(3)
    requests.labels("qdrant").inc(4)
    return bytes(openmetrics(registry) if of_openmetrics else generate_latest(registry))  # type: ignore[no-untyped-call]


FORMATS = pytest.mark.parametrize("of_openmetrics", [False, True], ids=["classic", "openmetrics"])


@FORMATS
def test_the_odd_lines_say_the_same_as_the_page_without_them(of_openmetrics: bool) -> None:
    """What is rearranged is read as before, and the odd lines are there to be read."""
    plain = page(of_openmetrics=of_openmetrics)
    odd = PageOfOddLines(0).exposition(plain)
    seen = read(odd, openmetrics=of_openmetrics).samples
    assert read(plain, openmetrics=of_openmetrics).samples.items() <= seen.items()
    assert ("odd", frozenset({("path", "C:\\DIR\n"), ("quoted", '"')})) in seen
    assert (EXEMPLAR in odd) is of_openmetrics


@FORMATS
def test_the_duplicate_series_stand_twice_with_two_values(of_openmetrics: bool) -> None:
    """The page is whole but for that."""
    with pytest.raises(Repeated, match=r"retrieval_requests_total.*\(3 and 0\)"):
        read(MetricsDuplicateSeries(0).exposition(page(of_openmetrics=of_openmetrics)), openmetrics=of_openmetrics)


def test_a_shared_page_says_nothing_of_one_process() -> None:
    """Its page lacks the start, and all else stays."""
    shared = WorkersSharePage(0).exposition(b"process_start_time_seconds 1\nretrieval_requests_total 1\n")
    assert shared == b"retrieval_requests_total 1\n"

"""Which of Prometheus' targets an instance is, and what is said where there is no telling."""

import pytest

from drill.metrics.prometheus import Sample
from drill.metrics.targets import address, locate

A, B = "http://10.0.0.11:8000", "http://10.0.0.12:8000"
SELECTOR = 'job="retrieval"'


def up(*targets: tuple[str, str]) -> list[Sample]:
    return [Sample({"instance": instance, "job": job}, 1.0, 1.0) for instance, job in targets]


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://10.0.0.11:8000", "10.0.0.11:8000"),
        ("https://search.internal", "search.internal:443"),
        ("http://search.internal/base", "search.internal:80"),
        ("http://[::1]:8000", "[::1]:8000"),
    ],
)
def test_prometheus_calls_a_target_by_host_and_port(url: str, expected: str) -> None:
    assert address(url) == expected


def test_instances_are_found_by_host_and_port_among_other_targets() -> None:
    found = locate([A, B], up(("10.0.0.12:8000", "r"), ("node:9100", "node"), ("10.0.0.11:8000", "r")), "")
    assert found.labels == {A: "10.0.0.11:8000", B: "10.0.0.12:8000"}
    assert found.missing == {}
    assert found.matcher() == r'instance=~"10\\.0\\.0\\.11:8000|10\\.0\\.0\\.12:8000"'


@pytest.mark.parametrize("label", ["LOCALHOST:8000", "localhost.:8000", "127.0.0.1:8000", "[::1]:8000"])
def test_an_instance_is_found_however_its_address_is_written(label: str) -> None:
    """Prometheus and the configuration need not spell a host alike."""
    found = locate(["http://localhost:8000"], up((label, "r"), ("not an address", "r"), ("host:port", "r")), "")
    assert found.labels == {"http://localhost:8000": label}


def test_an_instance_is_found_by_its_own_spelling_first() -> None:
    """Where two targets are one address, the one that is called as configured is meant."""
    found = locate(["http://localhost:8000"], up(("localhost:8000", "r"), ("127.0.0.1:8000", "r")), "")
    assert found.labels == {"http://localhost:8000": "localhost:8000"}


def test_an_instance_that_is_not_scraped_is_named_and_spoils_no_other() -> None:
    found = locate([A, B], up(("10.0.0.11:8000", "r")), SELECTOR)
    assert list(found.labels) == [A]
    assert "does not scrape 10.0.0.12:8000" in found.missing[B]
    assert SELECTOR in found.missing[B]


def test_an_instance_that_two_jobs_scrape_is_not_judged() -> None:
    found = locate([A], up(("10.0.0.11:8000", "r"), ("10.0.0.11:8000", "copy")), "")
    assert found.labels == {}
    assert "more than once (jobs copy, r)" in found.missing[A]


def test_pods_are_judged_under_prometheus_names_if_the_selector_finds_as_many_as_there_are_instances() -> None:
    found = locate([A, B], up(("pod-1", "r"), ("pod-2", "r")), SELECTOR)
    assert found.labels == {"pod-1": "pod-1", "pod-2": "pod-2"}
    assert found.missing == {}


@pytest.mark.parametrize(
    ("targets", "selector", "said"),
    [
        ([("pod-1", "r"), ("pod-2", "r")], "", "set [metrics] selector"),
        ([("pod-1", "r")], SELECTOR, "1 target with"),
        ([("pod-1", "r"), ("pod-2", "r"), ("pod-3", "r")], SELECTOR, "[service] names 2 instances"),
        ([], SELECTOR, "no target with job"),
        ([], "", "no target at all"),
    ],
)
def test_where_there_is_no_telling_every_instance_is_missing_for_a_reason(
    targets: list[tuple[str, str]], selector: str, said: str
) -> None:
    found = locate([A, B], up(*targets), selector)
    assert found.labels == {}
    assert set(found.missing) == {A, B}
    assert said in found.missing[A]


def test_pods_that_two_jobs_scrape_are_not_judged() -> None:
    found = locate([A], up(("pod-1", "r"), ("pod-1", "copy")), SELECTOR)
    assert found.labels == {}
    assert "more than once" in found.missing["pod-1"]

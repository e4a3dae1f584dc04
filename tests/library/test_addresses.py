"""When two URLs of a configuration lead to one address."""

import pytest

from drill.addresses import endpoint, same
from drill.config import Config, Metrics, Service
from drill.config_check import check
from drill.errors import UsageError

ONE = [
    ("http://host:80", "http://host"),
    ("https://host", "https://HOST.:443/"),
    ("http://localhost:8000", "http://127.0.0.1:8000"),
    ("http://localhost.:8000", "http://[::1]:8000"),
    ("http://127.1:8000", "http://2130706433:8000"),
    ("http://0.0.0.0:8000", "http://127.0.0.1:08000"),
    ("http://10.0.0.1:8000", "http://[::ffff:10.0.0.1]:8000"),
    ("http://[2001:db8::1]:8000", "http://[2001:0DB8:0:0:0:0:0:1]:8000"),
    ("http://bücher.example", "http://xn--bcher-kva.example"),
    ("http://host/a", "http://host/a/"),
    ("http://host/a~b", "http://host/x/../a%7Eb"),
    ("http://host/a", "http://host/./a"),
    ("http://host", "http://host"),
]
TWO = [
    ("http://host:1", "http://host:2"),
    ("http://host", "https://host"),
    ("http://host.a", "http://host.b"),
    ("http://127.0.0.1:1", "http://127.0.0.2:1"),
    ("http://host/a", "http://host/A"),
    ("http://host/a", "http://host/b"),
    ("http://abc.def:1", "http://abc.dee:1"),
]


@pytest.mark.parametrize(("first", "second"), ONE)
@pytest.mark.parametrize("prometheus", ["", "http://prometheus:9090"])
def test_instances_that_are_one_address_are_an_error_of_the_configuration(
    first: str, second: str, prometheus: str
) -> None:
    """Whatever they are read from, one instance is not proven twice."""
    service = Service(instances=["http://other:1", first, second])
    with pytest.raises(UsageError, match="instances: number 2 and number 3 are one address") as caught:
        check(Config(service=service, metrics=Metrics(prometheus_url=prometheus)))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("first", "second"), TWO)
def test_instances_of_two_addresses_are_two(first: str, second: str) -> None:
    """Other hosts, ports and paths are other pages, where each one's own page is read."""
    check(Config(service=Service(instances=[first, second])))
    assert same([first, second], paths=True) is None


@pytest.mark.parametrize("second", ["http://host:8000/b", "http://HOST.:8000/b/", "http://host:8000"])
def test_prometheus_proves_one_instance_for_each_host_and_port(second: str) -> None:
    """Two paths behind one address are one target of Prometheus: an error that says so in one line."""
    service = Service(instances=["http://host:8000/a", second])
    check(Config(service=service))
    with pytest.raises(UsageError, match="number 1 and number 2 share host:8000") as caught:
        check(Config(service=service, metrics=Metrics(prometheus_url="http://prometheus:9090")))
    assert "\n" not in str(caught.value)


def test_a_host_without_a_name_is_no_address() -> None:
    """What has a port that is none raises, and is not taken for another one."""
    with pytest.raises(ValueError, match="port"):
        endpoint("//host:port")

"""Instances behind a load balancer that are not listed: what is seen of them is judged, none of them is proven."""

from collections.abc import Iterator

import pytest

from sandbox.stack import Stack
from tests.drill.balancer import balanced
from tests.drill.harness import Desk, Ran


@pytest.fixture
def address(stack: Stack) -> Iterator[str]:
    with balanced(stack.base_urls) as url:
        yield url


def drill_behind(desk: Desk, address: str) -> Ran:
    return desk.drill("--apply", DRILL_SERVICE__BASE_URL=address, DRILL_SERVICE__INSTANCES="[]")


def test_a_stale_replica_behind_a_load_balancer_is_found_and_named(stack: Stack, desk: Desk, address: str) -> None:
    stack.fault("instance_not_restarted", 1)
    ran = drill_behind(desk, address)
    ran.expect(1)
    assert ran.verdicts["force_faiss"] == "fail", repr(ran)
    assert "(process started " in ran.reason("force_faiss")


@pytest.mark.long
def test_replicas_that_are_not_listed_are_unproven_behind_the_load_balancer(
    stack: Stack, desk: Desk, address: str
) -> None:
    ran = drill_behind(desk, address)
    ran.expect(10)
    assert "fail" not in ran.verdicts.values(), repr(ran)
    reason = ran.reason("force_faiss")
    for said in ("list them in [service] instances", "2 met in", "is missed with probability"):
        assert said in reason


@pytest.mark.long
def test_one_stale_replica_of_those_listed_is_named(stack: Stack, desk: Desk) -> None:
    stack.fault("instance_not_restarted", 1)
    ran = desk.drill("--apply")
    ran.expect(1)
    good, stale = (url.removeprefix("http://") for url in stack.base_urls)
    assert stale in ran.reason("force_faiss")
    assert good not in ran.reason("force_faiss")

"""What users felt: each probe stands for the time until its instance was asked again."""

from collections.abc import Sequence

import pytest

from drill.availability import availability, downtime_s
from drill.limits import Apart
from drill.probe import MAX_GAP_S, ProbeResult
from tests.library.world import A, B


def probed(*results: tuple[float, bool], instance: str = A) -> list[ProbeResult]:
    """Return probes that were due then, and were answered or failed."""
    return [ProbeResult(due, instance, 0.01, ok, "" if ok else "HTTP 500") for due, ok in results]


@pytest.mark.parametrize(
    ("results", "down_s", "share"),
    [
        (probed((0, True), (1, False), (3, True), (4, True)), 2.0, 0.6),  # 1, 2, 1 and, as before it, 1 s
        (probed((0, True), (2, False)), 2.0, 0.5),
        (probed((0, False)), 1.0, 0.0),
        (probed((0, False), (MAX_GAP_S + 50, True)), MAX_GAP_S, 0.5),
        ([*probed((0, False), (1, True)), *probed((0, True), (3, True), instance=B)], 0.5, 0.875),
        ([], 0.0, None),
    ],
)
def test_a_failure_counts_for_the_time_until_its_instance_was_asked_again(
    results: Sequence[ProbeResult], down_s: float, share: float | None
) -> None:
    """A user of all instances alike meets each of them equally often; a pause of the drill is nobody's downtime."""
    assert (downtime_s(results), availability(results)) == (down_s, share)


def test_what_was_not_measured_is_neither_up_nor_down() -> None:
    apart = [ProbeResult(1.0, A, 0.0, ok=False, error="HTTP 429", apart=Apart.LIMITED)]
    results = [*probed((0, True)), *apart, *probed((3, False))]
    assert (downtime_s(results), availability(results)) == (2.0, 0.33333)
    assert availability(apart) is None

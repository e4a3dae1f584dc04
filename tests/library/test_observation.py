"""Readings and windows: what moved where, and which probes prove it."""

from collections.abc import Iterator
from typing import cast

import pytest

from drill.errors import CannotMeasure
from drill.http import HttpClient
from drill.metrics.scrape import ScrapeSource
from drill.metrics.snapshot import Snapshot
from drill.observation import open_window, read_all, replaced
from drill.probe import Prober, ProbeResult
from tests.library.server import CLASSIC, Answer, ScriptedService, scripted
from tests.library.world import A, B, Probes, probes, reading, snapshot, window


@pytest.fixture
def server() -> Iterator[ScriptedService]:
    with scripted() as server:
        yield server


class Source:
    """Knows one instance; the other cannot be read."""

    def snapshot(self, instance: str) -> Snapshot:
        if instance == B:
            raise CannotMeasure("b is down")
        return snapshot(instance)


def test_an_instance_that_cannot_be_read_is_named_and_spoils_no_other() -> None:
    seen = read_all(Source(), [A, B])
    assert list(seen.snapshots) == [A]
    assert seen.unread == {B: "b is down"}
    assert seen.began <= seen.ended


def test_a_service_is_read_by_its_own_address(server: ScriptedService) -> None:
    server.script["GET", "/metrics"] = Answer(b"x_total 3\n", kind=CLASSIC)
    client = HttpClient(timeout_s=1.0)
    seen = read_all(ScrapeSource(client, "/metrics", {}), [server.url, "http://127.0.0.1:1"])
    client.close()
    assert seen.snapshots[server.url].total("x_total") == 3
    assert "refused" in seen.unread["http://127.0.0.1:1"]


def test_a_window_says_what_moved_on_each_instance() -> None:
    seen = window(
        [snapshot(A, {"x_total": 1}), snapshot(B, {"x_total": 1})],
        [snapshot(A, {"x_total": 1}), snapshot(B, {"x_total": 4})],
        probes(3, (A, B)),
    )
    assert {name: delta.growth("x_total") for name, delta in seen.deltas.items()} == {A: 0, B: 3}
    assert seen.probes == {A: 3, B: 3}
    assert (seen.seconds, seen.restarted, seen.unread) == (30.0, [], {})


def test_an_instance_read_only_once_has_no_delta_and_is_unread() -> None:
    assert list(window([snapshot(A), snapshot(B)], [snapshot(A)], probes(1), unread={B: "gone"}).deltas) == [A]
    seen = open_window(
        reading(0.0, snapshot(A), unread={B: "was down"}),
        reading(30.0, snapshot(A), snapshot(B)),
        cast("Prober", probes(1)),
        (),
    )
    assert (list(seen.deltas), seen.unread) == ([A], {B: "was down"})


@pytest.mark.parametrize(
    ("due", "latency_s", "ok", "counted"),
    [
        (-0.1, 0.01, True, 0),
        (0.0, 0.01, True, 1),
        (29.0, 1.0, True, 1),
        (29.0, 1.1, True, 0),
        (30.0, 0.0, True, 0),
        (10.0, 0.01, False, 0),
    ],
)
def test_only_probes_wholly_inside_the_window_and_answered_well_count(
    due: float, latency_s: float, ok: bool, counted: int
) -> None:
    asked = Probes([ProbeResult(due, A, latency_s, ok, "")])
    assert window([snapshot()], [snapshot()], asked).probes[A] == counted


def test_a_new_process_is_judged_from_its_boot_and_an_old_one_from_the_first_reading() -> None:
    both = [snapshot(A, {"x_total": 2}), snapshot(B, {"x_total": 2})]
    seen = window(both, both, probes(1, (A, B)), new=[B])
    assert {name: delta.growth("x_total") for name, delta in seen.since_boot.items()} == {A: 0, B: 2}
    assert {name: delta.growth("x_total") for name, delta in seen.deltas.items()} == {A: 0, B: 0}
    assert not seen.since_boot[B].restarted


def test_a_restart_inside_the_window_is_seen() -> None:
    before, after = [snapshot(A), snapshot(B)], [snapshot(A), snapshot(B, started=2000.0)]
    assert window(before, after, probes(1)).restarted == [B]


def test_replaced_processes_are_those_with_another_start_time() -> None:
    before = reading(0.0, snapshot(A), snapshot(B))
    assert replaced(before, reading(1.0, snapshot(A), snapshot(B, started=1001.0))) == [B]
    assert replaced(before, reading(1.0, snapshot(A), snapshot(B))) == []


def test_an_instance_that_was_not_read_before_is_not_known_to_be_new() -> None:
    assert replaced(reading(0.0, snapshot(A)), reading(1.0, snapshot(A), snapshot(B))) == []

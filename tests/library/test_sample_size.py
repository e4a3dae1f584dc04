"""How many probes an observation sends: what users do not ask of each instance, and not without end."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from drill.context import MAX_PROBE_RATE, Drill
from drill.observation import Window
from drill.sample_size import gather_enough, least_served
from tests.library.world import A, B, make_drill, probes, snapshot, window

FAISS = "retrieval_requests_total{backend=faiss}"


@dataclass
class Observed:
    """Stands for the service: each look shows the next of ``served``, the requests of the least asked instance."""

    served: list[float]
    gathered: list[tuple[float, float]] = field(default_factory=list)

    def gather(self, seconds: float, needed: float) -> None:
        self.gathered.append((seconds, needed))

    def window(self, _reading: object) -> Window:
        before, count = [snapshot(A, {FAISS: 0}), snapshot(B, {FAISS: 0})], self.served.pop(0)
        return window(before, [snapshot(A, {FAISS: count}), snapshot(B, {FAISS: 9000})], probes(1, (A, B)))


def observe(drill: Drill, monkeypatch: pytest.MonkeyPatch, *served: float) -> list[tuple[float, float]]:
    """Return (seconds, probes) of each wait of an observation in which the look shows ``served``."""
    seen = Observed(list(served))
    replaced: dict[str, Any] = {"gather": seen.gather, "window": seen.window, "glance_at_metrics": lambda: None}
    for name, stand_in in replaced.items():
        monkeypatch.setattr(drill, name, stand_in)
    gather_enough(drill)
    assert seen.served == []
    return seen.gathered


def make(folder: Path, instances: list[str]) -> Drill:
    toml = f"[service]\ninstances = {json.dumps(instances)}\n[slo]\nobserve_s = 30\nmin_requests = 300\n"
    return make_drill(folder, toml=toml)


@pytest.fixture
def drill(tmp_path: Path) -> Drill:
    return make(tmp_path, [A, B])


def test_where_users_ask_enough_the_drill_sends_no_more_than_it_needs_itself(
    drill: Drill, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert observe(drill, monkeypatch, 60, 300) == [(6.0, 60.0), (30.0, 300)]


def test_where_nobody_asks_every_instance_gets_its_number_of_probes(
    drill: Drill, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert observe(drill, monkeypatch, 59, 300) == [(6.0, 60.0), (30.0, 612.0)]


def test_an_observation_is_made_longer_for_want_of_requests_once(drill: Drill, monkeypatch: pytest.MonkeyPatch) -> None:
    assert observe(drill, monkeypatch, 0, 299)[2:] == [(30.0, 612.0)]


def test_a_large_fleet_is_asked_no_faster_than_it_may_be_and_not_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet = make(tmp_path, [f"http://{number}:1" for number in range(30)])
    most = MAX_PROBE_RATE * 30
    assert observe(fleet, monkeypatch, 0, 299)[1:] == [(30.0, 0.9 * most), (30.0, 2 * most)]


def test_an_instance_that_answers_nothing_is_not_waited_for(drill: Drill, monkeypatch: pytest.MonkeyPatch) -> None:
    dead = window([snapshot(A, {FAISS: 0})], [snapshot(A, {FAISS: 0})], probes(0))
    monkeypatch.setattr(drill, "window", lambda _reading: dead)
    monkeypatch.setattr(drill, "glance_at_metrics", lambda: None)
    assert least_served(drill) == float("inf")


def test_probes_that_the_metrics_do_not_show_yet_count(drill: Drill, monkeypatch: pytest.MonkeyPatch) -> None:
    late = window([snapshot(A, {FAISS: 0})], [snapshot(A, {FAISS: 0})], probes(20))
    monkeypatch.setattr(drill, "window", lambda _reading: late)
    monkeypatch.setattr(drill, "glance_at_metrics", lambda: None)
    assert least_served(drill) == 20

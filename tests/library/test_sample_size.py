"""How many probes an observation sends, and how fast: what users do not ask of each instance, evenly, to an end."""

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from drill.config import Config, Probe
from drill.context import Drill
from drill.observation import Window
from drill.sample_size import even_rate, gather_enough, least_served, probes_needed
from tests.library.world import A, B, Probes, make_drill, probes, reading, snapshot, window, with_probes

FAISS = "retrieval_requests_total{backend=faiss}"


def so_far(a: float, b: float, asked: Probes | None = None) -> Window:
    """Return a window of 30 s in which two instances have counted so many requests."""
    before = [snapshot(A, {FAISS: 0}), snapshot(B, {FAISS: 0})]
    return window(before, [snapshot(A, {FAISS: a}), snapshot(B, {FAISS: b})], asked or probes(1, (A, B)))


@dataclass
class Observed:
    """Stands for the service: each look shows the next of ``served``, the requests of the least asked instance."""

    served: list[float]
    gathered: list[tuple[float, float, float | None]] = field(default_factory=list)

    def gather(self, seconds: float, needed: float, rate: float | None = None) -> float:
        self.gathered.append((seconds, needed, rate))
        return 20.0

    def window(self, _reading: object) -> Window:
        return so_far(self.served.pop(0), 9000)


def observe(drill: Drill, monkeypatch: pytest.MonkeyPatch, *served: float) -> list[tuple[float, float, float | None]]:
    """Return (seconds, probes, rate) of each wait of an observation in which the looks show ``served``."""
    seen = Observed(list(served))
    with_probes(drill, Probes())
    drill.settled = reading(0.0)
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


@pytest.mark.parametrize(
    ("missing", "left_s", "rate"),
    [
        (0, 30, 10.0),
        (200, 30, 10.0),
        (600, 30, 21.0),
        (1200, 30, 40.0),
        (9000, 30, 40.0),
        (200, 0, 40.0),
        (200, -5, 40.0),
        (0, 0, 10.0),
    ],
)
def test_what_is_missing_is_sent_evenly_in_the_time_that_is_left(missing: float, left_s: float, rate: float) -> None:
    """Never slower than the regular rate, never faster than leaves room for checks within the greatest one."""
    assert even_rate(Config(), missing, left_s) == pytest.approx(rate)


def test_a_rate_of_ones_own_is_kept_even_where_nothing_faster_is_allowed() -> None:
    gentle = Config(probe=Probe(rate=1.0, max_rate=2.0))
    assert even_rate(gentle, 0, 30) == 1.0
    assert even_rate(gentle, 9000, 30) == pytest.approx(1.6)
    assert even_rate(Config(probe=Probe(rate=10.0, max_rate=10.0)), 9000, 30) == 10.0


@pytest.mark.parametrize(
    ("a", "b", "needed"), [(301, 301, 300.0), (301, 151, 300.0), (301, 101, 400.0), (1, 1, 600.0), (9000, 1, 600.0)]
)
def test_probes_make_up_for_what_users_do_not_ask_of_the_least_asked_instance(
    drill: Drill, a: float, b: float, needed: float
) -> None:
    """At least min_requests probes are sent in any case: latency is judged by them."""
    assert probes_needed(drill, so_far(a, b)) == pytest.approx(needed)


def test_a_window_that_has_only_begun_tells_nothing_of_users(drill: Drill) -> None:
    short = replace(so_far(9000, 9000), last=reading(1.0))
    assert probes_needed(drill, short) == pytest.approx(600.0)


def test_an_observation_that_got_enough_is_one_wait(drill: Drill, monkeypatch: pytest.MonkeyPatch) -> None:
    assert observe(drill, monkeypatch, 301, 300) == [(30.0, 300.0, None)]


def test_an_observation_is_made_longer_for_want_of_requests_once_and_at_the_same_rate(
    drill: Drill, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert observe(drill, monkeypatch, 301, 250)[1:] == [(30.0, 100.0, 20.0)]
    assert observe(drill, monkeypatch, 301, 0)[1:] == [(30.0, 598.0, 20.0)], "not without end"


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


@pytest.mark.parametrize(("ok", "rate"), [(True, 21.0), (False, 10.0)])
def test_where_nothing_answers_the_rate_does_not_rise(
    drill: Drill, monkeypatch: pytest.MonkeyPatch, ok: bool, rate: float
) -> None:
    drill.settled = reading(0.0)
    found = probes(10, bad=0 if ok else 10).found
    asked = with_probes(drill, Probes(found)).prober
    seen: list[float] = []
    monkeypatch.setattr("drill.context.time.monotonic", lambda: 0.0)
    monkeypatch.setattr(drill, "_watch", lambda *_: seen.append(asked.rate))
    assert drill.gather(30.0, 610 if ok else 600) == pytest.approx(rate)
    assert seen == [pytest.approx(rate)]
    assert asked.rate == 10.0

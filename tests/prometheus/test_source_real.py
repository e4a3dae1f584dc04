"""Prometheus as the source of metrics: what a real one knows, and what it must not be believed."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from drill.checks import preflight
from drill.checks.silence import doubts
from drill.context import Drill
from drill.metrics import scrapes
from drill.observation import Window
from drill.probe import ProbeResult
from drill.verdict import Verdict
from tests.library.server import running
from tests.library.world import Probes, make_drill, with_probes
from tests.prometheus.exporter import SERVED, SHADOW, Exporter, job, scraping
from tests.prometheus.server import BINARY

pytestmark = pytest.mark.skipif(
    BINARY is None, reason="prometheus is not installed (Debian: apt-get install prometheus)"
)
NAMES = (
    "a",
    "b",
    "dropping",
    "unrelated",
    "own_times",
    "seldom",
    "twice",
    "pod_1",
    "pod_2",
    "down",
    "repeated",
    "merged",
    "labels",
)
SECOND_SHADOW = 'retrieval_shadow_dropped_total{reason="timeout",pid="%d"} %d'
DROP = [{"source_labels": ["__name__"], "regex": "retrieval_shadow_.+", "action": "drop"}]
NO_PID = [{"regex": "pid", "action": "labeldrop"}]
DROP_OTHERS = [{"source_labels": ["__name__"], "regex": "unwanted_.+", "action": "drop"}]
POD = [{"source_labels": ["__address__"], "regex": ".*:(.+)", "target_label": "instance", "replacement": "pod-$1"}]


@dataclass
class World:
    """Exporters by name, and the Prometheus that scrapes them in jobs of their own."""

    url: str
    exporters: dict[str, Exporter]

    def drill(self, folder: Path, selector: str, *names: str) -> Drill:
        service = f"[service]\ninstances = {[self.exporters[name].url for name in names]}"
        metrics = f"[metrics]\nprometheus_url = '{self.url}'\nselector = '{selector}'"
        return make_drill(folder, toml=f"{service}\n{metrics}")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with ExitStack() as stack:
        found = {name: stack.enter_context(running(Exporter())) for name in NAMES}
        for exporter in found.values():
            exporter.serve(5)
        found["own_times"].behind_s = 90.0
        found["down"].values["broken"] = 1
        found["unrelated"].values["unwanted_total"] = 1
        found["repeated"].values[SHADOW] = 3
        for name in ("merged", "labels"):
            found[name].extra = (SECOND_SHADOW % (1, 3), 'retrieval_errors_total{pid="1",instance="x"} 0')
        found["merged"].extra += (SECOND_SHADOW % (2, 0),)
        jobs = [
            job("pair", found["a"], found["b"]),
            job("dropping", found["dropping"], metric_relabel_configs=DROP),
            job("unrelated", found["unrelated"], metric_relabel_configs=DROP_OTHERS),
            job("own_times", found["own_times"]),
            job("seldom", found["seldom"], interval="1500ms"),
            job("twice_1", found["twice"]),
            job("twice_2", found["twice"]),
            job("pods", found["pod_1"], found["pod_2"], relabel_configs=POD),
            job("down", found["down"]),
            job("repeated", found["repeated"]),
            *(job(name, found[name], metric_relabel_configs=NO_PID) for name in ("merged", "labels")),
        ]
        yield World(stack.enter_context(scraping(tmp_path_factory.mktemp("world"), jobs, ready=len(NAMES))), found)


@pytest.fixture
def drills() -> Iterator[list[Drill]]:
    made: list[Drill] = []
    yield made
    for drill in made:
        drill.prometheus.close()


def observed(drill: Drill, *exporters: Exporter, served: int = 20, seconds: float = 1.7) -> Window:
    """Return a window in which every exporter has served that many probes."""
    with_probes(drill, Probes())
    drill.settled = drill.read_metrics()
    due = time.monotonic()
    for exporter in exporters:
        exporter.serve(served)
    time.sleep(seconds)
    with_probes(
        drill,
        Probes(
            [ProbeResult(due, url, 0.0, True, "") for url in drill.service.instances for _ in range(max(1, served))]
        ),
    )
    return drill.window(drill.read_metrics())


def doubt(window: Window) -> tuple[Verdict, str]:
    return doubts(window, ("retrieval_shadow_dropped_total",))


def test_a_series_that_stands_twice_is_seen_on_the_page_where_prometheus_keeps_one_value(
    world: World, tmp_path: Path, drills: list[Drill]
) -> None:
    """Prometheus keeps the first value and says nothing; the page itself shows the second one."""
    exporter = world.exporters["repeated"]
    drill = world.drill(tmp_path, 'job="repeated"', "repeated")
    drills.append(drill)
    exporter.extra = ()
    assert preflight.metrics(drill).verdict is Verdict.PASS
    exporter.extra = (f"{SHADOW} 9",)
    window = observed(drill, exporter)
    assert [value for _, value in window.last.snapshots[exporter.url].select("retrieval_shadow_dropped_total")] == [3]
    verdict, reason = doubt(window)
    assert verdict is Verdict.INCONCLUSIVE
    assert "Prometheus keeps one of two values" in reason
    assert f"{SHADOW} stands here again, with another value (3 and 9)" in reason


def test_series_that_prometheus_has_made_one_by_leaving_a_label_away_prove_no_silence(
    world: World, tmp_path: Path, drills: list[Drill]
) -> None:
    """Two workers' series without their pid are one series with one of two values."""
    drill = world.drill(tmp_path, 'job="merged"', "merged")
    drills.append(drill)
    evidence = preflight.metrics(drill)
    assert evidence.verdict is Verdict.INCONCLUSIVE
    assert "several series of retrieval_shadow_dropped_total become one" in evidence.reason


def test_a_label_that_prometheus_leaves_away_does_no_harm_where_nothing_becomes_one(
    world: World, tmp_path: Path, drills: list[Drill]
) -> None:
    """One series is one series, with or without its pid."""
    drill = world.drill(tmp_path, 'job="labels"', "labels")
    drills.append(drill)
    assert preflight.metrics(drill).verdict is Verdict.PASS


def test_a_counter_without_total_counts_by_what_prometheus_is_told_of_it(
    world: World, tmp_path: Path, drills: list[Drill]
) -> None:
    """The page calls it a counter, and Prometheus says so: what it grows is judged."""
    exporter = world.exporters["unrelated"]
    drill = world.drill(tmp_path, 'job="unrelated"', "unrelated")
    drills.append(drill)
    exporter.extra = ("# TYPE retrieval_shadow_reads counter", "retrieval_shadow_reads 1")
    drill.read_metrics()
    with_probes(drill, Probes())
    drill.settled = drill.read_metrics()
    exporter.extra = (exporter.extra[0], "retrieval_shadow_reads 8")
    grown = drill.window(drill.read_metrics()).deltas[exporter.url].counters("retrieval_shadow_")
    exporter.extra = ()
    assert dict(grown)["retrieval_shadow_reads_total"] == 7


def test_preflight_shows_series_age_interval_and_instances(world: World, tmp_path: Path, drills: list[Drill]) -> None:
    drill = world.drill(tmp_path, 'job="pair"', "a", "b")
    drills.append(drill)
    evidence = preflight.metrics(drill)
    assert evidence.verdict is Verdict.PASS, evidence.line()
    assert "from Prometheus" in evidence.reason
    assert evidence.detail["Prometheus targets"] == 2
    assert evidence.detail["scrape interval s"] == pytest.approx(0.4, abs=0.1)
    assert 0 <= float(str(evidence.detail["age of the newest sample s"])) < 5
    assert int(str(evidence.detail[f"{world.exporters['a'].target} series"])) >= 3


@pytest.mark.parametrize("selector", ['job="pair"', ""])
def test_each_instance_is_judged_on_its_own(world: World, tmp_path: Path, drills: list[Drill], selector: str) -> None:
    a, b = world.exporters["a"], world.exporters["b"]
    drill = world.drill(tmp_path, selector, "a", "b")
    drills.append(drill)
    window = observed(drill, a, b)
    b.values[SHADOW] += 1
    assert doubt(window) == (Verdict.PASS, "")
    later = drill.window(drill.read_metrics())
    assert {name: delta.growth("retrieval_shadow_dropped_total") for name, delta in later.deltas.items()} == {
        a.url: 0,
        b.url: 1,
    }
    assert {
        name: delta.growth("retrieval_requests_total", backend="faiss") for name, delta in later.deltas.items()
    } == {
        a.url: 20,
        b.url: 20,
    }


@pytest.mark.long
def test_an_instance_that_got_no_traffic_is_named(world: World, tmp_path: Path, drills: list[Drill]) -> None:
    drill = world.drill(tmp_path, 'job="pair"', "a", "b")
    drills.append(drill)
    verdict, said = doubt(observed(drill, world.exporters["a"]))
    assert verdict is Verdict.INCONCLUSIVE
    assert world.exporters["b"].target in said


@pytest.mark.long
def test_pods_under_other_names_are_judged_by_those(world: World, tmp_path: Path, drills: list[Drill]) -> None:
    pods = [world.exporters["pod_1"], world.exporters["pod_2"]]
    drill = world.drill(tmp_path, 'job="pods"', "pod_1", "pod_2")
    drills.append(drill)
    window = observed(drill, *pods)
    assert doubt(window) == (Verdict.PASS, "")
    assert set(window.deltas) == {f"pod-{exporter.target.rpartition(':')[2]}" for exporter in pods}
    assert set(window.probes.values()) == {20}


@pytest.mark.parametrize(
    ("selector", "names", "said"),
    [
        ('job="nobody"', ("a",), "no target with job"),
        ("", ("twice",), "more than once"),
        ('job="pair"', ("a", "pod_1"), "does not scrape"),
        ('job="pods"', ("pod_1",), "2 targets"),
        ('job="down"', ("down",), "up = 0"),
        ('job="own_times"', ("own_times",), "90 s older than its newest scrape"),
    ],
)
def test_what_cannot_be_told_apart_or_read_is_an_error_in_words(
    world: World,
    tmp_path: Path,
    drills: list[Drill],
    monkeypatch: pytest.MonkeyPatch,
    selector: str,
    names: tuple[str, ...],
    said: str,
) -> None:
    monkeypatch.setattr(scrapes, "WAIT_S", 0.5)
    drill = world.drill(tmp_path, selector, *names)
    drills.append(drill)
    evidence = preflight.metrics(drill)
    assert evidence.verdict is Verdict.ERROR, evidence.line()
    assert said in evidence.reason
    assert "\n" not in evidence.reason
    verdict, reason = doubt(observed(drill, *(world.exporters[name] for name in names)))
    assert verdict is Verdict.ERROR, reason
    assert said in reason


@pytest.mark.long
def test_duplicates_are_no_matter_where_the_selector_picks_one_job(
    world: World, tmp_path: Path, drills: list[Drill]
) -> None:
    drill = world.drill(tmp_path, 'job="twice_2"', "twice")
    drills.append(drill)
    assert doubt(observed(drill, world.exporters["twice"])) == (Verdict.PASS, "")


def test_metrics_that_prometheus_was_told_to_drop_are_not_silent(
    world: World, tmp_path: Path, drills: list[Drill]
) -> None:
    exporter = world.exporters["dropping"]
    drill = world.drill(tmp_path, 'job="dropping"', "dropping")
    drills.append(drill)
    assert doubt(observed(drill, exporter)) == (Verdict.PASS, "")
    exporter.values[SHADOW] += 1
    verdict, said = doubt(observed(drill, exporter))
    assert verdict is Verdict.INCONCLUSIVE
    assert "drops 1 samples" in said
    assert "retrieval_shadow_dropped" in said
    assert preflight.metrics(drill).verdict is Verdict.INCONCLUSIVE


@pytest.mark.long
def test_other_metrics_may_be_dropped(world: World, tmp_path: Path, drills: list[Drill]) -> None:
    drill = world.drill(tmp_path, 'job="unrelated"', "unrelated")
    drills.append(drill)
    assert doubt(observed(drill, world.exporters["unrelated"])) == (Verdict.PASS, "")


def test_a_window_of_fewer_than_four_scrapes_says_how_long_it_must_be(
    world: World, tmp_path: Path, drills: list[Drill]
) -> None:
    drill = world.drill(tmp_path, 'job="seldom"', "seldom")
    drills.append(drill)
    verdict, said = doubt(observed(drill, world.exporters["seldom"], seconds=0.0))
    assert verdict is Verdict.INCONCLUSIVE
    assert "set [slo] observe_s to 6 or more" in said
    assert drill.source.least_watch_s() == pytest.approx(4.5, abs=0.5)


@pytest.mark.long
def test_a_failed_scrape_now_and_then_is_no_matter_but_most_of_them_are(
    world: World, tmp_path: Path, drills: list[Drill]
) -> None:
    exporter = world.exporters["a"]
    drill = world.drill(tmp_path, 'job="pair"', "a")
    drills.append(drill)
    with_probes(drill, Probes())
    drill.settled = drill.read_metrics()
    due = time.monotonic()
    exporter.serve(20)
    exporter.values["broken"] = 1
    time.sleep(5.0)
    exporter.values["broken"] = 0
    with_probes(drill, Probes([ProbeResult(due, exporter.url, 0.0, True, "")] * 20))
    verdict, said = doubt(drill.window(drill.read_metrics()))
    assert verdict is Verdict.INCONCLUSIVE
    assert "scrapes of" in said


def test_a_reading_lies_wholly_after_the_moment_it_is_asked_for(
    world: World, tmp_path: Path, drills: list[Drill]
) -> None:
    """Eight times: what was counted just before is in it, which the newest scrape alone would miss."""
    exporter = world.exporters["a"]
    drill = world.drill(tmp_path, 'job="pair"', "a")
    drills.append(drill)
    for _ in range(8):
        exporter.serve(1)
        name = SERVED.partition("{")[0]
        assert drill.read_metrics().snapshots[exporter.url].total(name) == exporter.values[SERVED]
    glance = drill.glance_at_metrics()
    assert glance.began <= drill.read_metrics().began


def test_a_family_that_has_just_gone_is_not_there_though_prometheus_still_describes_it(
    world: World, tmp_path: Path, drills: list[Drill]
) -> None:
    exporter = world.exporters["b"]
    drill = world.drill(tmp_path, 'job="pair"', "b")
    drills.append(drill)
    drill.read_metrics()
    exporter.without = ("retrieval_requests_total",)
    drill.read_metrics()
    evidence = preflight.metrics(drill)
    exporter.without = ()
    assert evidence.verdict is Verdict.INCONCLUSIVE, evidence.line()
    assert "does not expose retrieval_requests_total" in evidence.reason


@pytest.mark.long
def test_several_workers_behind_one_address_are_not_judged(world: World, tmp_path: Path, drills: list[Drill]) -> None:
    exporter = world.exporters["b"]
    drill = world.drill(tmp_path, 'job="pair"', "b")
    drills.append(drill)
    mine, other = exporter.started, exporter.started + 3
    for turn in range(5):
        exporter.started = other if turn % 2 else mine
        drill.read_metrics()
    evidence = preflight.metrics(drill)
    exporter.started = mine
    assert evidence.verdict is Verdict.INCONCLUSIVE, evidence.line()
    assert "per worker" in evidence.reason

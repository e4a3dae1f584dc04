"""The same judges on both sources: what one scrape after the other says, and what Prometheus has kept of it.

The scenarios are those of METRICS.md, section 0.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from drill.checks import post, slo
from drill.checks.flags import judge_backend, judge_dual_write, judge_shadow
from drill.context import Drill
from drill.metrics import scrapes
from drill.observation import Reading, replaced
from drill.probe import ProbeResult
from drill.record import Evidence
from drill.verdict import Verdict, worst
from tests.library.server import running
from tests.library.world import Probes, make_drill, with_probes
from tests.prometheus.exporter import SHADOW, Exporter, job, scraping
from tests.prometheus.server import BINARY, wait_for

pytestmark = pytest.mark.skipif(
    BINARY is None, reason="prometheus is not installed (Debian: apt-get install prometheus)"
)
N = 20
JUDGES = {
    "shadow": judge_shadow,
    "backend": judge_backend,
    "dual_write": judge_dual_write,
    "circuit": post.circuit_open,
    "target": post.target_errors,
    "errors": slo.errors,
}
OTHER = 'retrieval_requests_total{backend="qdrant",tenant="default"}'
ERROR = 'retrieval_errors_total{backend="faiss",code="http_500",tenant="default"}'
TARGET_ERROR = 'retrieval_errors_total{backend="qdrant",code="http_500",tenant="default"}'
OPEN = 'retrieval_dual_write_skipped_total{reason="circuit_open"}'


@dataclass
class Bench:
    """One instance, and two drills on it: one asks Prometheus, one the page itself."""

    exporter: Exporter
    drills: dict[str, Drill]

    def judge(self, happens: Callable[[Exporter], None], *, served: int = N) -> dict[str, dict[str, Evidence]]:
        """Return what every judge says on either source of what happens between two readings."""
        for drill in self.drills.values():
            drill.settled, drill.new_processes = drill.read_metrics(), []
            with_probes(drill, Probes())
        due = time.monotonic()
        self.exporter.serve(served)
        happens(self.exporter)
        time.sleep(1.7)  # a window must hold four scrapes
        probes = Probes([ProbeResult(due, self.exporter.url, 0.0, True, "") for _ in range(N)])
        return {name: self._judged(drill, probes) for name, drill in self.drills.items()}

    @staticmethod
    def _judged(drill: Drill, probes: Probes) -> dict[str, Evidence]:
        window = with_probes(drill, probes).window(drill.read_metrics())
        return {name: judge(drill, window) for name, judge in JUDGES.items()}


@pytest.fixture(scope="module")
def scraped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Exporter, str]]:
    folder = tmp_path_factory.mktemp("scraped")
    with running(Exporter()) as exporter, scraping(folder, [job("retrieval", exporter)], ready=1) as url:
        yield exporter, url


@pytest.fixture
def bench(scraped: tuple[Exporter, str], tmp_path: Path) -> Iterator[Bench]:
    exporter, url = scraped
    exporter.restart()
    exporter.openmetrics, exporter.without = True, ()
    exporter.answering.set()
    exporter.serve(5)
    drills = {}
    for name, metrics in (("prometheus", f"prometheus_url = '{url}'\nselector = 'job=\"retrieval\"'"), ("scrape", "")):
        (tmp_path / name).mkdir()
        service = f"[service]\ninstances = ['{exporter.url}']\n[slo]\nmin_requests = 20\nerror_rate = 0.2\n"
        drills[name] = make_drill(tmp_path / name, toml=f"{service}[metrics]\n{metrics}")
    yield Bench(exporter, drills)
    exporter.answering.set()
    if "prometheus" in drills["prometheus"].__dict__:
        drills["prometheus"].prometheus.close()


def moved(series: str, by: int) -> Callable[[Exporter], None]:
    return lambda exporter: exporter.values.update({series: by})


def lazy(exporter: Exporter) -> None:
    """Nothing but the requests."""


def regrown(exporter: Exporter) -> None:
    """Restart inside the window, and shadow reads grow back to their old value."""
    exporter.restart()
    exporter.values[SHADOW] = 2
    exporter.serve(N)


def dead(exporter: Exporter) -> None:
    exporter.values["broken"] = 1


SCENARIOS: dict[str, tuple[Callable[[Exporter], None], set[str], set[Verdict]]] = {
    "good": (lazy, set(), {Verdict.PASS}),
    "shadow child appears with 3": (moved(SHADOW, 3), {"shadow"}, {Verdict.FAIL}),
    "another backend's child appears with 7": (moved(OTHER, 7), {"backend"}, {Verdict.FAIL}),
    "one error of the target, child appears with 1": (moved(TARGET_ERROR, 1), {"target"}, {Verdict.FAIL}),
    "every second request fails, child appears": (moved(ERROR, N // 2), {"errors"}, {Verdict.FAIL}),
    "circuit_open child appears with 4": (moved(OPEN, 4), {"circuit", "dual_write"}, {Verdict.FAIL}),
}


@pytest.mark.parametrize(
    "openmetrics", [True, pytest.param(False, marks=pytest.mark.long)], ids=["openmetrics", "classic"]
)
@pytest.mark.parametrize("name", SCENARIOS)
def test_both_sources_come_to_the_same_verdicts(bench: Bench, name: str, openmetrics: bool) -> None:
    happens, rows, verdicts = SCENARIOS[name]
    bench.exporter.openmetrics = openmetrics
    seen = bench.judge(happens)
    for source, judged in seen.items():
        bad = {row: evidence.verdict for row, evidence in judged.items() if evidence.verdict is not Verdict.PASS}
        assert set(bad) == rows, (source, {row: evidence.line() for row, evidence in judged.items()})
        assert set(bad.values()) <= verdicts, (source, judged)
    assert {row: evidence.value for row, evidence in seen["prometheus"].items()} == {
        row: evidence.value for row, evidence in seen["scrape"].items()
    }


def test_a_family_that_is_not_registered_is_not_silent(bench: Bench) -> None:
    lost = ("retrieval_shadow_dropped", "retrieval_errors")
    bench.exporter.without = tuple(f"{name}_total" for name in lost)
    client = bench.drills["prometheus"].prometheus

    def forgotten() -> bool:
        return not {item.family for item in client.described('job="retrieval"')} & set(lost)

    wait_for(forgotten, "Prometheus describes the families no more")
    for source, judged in bench.judge(lazy).items():
        bad = {row: evidence.verdict for row, evidence in judged.items() if evidence.verdict is not Verdict.PASS}
        assert bad == dict.fromkeys(("shadow", "target", "errors"), Verdict.INCONCLUSIVE), (source, judged)


def test_no_traffic_is_never_green(bench: Bench) -> None:
    for judged in bench.judge(lazy, served=0).values():
        assert all(evidence.verdict is Verdict.INCONCLUSIVE for evidence in judged.values()), judged


def test_a_restart_inside_the_window_hides_nothing(bench: Bench) -> None:
    bench.exporter.values[SHADOW] = 2
    for source, judged in bench.judge(regrown).items():
        assert judged["shadow"].verdict is Verdict.FAIL, (source, judged)
        assert judged["backend"].verdict is Verdict.INCONCLUSIVE, (source, judged)


def test_a_service_that_dies_at_the_end_is_never_green(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scrapes, "WAIT_S", 0.5)
    for judged in bench.judge(dead).values():
        assert worst(evidence.verdict for evidence in judged.values()) is Verdict.ERROR, judged


def test_what_happened_between_two_scrapes_of_the_drill_only_prometheus_sees(bench: Bench) -> None:
    """Shadow reads, seen once, and then a restart that wipes them: two readings of the page alone do not show them."""

    def shadowed(exporter: Exporter) -> None:
        exporter.values[SHADOW] = 3
        time.sleep(1.2)
        exporter.restart()
        exporter.serve(N)

    seen = bench.judge(shadowed)
    assert seen["prometheus"]["shadow"].verdict is Verdict.FAIL
    assert seen["scrape"]["shadow"].verdict is Verdict.INCONCLUSIVE


def test_the_drills_own_restart_is_judged_from_the_boot_of_the_new_process(bench: Bench) -> None:
    """What a rolled-back process did before the first reading is no less wrong than what it did after."""
    before: dict[str, Reading] = {name: drill.glance_at_metrics() for name, drill in bench.drills.items()}
    bench.exporter.restart()
    bench.exporter.serve(1)
    bench.exporter.values[SHADOW] = 1
    for name, drill in bench.drills.items():
        settled = drill.read_metrics()
        assert replaced(before[name], settled) == [bench.exporter.url]
        drill.settled, drill.new_processes = settled, replaced(before[name], settled)
    due = time.monotonic()
    bench.exporter.serve(N)
    time.sleep(1.7)
    probes = Probes([ProbeResult(due, bench.exporter.url, 0.0, True, "")] * N)
    for name, drill in bench.drills.items():
        judged = bench._judged(drill, probes)
        assert (judged["shadow"].verdict, judged["shadow"].value) == (Verdict.FAIL, 1), (name, judged)
        assert judged["backend"].verdict is Verdict.PASS, (name, judged)


def test_evidence_carries_a_query_that_shows_the_same_samples(bench: Bench) -> None:
    judged = bench.judge(moved(SHADOW, 3))["prometheus"]
    query, _, at = str(judged["shadow"].detail["query"]).partition(" @ ")
    found = bench.drills["prometheus"].prometheus.raw(*_parts(query), float(at))
    (series,) = [item for item in found if item.labels["__name__"] == "retrieval_shadow_dropped_total"]
    assert series.samples[-1][1] == 3


def _parts(query: str) -> tuple[str, float]:
    selector, _, span = query.removesuffix("ms]").rpartition("[")
    return selector, float(span) / 1000

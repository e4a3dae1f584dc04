"""Alerts of a real Prometheus, from the query to the verdict."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from drill.checks import alerts as module
from drill.checks.alerts import alerts
from drill.errors import CannotMeasure
from drill.record import Evidence
from drill.verdict import Verdict
from tests.library.world import make_drill, reading, served
from tests.prometheus.server import BINARY, RealPrometheus, real_prometheus, wait_for

pytestmark = pytest.mark.skipif(
    BINARY is None, reason="prometheus is not installed (Debian: apt-get install prometheus)"
)


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealPrometheus]:
    with real_prometheus(tmp_path_factory.mktemp("prometheus")) as real:
        yield real


@pytest.fixture(autouse=True)
def calm(prometheus: RealPrometheus) -> None:
    """Begin with every alert inactive."""
    for name in prometheus.values:
        prometheus.values[name] = 0
    wait_for(lambda: not any(map(prometheus.state, prometheus.values)), "no alert is left")


Judge = Callable[..., Evidence]


@pytest.fixture
def judge(prometheus: RealPrometheus, tmp_path: Path) -> Judge:
    """Return a function that does what it is told to, as if it were the rollback, and judges the alerts after it."""

    def judged(happens: Callable[[], None] = lambda: None, scope: str = 'severity="page"', slo: str = "") -> Evidence:
        toml = f"[metrics]\nprometheus_url = '{prometheus.url}'\n[slo]\nalerts = '{scope}'\n{slo}"
        drill = make_drill(tmp_path, toml=toml)
        drill.before = reading(time.monotonic())
        happens()
        evidence = alerts(drill, replace(served(), first=reading(time.monotonic())))
        drill.prometheus.close()
        return evidence

    return judged


def test_nothing_fires_and_the_watchdog_does(judge: Judge) -> None:
    evidence = judge()
    assert evidence.verdict is Verdict.PASS, evidence.line()
    assert "5 rules healthy" in evidence.reason
    assert evidence.samples


def test_an_alert_that_begins_to_fire_fails(judge: Judge, prometheus: RealPrometheus) -> None:
    evidence = judge(lambda: prometheus.switch("now", "firing"))
    assert (evidence.verdict, evidence.reason) == (Verdict.FAIL, "began to fire: now")


def test_an_alert_that_fired_and_resolved_unseen_fails(judge: Judge, prometheus: RealPrometheus) -> None:
    def blip() -> None:
        prometheus.switch("blip", "firing")
        prometheus.switch("blip", "")

    evidence = judge(blip)
    assert (evidence.verdict, evidence.reason) == (Verdict.FAIL, "fired and resolved: blip")


def test_what_fired_before_is_told_from_what_is_new(judge: Judge, prometheus: RealPrometheus) -> None:
    prometheus.values["ended"] = 1
    prometheus.switch("old", "firing")
    prometheus.switch("ended", "firing")
    evidence = judge(lambda: prometheus.switch("ended", ""))
    assert evidence.verdict is Verdict.PASS, evidence.line()
    assert evidence.detail["fired before and still firing"] == "old"
    assert evidence.detail["fired before, resolved since"] == "ended"


def test_an_alert_that_waits_for_its_time_is_pending(judge: Judge, prometheus: RealPrometheus) -> None:
    evidence = judge(lambda: prometheus.switch("slow", "pending"))
    assert (evidence.verdict, evidence.reason) == (Verdict.INCONCLUSIVE, "pending, may still fire: slow")


def test_alerts_out_of_scope_do_not_matter(judge: Judge, prometheus: RealPrometheus) -> None:
    assert judge(lambda: prometheus.switch("quiet", "firing")).verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("scope", "slo", "said"),
    [
        ('severity="broken"', "", "rules that Prometheus cannot evaluate: many_to_many"),
        ('sevrity="page"', "", "no alerting rule has labels that match"),
        ('severity="page"', 'watchdog = "Guard"', "Guard does not fire"),
    ],
)
def test_no_alert_of_rules_that_could_not_fire_is_inconclusive(judge: Judge, scope: str, slo: str, said: str) -> None:
    evidence = judge(scope=scope, slo=slo)
    assert evidence.verdict is Verdict.INCONCLUSIVE
    assert said in evidence.reason


def test_rules_that_were_not_evaluated_since_the_reload_are_inconclusive(
    judge: Judge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "EVALUATION_WAIT_S", 0.0)
    evidence = judge(scope='severity="rare"')
    assert evidence.verdict is Verdict.INCONCLUSIVE
    assert "rarely" in evidence.reason


def test_a_query_that_prometheus_refuses_is_named_by_its_kind(prometheus: RealPrometheus) -> None:
    with pytest.raises(CannotMeasure, match=r"HTTP 400 with an error \(bad_data\)"):
        prometheus.client.vector("ALERTS{")

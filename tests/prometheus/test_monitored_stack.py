"""The embedded stack with a Prometheus of its own, and whole drills against it."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox.errors import SandboxError
from sandbox.faults import FAULTS
from sandbox.faults.monitoring import MonitoringFault
from sandbox.home import Home
from sandbox.processes import alive
from sandbox.stack import Stack
from tests.drill.harness import Desk
from tests.prometheus.server import BINARY

pytestmark = pytest.mark.skipif(
    BINARY is None, reason="prometheus is not installed (Debian: apt-get install prometheus)"
)
METRICS = {
    "disable_dual_write",
    "disable_shadow_read",
    "force_faiss",
    "slo.latency",
    "slo.errors",
    "post.primary_latency",
    "post.target_errors",
    "post.circuit_open",
    "post.shadow_silent",
    "post.backend",
}
"""What is judged by metrics."""
AWAY = METRICS | {"preflight.metrics"}
EXPECTED: dict[str, tuple[int, set[str], str]] = {
    "prometheus_down": (10, AWAY | {"slo.alerts"}, "connection refused"),
    "prometheus_slow": (10, AWAY | {"slo.alerts"}, "no whole answer in time"),
    "prometheus_stale": (10, AWAY, ""),
    "prometheus_partial": (10, AWAY, "does not scrape"),
    "wrong_job": (10, AWAY, "no target with"),
    "duplicate_job": (10, AWAY, "more than once"),
    "metric_relabel_drop": (10, {"preflight.metrics"}, "metric_relabel_configs"),
    "clock_90s_off": (10, AWAY, "older than its newest scrape"),
    "alert_firing": (1, {"slo.alerts"}, "began to fire: RetrievalCustomerImpact"),
    "alert_fired_before": (0, set(), ""),
    "alert_pending": (10, {"slo.alerts"}, "pending, may still fire: RetrievalCustomerImpact"),
    "alert_silenced": (1, {"slo.alerts"}, "RetrievalCustomerImpact (silenced)"),
    "alert_inhibited": (1, {"slo.alerts"}, "RetrievalCustomerImpact (inhibited)"),
    "watchdog_missing": (10, {"slo.alerts"}, "Watchdog does not fire"),
    "rule_broken": (10, {"slo.alerts"}, "cannot evaluate: RetrievalCustomerImpact"),
}
"""Fault -> exit code, the ids that are not green (and step 2 with step 1, but no others), and words of why."""
QUICK = ("alert_silenced",)
"""Always run, and all else is green there; the others are the long sweep."""
CALM: dict[str, Any] = {"DRILL_SLO__MAX_P50_RATIO": "50", "DRILL_SLO__MAX_P95_RATIO": "50", "DRILL_SLO__P95_MS": "5000"}
"""How fast a busy machine is, is not what is looked at here."""


@pytest.fixture(scope="module")
def monitored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack.start(tmp_path_factory.mktemp("monitored") / "home", metrics="prometheus") as stack:
        yield stack


@pytest.fixture(scope="module")
def incident_env(monitored: Stack) -> bytes:
    return monitored.env_file.read_bytes()


@pytest.fixture
def stack(monitored: Stack, incident_env: bytes) -> Iterator[Stack]:
    """Return the stack in its incident, with nothing wrong in its monitoring."""
    for left in monitored.home.glob(".env.*"):
        left.unlink()
    if monitored.env_file.read_bytes() != incident_env:
        monitored.env_file.write_bytes(incident_env)
        monitored.reload()
    monitored.await_incident()
    yield monitored
    for name in monitored.status().faults:
        if name not in {"target_slow", "target_failing"}:
            monitored.fault(name, on=False)


def drill(stack: Stack, folder: Path) -> Desk:
    return Desk(stack.env_file, folder / "artifacts", folder / "reports")


@pytest.mark.long
def test_a_rollback_judged_by_prometheus_and_its_alerts_is_green(stack: Stack, tmp_path: Path) -> None:
    ran = drill(stack, tmp_path).drill("--apply", **CALM)
    ran.expect(0)
    assert ran.verdicts["slo.alerts"] == "pass"
    assert "from Prometheus" in ran.reason("preflight.metrics")


@pytest.mark.parametrize(
    "fault", [name if name in QUICK else pytest.param(name, marks=pytest.mark.long) for name in EXPECTED]
)
def test_monitoring_that_is_broken_or_raises_an_alarm_is_not_green_at_its_id(
    stack: Stack, tmp_path: Path, fault: str
) -> None:
    code, rows, said = EXPECTED[fault]
    stack.fault(fault)
    ran = drill(stack, tmp_path).drill("--apply", **CALM)
    ran.expect(code)
    assert ran.not_green - {"purge_delta"} == rows, repr(ran)
    assert all(said in ran.reason(row) for row in rows if row != "slo.alerts" or rows == {row}), repr(ran)


def test_every_fault_of_the_monitoring_has_an_expectation() -> None:
    names = {name for name, fault in FAULTS.items() if issubclass(fault.hooks, MonitoringFault)}
    assert names <= set(EXPECTED)


@pytest.mark.long
def test_a_stack_without_prometheus_says_so(tmp_path: Path) -> None:
    with Stack.start(tmp_path / "home", incident=False, traffic=False) as stack:
        assert stack.prometheus_url == ""
        assert "prometheus_url" not in stack.drill_config.read_text()
        with pytest.raises(SandboxError, match="needs Prometheus"):
            stack.fault("prometheus_down")


def test_nothing_of_the_monitoring_is_left_behind(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with Stack.start(home, incident=False, traffic=False, metrics="prometheus", faults=["prometheus_slow"]) as stack:
        before = children_of(stack)
        assert len(before) >= 2
    assert not home.exists()
    assert not any(map(alive, before))


def children_of(stack: Stack) -> list[int]:
    """Return the process ids of Prometheus and Alertmanager."""
    folder = str(Home(stack.home).monitoring).encode()
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if folder in (process / "cmdline").read_bytes() and int(process.name) != os.getpid():
                found.append(int(process.name))
        except OSError:
            continue
    return found


def test_prometheus_is_asked_for_only_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    with pytest.raises(SandboxError, match="no prometheus on the PATH"):
        Stack.start(tmp_path / "home", metrics="prometheus")

"""A real Prometheus with an exporter whose values a test sets, and alerts that follow them within a second or two."""

import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from drill.errors import CannotMeasure
from drill.metrics.prometheus import PrometheusClient
from tests.library.server import CLASSIC, Answer, ScriptedService, running

BINARY = shutil.which("prometheus")
WAIT_S = 15.0
NAMES = ("now", "blip", "old", "ended", "slow", "quiet")
CONFIG = """
global: {{scrape_interval: 1s, evaluation_interval: 1s}}
rule_files: [{rules}]
scrape_configs:
  - job_name: retrieval
    static_configs: [{{targets: ["{target}"]}}]
"""
RULES = """
groups:
  - name: watchdog
    rules:
      - {alert: Watchdog, expr: vector(1), labels: {severity: none}}
  - name: pages
    rules:
      - {alert: now, expr: 'demo{name="now"} == 1', labels: {severity: page}}
      - {alert: blip, expr: 'demo{name="blip"} == 1', labels: {severity: page}}
      - {alert: old, expr: 'demo{name="old"} == 1', labels: {severity: page}}
      - {alert: ended, expr: 'demo{name="ended"} == 1', labels: {severity: page}}
      - {alert: slow, expr: 'demo{name="slow"} == 1', for: 1h, labels: {severity: page}}
      - {alert: quiet, expr: 'demo{name="quiet"} == 1', labels: {severity: quiet}}
  - name: broken
    rules:
      - {alert: many_to_many, expr: 'demo * on () demo > 0', labels: {severity: broken}}
  - name: rare
    interval: 1h
    rules:
      - {alert: rarely, expr: 'demo == 7', labels: {severity: rare}}
"""


@dataclass
class RealPrometheus:
    """A running Prometheus and what its exporter says."""

    url: str
    client: PrometheusClient
    values: dict[str, int]

    def state(self, name: str) -> str:
        """Return ``firing``, ``pending``, or nothing, as Prometheus has stored it."""
        found = self.client.vector(f'ALERTS{{alertname="{name}"}}')
        return found[0].labels["alertstate"] if found else ""

    def switch(self, name: str, state: str) -> None:
        """Bring an alert into a state, and wait until Prometheus says so."""
        self.values[name] = int(bool(state))
        wait_for(lambda: self.state(name) == state, f"{name} is {state or 'inactive'}")


def wait_for(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline, f"not within {WAIT_S:g} s: {what}"
        time.sleep(0.1)


@contextmanager
def real_prometheus(folder: Path) -> Iterator[RealPrometheus]:
    """Run Prometheus until its watchdog fires, and end it."""
    assert BINARY is not None
    values = dict.fromkeys(NAMES, 0)
    with running(ScriptedService()) as exporter:
        exporter.script["GET", "/metrics"] = lambda _body: exposition(values)
        port = free_port()
        process = subprocess.Popen(
            [BINARY, *options(folder, port, exporter.url.removeprefix("http://"))],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        client = PrometheusClient(f"http://127.0.0.1:{port}")
        real = RealPrometheus(f"http://127.0.0.1:{port}", client, values)
        try:
            wait_for(lambda: process.poll() is None and fires(real), "Watchdog fires")
            yield real
        finally:
            client.close()
            process.terminate()
            process.wait(10)


def options(folder: Path, port: int, target: str) -> list[str]:
    config, rules = folder / "prometheus.yml", folder / "rules.yml"
    config.write_text(CONFIG.format(rules=rules, target=target))
    rules.write_text(RULES)
    return [
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=error",
    ]


def exposition(values: dict[str, int]) -> Answer:
    lines = [f'demo{{name="{name}"}} {value}' for name, value in values.items()]
    return Answer("\n".join(["# TYPE demo gauge", *lines, ""]).encode(), kind=CLASSIC)


def fires(real: RealPrometheus) -> bool:
    try:
        return real.state("Watchdog") == "firing" and bool(real.client.vector("demo"))
    except CannotMeasure:
        return False


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])

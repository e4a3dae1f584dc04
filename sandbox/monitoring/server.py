"""Prometheus and Alertmanager as child processes, kept as a `Setup` says."""

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sandbox import guard
from sandbox.errors import SandboxError
from sandbox.monitoring.files import write_alertmanager, write_prometheus
from sandbox.monitoring.setup import SELECTOR, Setup
from sandbox.processes import stop

PROMETHEUS, ALERTMANAGER = "prometheus", "prometheus-alertmanager"
"""The programs, as Debian calls them."""
READY_S = 30.0
"""Prometheus looks for targets every 5 s; a busy machine takes its time."""
SCRAPES = 6
"""Scrapes of every instance that a drill finds at its start."""
ENOUGH = 0.13
"""Share of errors that is clearly more than the alert's threshold."""
STALE = "7s"
"""After this long without a scrape, nobody takes Prometheus' newest sample for fresh."""
INCIDENT_S = 90.0
POLL_S = 0.1


def found() -> bool:
    """Return whether there is a Prometheus on the PATH."""
    return shutil.which(PROMETHEUS) is not None


class Monitoring:
    """One Prometheus and, if there is one, one Alertmanager. All their files are below ``folder``."""

    def __init__(self, folder: Path, targets: Sequence[str]) -> None:
        """``targets`` are ``host:port`` of the instances."""
        self._folder, self._targets = folder, targets
        self._setup = Setup()
        self._port = free_port()
        self._alert_port = free_port() if shutil.which(ALERTMANAGER) else 0
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._silence = ""

    @property
    def url(self) -> str:
        """The URL of Prometheus."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def alertmanager_url(self) -> str:
        """The URL of Alertmanager; empty if there is none."""
        return f"http://127.0.0.1:{self._alert_port}" if self._alert_port else ""

    def start(self) -> None:
        """Start the programs; `wait_ready` tells when they work."""
        self._folder.mkdir()
        self._write()
        if self._alert_port:
            self._run(ALERTMANAGER, f"--storage.path={self._folder / 'alertmanager'}", "--cluster.listen-address=")
        self._run_prometheus()

    def wait_ready(self) -> None:
        """Return when Prometheus does what it was set up for; raise ``SandboxError`` if that takes too long."""
        if self._setup.running and self._setup.answering:
            self._until(self._in_effect, READY_S, "Prometheus does not scrape the instances")

    def wait_firing(self, alert: str, since: float) -> None:
        """Return when an alert fires, and would by the errors after ``since`` (Unix time) alone.

        What fires for an incident before this one would stop, and fire again in the middle of a drill. Raises
        ``SandboxError`` if it takes too long.
        """

        def fires() -> bool:
            errors = f"sum(increase(retrieval_errors_total[{max(2, round(time.time() - since))}s]))"
            enough = f"{errors} > {ENOUGH:g} * sum(increase(retrieval_requests_total[30s]))"
            return bool(self._query(f'ALERTS{{alertname="{alert}",alertstate="firing"}} and on() ({enough})'))

        self._until(fires, INCIDENT_S, f"{alert} does not fire")

    def wait_scraped(self, since: float) -> None:
        """Return when every instance was scraped after ``since`` (Unix time), if that is what Prometheus does."""
        if self._setup == Setup():
            scraped = f'timestamp(up{{job=~"{self._setup.job}.*"}}) > {since:.3f}'
            self._until(
                lambda: len(self._query(scraped)) == len(self._targets),
                READY_S,
                "Prometheus does not scrape the instances",
            )

    def apply(self, setup: Setup) -> None:
        """Change what the monitoring does, and return when the change has taken effect."""
        if setup == self._setup:
            return
        before, self._setup = self._setup, setup
        if not before.answering:
            self._processes[PROMETHEUS].send_signal(signal.SIGCONT)
        self._write()
        self._apply_running(before)
        self._apply_alertmanager(before)
        if setup.running and setup.answering:
            self.wait_ready()
        elif not setup.answering:
            self._processes[PROMETHEUS].send_signal(signal.SIGSTOP)

    def close(self) -> None:
        """End the programs."""
        for process in self._processes.values():
            process.send_signal(signal.SIGCONT)  # one that is stopped would not hear that it is to end
            stop(process)

    def _apply_running(self, before: Setup) -> None:
        if not self._setup.running:
            stop(self._processes[PROMETHEUS])
        elif not before.running:
            self._run_prometheus()
        elif before.native != self._setup.native:
            stop(self._processes[PROMETHEUS])
            self._run_prometheus()
        elif replace(before, answering=True) != replace(self._setup, answering=True):
            self._until(lambda: self._ask(self._port, "POST", "/-/reload") is not None, READY_S, "no reload")

    def _apply_alertmanager(self, before: Setup) -> None:
        if not self._alert_port:
            return
        if before.inhibited != self._setup.inhibited:
            self._until(lambda: self._ask(self._alert_port, "POST", "/-/reload") is not None, READY_S, "no reload")
        if self._silence and not self._setup.silenced:
            self._ask(self._alert_port, "DELETE", f"/api/v2/silence/{self._silence}")
            self._silence = ""
        if self._setup.silenced and not self._silence:
            self._until(self._silenced, READY_S, "Alertmanager takes no silence")

    def _silenced(self) -> bool:
        given = self._ask(self._alert_port, "POST", "/api/v2/silences", _silence(self._setup.silenced))
        self._silence = str((given or {}).get("silenceID", ""))
        return bool(self._silence)

    def _write(self) -> None:
        alertmanager = f"127.0.0.1:{self._alert_port}" if self._alert_port else ""
        write_prometheus(self._folder, self._setup, self._targets, alertmanager)
        write_alertmanager(self._folder, self._setup)

    def _run_prometheus(self) -> None:
        data = f"--storage.tsdb.path={self._folder / 'data'}"
        # A job that is removed leaves no mark of its end: for so long it would still be found.
        look_back = "--query.lookback-delta=5s"
        features = ["--enable-feature=native-histograms"] * self._setup.native
        self._run(PROMETHEUS, data, look_back, "--web.enable-lifecycle", "--storage.tsdb.retention.time=6h", *features)

    def _run(self, program: str, *options: str) -> None:
        port = self._port if program == PROMETHEUS else self._alert_port
        config = self._folder / ("prometheus.yml" if program == PROMETHEUS else "alertmanager.yml")
        identity = [str(os.getpid()), str(int(signal.SIGKILL)), str(os.geteuid()), str(os.getegid())]
        command = [sys.executable, "-I", "-S", guard.__file__, *identity, str(shutil.which(program))]
        command += [f"--config.file={config}", f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn", *options]
        with (self._folder / f"{program}.log").open("ab") as log:
            self._processes[program] = subprocess.Popen(
                command, cwd="/", env={"GOMAXPROCS": "1"}, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def _in_effect(self) -> bool:
        """Whether targets are scraped, and rules evaluated, as the setup says."""
        setup = self._setup
        kept = len(self._targets) - setup.unscraped
        jobs = f'{{job=~"{setup.job}.*"}}'
        if setup.interval != "1s":
            return not self._query(f"count_over_time(up{jobs}[{STALE}])")
        scraped = self._query(f"count_over_time(up{jobs}[10m]) >= {SCRAPES} and up{jobs} == 1")
        others = self._query(f'up{{job!~"{setup.job}.*"}}')
        rules = (self._ask(self._port, "GET", "/api/v1/rules") or {}).get("data", {}).get("groups", [])
        states = {rule["name"]: rule["health"] for group in rules for rule in group["rules"]}
        evaluated = {rule.name for rule in setup.rules} == set(states) and "unknown" not in states.values()
        return len(scraped) == kept * setup.copies and not others and evaluated and self._tells_alertmanager()

    def _tells_alertmanager(self) -> bool:
        """Whether Prometheus has found Alertmanager: for seconds after a reload it tells nobody."""
        known = (self._ask(self._port, "GET", "/api/v1/alertmanagers") or {}).get("data", {}).get("activeAlertmanagers")
        return bool(known) or not self._alert_port

    def _query(self, expr: str) -> list[Any]:
        answer = self._ask(self._port, "GET", f"/api/v1/query?query={quote(expr)}")
        return list((answer or {}).get("data", {}).get("result", []))

    def _until(self, condition: Callable[[], bool], limit_s: float, problem: str) -> None:
        deadline = time.monotonic() + limit_s
        while not condition():
            dead = [name for name, process in self._processes.items() if process.poll() is not None]
            if dead or time.monotonic() > deadline:
                why = f"{dead[0]} has ended" if dead else f"not within {limit_s:g} s"
                raise SandboxError(f"{problem}: {why}; see {self._folder}/*.log")
            time.sleep(POLL_S)

    @staticmethod
    def _ask(port: int, method: str, path: str, body: object = None) -> dict[str, Any] | None:
        """Return the JSON of a good answer (an empty one for an empty answer), ``None`` for any other."""
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=3.0)
        try:
            content = None if body is None else json.dumps(body)
            connection.request(method, path, content, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            text = answer.read()
            return (json.loads(text) if text else {}) if answer.status == http.client.OK else None
        except (OSError, ValueError, http.client.HTTPException):
            return None
        finally:
            connection.close()


def _silence(alert: str) -> dict[str, object]:
    now = datetime.now(UTC)
    return {
        "matchers": [{"name": "alertname", "value": alert, "isRegex": False, "isEqual": True}],
        "startsAt": now.isoformat(),
        "endsAt": (now + timedelta(hours=1)).isoformat(),
        "createdBy": "sandbox",
        "comment": "a fault of the sandbox",
    }


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


__all__ = ["SELECTOR", "Monitoring", "found"]

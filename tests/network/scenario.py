"""One drill with some of its peers dead; run as a process of its own, which may have a network of its own.

``python -m tests.network.scenario FOLDER '{"target": "silent"}'`` prints what came of it as JSON.
"""

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from tests.drill.harness import ENV, Desk
from tests.drill.test_foreign_service import make_faiss
from tests.network import failures
from tests.network.failures import CERTIFICATES, Certificate, peer, postgres_with, talks
from tests.network.service import Handler, Service

NETWORK = Path("/proc/self/ns/net")
HOST_NETWORK = "DRILL_TEST_HOST_NETWORK"
"""Names the network namespace of the host, in which no rule is ever made."""
FLAGS_OFF = (b"FF_RETRIEVAL_DUAL_WRITE=OFF", b"FF_RETRIEVAL_SHADOW_READ=OFF", b"RETRIEVAL_BACKEND=faiss")
GIVE_UP_S = 170.0
TOML = """\
[service]
base_url = "{service}"
reload_timeout_s = 1
ca_file = "{ca_file}"
[primary]
path = "faiss"
[slo]
observe_s = 1
min_requests = 20
error_rate = 0.5
p50_ms = 3000
p95_ms = 4000
max_p50_ratio = 100
max_p95_ratio = 100
alerts = '{alerts}'
[metrics]
prometheus_url = "{prometheus}"
"""
TARGET = """\
[target]
kind = "pgvector"
dsn_env = "TARGET_DSN"
connect_timeout_s = 3
"""


class Scenario:
    """Sets the peers up, as dead as asked for."""

    def __init__(self, folder: Path, dead: Mapping[str, str], stack: ExitStack) -> None:
        self.folder, self.dead, self._stack = folder, dead, stack
        self.elsewhere_asked: list[bytes] = []
        elsewhere = f"http://127.0.0.1:{self._peer(self._note)}/"
        self._talks = talks(elsewhere)
        self.ca_file = ""
        self.env_file = folder / "service.env"
        self.env_file.write_bytes(ENV)

    def _note(self, connection: socket.socket) -> None:
        self.elsewhere_asked.append(connection.recv(1000))

    def _peer(self, talk: failures.Talk) -> int:
        return self._stack.enter_context(peer(talk))

    def service(self) -> str:
        """Start the service, and return its URL."""
        dead = self.dead.get("service", "")
        tls = self._certificate(dead) if dead in CERTIFICATES else None
        pair = (tls.cert, tls.key) if tls else None
        service = Service(self.env_file, make_faiss(self.folder), pair)
        threading.Thread(target=service.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        for role, path in (("service", "*"), ("metrics", "/metrics")):
            if talk := self._talks.get(self.dead.get(role, "")):
                service.taken[path] = _handing_over(talk)
        if dead in {"refuse", "drop"}:
            return f"http://127.0.0.1:{self._nobody(dead)}"
        return service.url

    def prometheus(self) -> str:
        """Return the URL of a dead Prometheus, empty if there is none."""
        dead = self.dead.get("prometheus", "")
        if dead in CERTIFICATES:
            made = self._certificate(dead)
            service = Service(self.env_file, self.folder / "faiss" / "default" / "docs.json", (made.cert, made.key))
            threading.Thread(target=service.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
            return service.url
        return f"http://127.0.0.1:{self._port(dead)}" if dead else ""

    def dsn(self) -> str:
        """Return the DSN of a dead target, empty if there is none."""
        dead = self.dead.get("target", "")
        if not dead:
            return ""
        if dead in CERTIFICATES:
            made = self._certificate(dead)
            root = made.ca or "/etc/ssl/certs/ca-certificates.crt"
            port = self._peer(postgres_with(made))
            return f"postgresql://drill:pw-of-the-drill@127.0.0.1:{port}/d?sslmode=verify-full&sslrootcert={root}"
        return f"postgresql://drill:pw-of-the-drill@127.0.0.1:{self._port(dead)}/d"

    def _port(self, dead: str) -> int:
        return self._peer(self._talks[dead]) if dead in self._talks else self._nobody(dead)

    def _nobody(self, dead: str) -> int:
        """Return a port where nobody listens (``refuse``), or to which no packet comes (``drop``)."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = int(listener.getsockname()[1])
        if dead == "drop":
            _drop(port)
        return port

    def _certificate(self, kind: str) -> Certificate:
        made = Certificate.make(self.folder, kind)
        self.ca_file = made.ca
        return made


def _handing_over(talk: failures.Talk) -> Any:
    def take(handler: Handler) -> None:
        handler.close_connection = True
        talk(handler.connection)

    return take


def _drop(port: int) -> None:
    """Drop every packet to a port, in a network namespace that is not the host's."""
    assert str(NETWORK.readlink()) != os.environ[HOST_NETWORK], "this is the host's network: left alone"
    subprocess.run(["iptables", "-A", "INPUT", "-p", "tcp", "--dport", str(port), "-j", "DROP"], check=True)


@contextmanager
def _watch(env_file: Path) -> Iterator[list[float]]:
    """Note when the file first holds all three flags, in seconds from now."""
    began, seen, over = time.monotonic(), list[float](), threading.Event()

    def watch() -> None:
        while not over.wait(0.001):
            data = env_file.read_bytes()
            if all(flag in data for flag in FLAGS_OFF):
                seen.append(time.monotonic() - began)
                return

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    yield seen
    over.set()
    thread.join()


def run(folder: Path, dead: Mapping[str, str]) -> dict[str, Any]:
    """Run the drill and return what was measured."""
    with ExitStack() as stack:
        scenario = Scenario(folder, dead, stack)
        service, prometheus, dsn = scenario.service(), scenario.prometheus(), scenario.dsn()
        text = TOML.format(
            service=service,
            ca_file=scenario.ca_file,
            prometheus=prometheus,
            alerts='severity="page"' if prometheus else "",
        )
        (folder / "drill.toml").write_text(text + (TARGET if dsn else ""))
        desk = Desk(scenario.env_file, folder / "artifacts", folder / "reports")
        command = desk.command("--apply", "--purge", "auto" if dsn else "off")
        measured = _measured(command, desk, {**os.environ, "TARGET_DSN": dsn})
        failures.OVER.set()
        return {**measured, "elsewhere_asked": len(scenario.elsewhere_asked)}


def _measured(command: list[str], desk: Desk, environ: Mapping[str, str]) -> dict[str, Any]:
    output = desk.env_file.with_name("output.txt")
    began = time.monotonic()
    with _watch(desk.env_file) as seen, output.open("wb") as out:
        process = subprocess.Popen(command, env=environ, stdout=out, stderr=out, stdin=subprocess.DEVNULL)
        timer = threading.Timer(GIVE_UP_S, process.kill)
        timer.start()
        _, status, usage = os.wait4(process.pid, 0)
        timer.cancel()
        process.returncode = os.waitstatus_to_exitcode(status)
    return {
        "code": process.returncode,
        "took_s": time.monotonic() - began,
        "flags_s": seen[0] if seen else None,
        "peak_mb": usage.ru_maxrss / 1024,
        "output": output.read_text(errors="replace"),
        "entries": list(desk.journal()),
        "rows": _rows(desk.artifacts),
    }


def _rows(artifacts: Path) -> dict[str, Any]:
    lines = (line for path in artifacts.glob("drills/*/events.ndjson") for line in path.read_text().splitlines())
    events = (json.loads(line) for line in lines)
    return {event["id"]: event for event in events if event["kind"] == "row"}


if __name__ == "__main__":
    if HOST_NETWORK in os.environ:
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    print(json.dumps(run(Path(sys.argv[1]), json.loads(sys.argv[2]))))

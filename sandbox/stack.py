"""Start, reach and stop a stack from Python."""

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal, Self
from urllib.request import Request, urlopen

from sandbox import control, remains
from sandbox.corpus import TENANTS
from sandbox.errors import SandboxError
from sandbox.home import ROOT, Home, State
from sandbox.monitoring import server as monitoring
from sandbox.seed_delta import SeededDelta

INCIDENT = ("target_slow", "target_failing")
"""The faults of the incident: the target is slow, and failing part of the time."""
RELOAD_S = 60.0
Metrics = Literal["prometheus", "scrape", "auto"]
STOP_S = 20.0


@dataclass(frozen=True, slots=True)
class Status:
    """The instances' process ids (``None``: not running), the faults by instance, the background users' counts."""

    instances: list[int | None]
    faults: dict[str, list[int]]
    traffic: dict[str, int]


@dataclass(slots=True)
class Stack:
    """A running stack. As a context manager it is stopped at the end.

    Started with ``owned`` it also ends when the process that started it does, however that ends.
    """

    _home: Home
    _state: State
    _supervisor: "subprocess.Popen[bytes] | None" = None

    @classmethod
    def start(
        cls,
        home: Path,
        *,
        incident: bool = True,
        traffic: bool = True,
        tenants: Sequence[str] = TENANTS,
        faults: Sequence[str] = (),
        delta: bool | None = None,
        owned: bool = True,
        metrics: Metrics = "scrape",
    ) -> "Stack":
        """Start a stack in ``home``, which must be absent or empty; raise ``SandboxError`` if it does not come up.

        ``incident``: the target is sick. ``delta``: orphans, stale and missing documents are seeded (by default in an
        incident). ``faults`` are on from the beginning, ``name@0`` on one instance only.
        ``metrics``: with a Prometheus and alerts, with neither, or what can be had on this machine.
        """
        monitored = metrics == "prometheus" or (metrics == "auto" and monitoring.found())
        if monitored and not monitoring.found():
            raise SandboxError("there is no prometheus on the PATH (Debian: apt-get install prometheus)")
        where = Home(home.resolve())
        _refuse_if_there(where)
        command = [sys.executable, "-m", "sandbox.supervisor", "--home", str(where.path), "--tenants", *tenants]
        command += ["--fault", *(INCIDENT if incident else ()), *faults]
        command += ["--delta"] if (incident if delta is None else delta) else []
        command += [*(["--traffic"] if traffic else []), *(["--owned"] if owned else [])]
        command += ["--monitored"] if monitored else []
        supervisor = subprocess.Popen(
            command,
            cwd=ROOT,
            stdin=subprocess.PIPE if owned else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=None,
            start_new_session=True,
        )
        try:
            _await_ready(supervisor)
        except BaseException:
            supervisor.terminate()
            _let_go(supervisor)
            raise
        stack = cls(where, State.load(where), supervisor)
        if monitored and incident and traffic:
            try:
                stack.await_incident()
            except SandboxError:
                stack.stop()
                raise
        return stack

    @classmethod
    def attach(cls, home: Path) -> "Stack":
        """Return the stack that runs in ``home``; raise ``SandboxError`` if there is none."""
        where = Home(home.resolve())
        state = State.load(where)
        if not control.reachable(state.control):
            raise SandboxError(f"the sandbox in {where.path} was killed; clean up with `python -m sandbox down`")
        return cls(where, state)

    @property
    def home(self) -> Path:
        """The directory of everything a user may look at."""
        return self._home.path

    @property
    def env_file(self) -> Path:
        """The service's env file."""
        return self._home.env_file

    @property
    def drill_config(self) -> Path:
        """The drill's configuration."""
        return self._home.drill_config

    @property
    def faiss_dir(self) -> Path:
        """The primary's data directory."""
        return self._home.faiss_dir

    @property
    def dsn(self) -> str:
        """The target's connection string, with its password."""
        return self._state.dsn

    @property
    def base_urls(self) -> list[str]:
        """Every instance's own URL."""
        return self._state.base_urls

    @property
    def prometheus_url(self) -> str:
        """The URL of its Prometheus; empty if it has none."""
        return self._state.prometheus

    @property
    def alertmanager_url(self) -> str:
        """The URL of its Alertmanager; empty if it has none."""
        return self._state.alertmanager

    @property
    def seeded(self) -> SeededDelta:
        """The delta that was seeded, over all tenants."""
        return SeededDelta(**control.ask(self._state.control, "seeded"))

    @property
    def running(self) -> bool:
        """Whether the stack's supervisor answers."""
        return control.reachable(self._state.control)

    def status(self) -> Status:
        """Return what runs now."""
        return Status(**control.ask(self._state.control, "status"))

    def fault(self, name: str, instance: int | None = None, *, on: bool = True) -> None:
        """Switch a fault, on all instances or on one; the next request already meets it."""
        instances = None if instance is None else [instance]
        control.ask(self._state.control, "fault", name=name, instances=instances, on=on)

    def reload(self, *, whole: bool = True) -> None:
        """Restart the instances one after the other; raise ``SandboxError`` if one does not come back.

        Not ``whole``: as the reload command does, which may return before some are restarted.
        """
        control.ask(self._state.control, "reload", RELOAD_S, whole=whole)

    def await_incident(self) -> None:
        """Return when the incident's alert fires, if the stack has alerts: what fires later is news to a drill."""
        control.ask(self._state.control, "await_incident")

    def replay_outbox(self) -> int:
        """Have every instance send the target what waits; return how many documents still do."""
        left = 0
        for url in self.base_urls:
            request = Request(f"{url}/internal/admin/outbox/replay", method="POST")  # noqa: S310 - our own address
            try:
                with urlopen(request, timeout=RELOAD_S) as response:  # noqa: S310
                    left += int(json.load(response)["waiting"])
            except OSError as error:
                raise SandboxError(f"{url} does not replay its outbox: {error}") from None
        return left

    def stop(self) -> None:
        """Stop the stack and remove what it made; nothing happens if it is stopped already."""
        clean_up(self._home)
        if self._supervisor is not None:
            _let_go(self._supervisor)

    def release(self) -> None:
        """Let go of a stack that is not ``owned``: it goes on running."""
        if self._supervisor is not None and self._supervisor.stdout:
            self._supervisor.stdout.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def clean_up(home: Home) -> None:
    """Stop the stack in ``home``, or remove what a killed one has left; raise ``SandboxError`` if something stays."""
    if not home.state.exists():
        return
    state = State.load(home)
    if control.reachable(state.control):
        control.ask(state.control, "stop")
    else:
        remains.remove(home, state)
    deadline = time.monotonic() + STOP_S
    while home.state.exists():
        if time.monotonic() > deadline:
            raise SandboxError(f"the sandbox in {home.path} does not stop; see process {state.supervisor}")
        time.sleep(0.02)


def _refuse_if_there(home: Home) -> None:
    if home.state.exists():
        if control.reachable(State.load(home).control):
            raise SandboxError(f"a sandbox is already up in {home.path}; `python -m sandbox down` stops it")
        raise SandboxError(f"the sandbox in {home.path} was killed; clean up with `python -m sandbox down`")


def _await_ready(supervisor: "subprocess.Popen[bytes]") -> None:
    assert supervisor.stdout is not None
    line = supervisor.stdout.readline()
    answer = json.loads(line) if line else {"error": "the sandbox's supervisor died at start; its message is above"}
    if "error" in answer:
        raise SandboxError(answer["error"])


def _let_go(supervisor: "subprocess.Popen[bytes]") -> None:
    for pipe in (supervisor.stdin, supervisor.stdout):
        if pipe is not None:
            pipe.close()
    try:
        supervisor.wait(STOP_S)
    except subprocess.TimeoutExpired:
        supervisor.kill()
        supervisor.wait()

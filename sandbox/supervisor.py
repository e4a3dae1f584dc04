"""The process that owns a stack: it starts everything, restarts on request, and takes everything down again.

One thread only: a child's "end with my parent" is bound to the thread that started it.
"""

import argparse
import json
import os
import random
import secrets
import select
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any, NoReturn

from sandbox import faults, remains, seed
from sandbox.control import ControlServer
from sandbox.corpus import golden_ids
from sandbox.errors import SandboxError
from sandbox.faults import active
from sandbox.faults.hooks import Places
from sandbox.faults.monitoring import MonitoringFault
from sandbox.home import INSTANCES, REHEARSAL, Home, State, write_drill_config, write_env
from sandbox.instance import Instance, spawn
from sandbox.monitoring.server import Monitoring
from sandbox.monitoring.setup import Setup
from sandbox.postgres import Postgres
from sandbox.processes import stop
from sandbox.seed_delta import SeededDelta

INCIDENT_ALERT = "RetrievalErrorRate"
"""What fires in an incident that users feel."""


class Supervisor:
    """Owns the processes and files of one stack; ``close`` undoes everything in reverse."""

    def __init__(self, home: Home, tenants: Sequence[str]) -> None:
        self._home = home
        self._tenants = list(tenants)
        self._undo = ExitStack()
        self._seeded = SeededDelta()
        self._instances: list[Instance] = []
        self._monitoring: Monitoring | None = None
        self._ready = False
        self._late: list[tuple[float, Instance]] = []
        self._loaded = time.time()
        self._made_home = False
        self._dsn = ""
        self._runtime = Path()
        self._commands: dict[str, Callable[[dict[str, Any]], object]] = {
            "status": lambda _: self._status(),
            "seeded": lambda _: asdict(self._seeded),
            "reload": lambda request: self._reload(whole=bool(request.get("whole", True))),
            "fault": self._fault,
            "await_incident": lambda _: self._await_incident(),
        }

    def start(self, *, delta: bool, traffic: bool, switched: Sequence[str], monitored: bool) -> None:
        """Bring the stack up and answer until told to stop; raise ``SandboxError`` if some part does not come."""
        runtime = self._claim_home()
        postgres = Postgres(runtime, secrets.token_urlsafe(16))
        initialising = postgres.initialise()
        self._undo.callback(stop, initialising)
        self._instances = [Instance(number, self._home) for number in range(INSTANCES)]
        if monitored:
            targets = [f"127.0.0.1:{instance.port}" for instance in self._instances]
            self._monitoring = Monitoring(self._home.monitoring, targets)
        self._dsn = postgres.dsn()
        state = self._write_files(runtime, self._dsn)
        if self._monitoring:
            self._undo.callback(self._monitoring.close)
            self._monitoring.start()
        seeds = [seed.seed_tenant(tenant, random.Random(), delta=delta) for tenant in self._tenants]  # noqa: S311 - no secret
        self._seeded = seed.total(seeds)
        seed.write_primary(self._home.faiss_dir, seeds)
        for fault in switched:
            name, _, number = fault.partition("@")
            self._fault({"name": name, "instances": [int(number)] if number else None, "on": True})
        for instance in self._instances:
            self._undo.callback(instance.close)
            instance.start(self._faults_of(instance).environment())
        self._undo.callback(postgres.stop)
        postgres.start(initialising)
        seed.write_target(postgres.dsn(), seeds)
        for instance in self._instances:
            instance.wait_healthy()
        if traffic:
            self._start_traffic(state)
        if self._monitoring:
            self._monitoring.wait_ready()
            self._monitoring.apply(self._setup(active.read(self._home.faults)))
        self._ready = True

    def listen(self) -> ControlServer:
        """Open the control socket."""
        return ControlServer(self._runtime / "control")

    def serve(self, control: ControlServer, owner: int | None) -> None:
        """Answer requests until ``stop`` is asked or the descriptor ``owner`` reaches its end."""
        sources: list[Any] = [control] if owner is None else [control, owner]
        while True:
            ready, _, _ = select.select(sources, [], [], self._restart_late())
            if owner in ready:
                return
            if control not in ready:
                continue
            if (accepted := control.accept()) is None:
                continue
            connection, request = accepted
            control.answer(connection, self._answer(request))
            if request.get("command") == "stop":
                return

    def close(self) -> None:
        """End every process and remove what was made."""
        self._undo.close()

    def _claim_home(self) -> Path:
        made = not self._home.path.exists()
        if not made and any(self._home.path.iterdir()):
            raise SandboxError(f"{self._home.path} is not empty; choose another --home, or remove it if it is yours")
        self._home.path.mkdir(parents=True, exist_ok=True)
        self._undo.callback(remains.remove_home, self._home, made=made)
        # Not below the home: the name of a Unix socket may have about 100 bytes, and the server's user must get there.
        runtime = Path(tempfile.mkdtemp(prefix="rollback-sandbox-"))
        self._undo.callback(shutil.rmtree, runtime, ignore_errors=True)
        self._made_home, self._runtime = made, runtime
        return runtime

    def _write_files(self, runtime: Path, dsn: str) -> State:
        ports = [instance.port for instance in self._instances]
        urls = (self._monitoring.url, self._monitoring.alertmanager_url) if self._monitoring else ()
        state = State(os.getpid(), str(runtime), ports, self._tenants, dsn, self._made_home, *urls)
        state.save(self._home)
        active.write(self._home.faults, {})
        write_env(self._home, state, backend="pgvector", dual_write="ON", shadow_read="ON")
        write_drill_config(self._home, state, golden_ids(self._tenants[0]))
        return state

    def _start_traffic(self, state: State) -> None:
        command = [sys.executable, "-m", "sandbox.traffic", "--ports", *map(str, state.ports)]
        command += ["--tenants", *state.tenants, "--report", str(self._home.traffic), "--parent", str(os.getpid())]
        self._undo.callback(stop, spawn(command, self._home.log("traffic"), {}))

    def _faults_of(self, instance: Instance) -> active.ActiveFaults:
        return active.ActiveFaults(self._home.faults, instance.number)

    def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        command = request.get("command", "")
        if command == "stop":
            return {"result": None}
        if command not in self._commands:
            return {"error": f"unknown command {command!r}"}
        try:
            return {"result": self._commands[command](request)}
        except SandboxError as error:
            return {"error": str(error)}
        except OSError as error:
            return {"error": f"{command} failed: {error}"}

    def _reload(self, *, whole: bool) -> None:
        """Restart the instances; unless the ``whole`` is asked for, some may follow once this has been answered."""
        self._loaded = time.time()
        self._late.clear()
        for instance in self._instances:
            of_instance = self._faults_of(instance)
            if not of_instance.restarts():
                continue
            if not whole and (pause_s := of_instance.restarts_after_s()):
                self._late.append((time.monotonic() + pause_s, instance))
                continue
            self._restart(instance)
            if of_instance.awaited():
                instance.wait_healthy()

    def _restart(self, instance: Instance) -> None:
        instance.stop()
        instance.start(self._faults_of(instance).environment())

    def _restart_late(self) -> float | None:
        """Restart who is due by now; return the seconds until the next is, ``None`` if none is left."""
        now = time.monotonic()
        for due in [one for one in self._late if one[0] <= now]:
            self._late.remove(due)
            self._restart(due[1])
        return min((due[0] - now for due in self._late), default=None)

    def _fault(self, request: dict[str, Any]) -> None:
        try:
            found = faults.find(str(request["name"]))
        except KeyError as error:
            raise SandboxError(str(error.args[0])) from None
        if issubclass(found.hooks, MonitoringFault) and self._monitoring is None:
            raise SandboxError(f"{found.name} needs Prometheus, and this stack has none: start it with --metrics auto")
        switched = active.read(self._home.faults)
        before = set(switched.get(found.name, ()))
        chosen = set(request["instances"] or (*range(INSTANCES), REHEARSAL))
        after = before | chosen if request["on"] else before - chosen
        places = Places(self._home.env_file, self._home.faiss_dir, self._home.keep / found.name, self._dsn)
        if after and not before:
            found.hooks.switched_on(places)
        if before and not after:
            found.hooks.switched_off(places)
        active.write(self._home.faults, {**switched, found.name: sorted(after)})
        if self._monitoring and self._ready:
            self._monitoring.apply(self._setup(active.read(self._home.faults)))
            self._monitoring.wait_scraped(time.time())  # an incident lasts: what is kept must know of it

    @staticmethod
    def _setup(switched: Iterable[str]) -> Setup:
        """Return the monitoring as the faults that are on want it."""
        setup = Setup()
        for name in switched:
            setup = faults.find(name).hooks.monitoring(setup)
        return setup

    def _await_incident(self) -> None:
        if self._monitoring:
            if all(self._faults_of(instance).awaited() for instance in self._instances):
                self._monitoring.wait_ready()
            self._monitoring.wait_firing(INCIDENT_ALERT, self._loaded)

    def _status(self) -> dict[str, object]:
        return {
            "instances": [one.pid for one in self._instances],
            "faults": active.read(self._home.faults),
            "traffic": json.loads(self._home.traffic.read_text()) if self._home.traffic.exists() else {},
        }


def main() -> None:
    """Own a stack; the first line on standard output is ``{"ready": true}`` or ``{"error": "..."}``."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.supervisor", description=__doc__)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--tenants", nargs="+", required=True)
    parser.add_argument("--fault", nargs="*", default=[], dest="switched")
    parser.add_argument("--delta", action="store_true")
    parser.add_argument("--traffic", action="store_true")
    parser.add_argument("--monitored", action="store_true", help="with a Prometheus that scrapes the instances")
    parser.add_argument("--owned", action="store_true", help="stop when standard input ends")
    arguments = parser.parse_args()
    for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(signum, _interrupted)
    supervisor = Supervisor(Home(arguments.home), arguments.tenants)
    try:
        supervisor.start(
            delta=arguments.delta,
            traffic=arguments.traffic,
            switched=arguments.switched,
            monitored=arguments.monitored,
        )
        control = supervisor.listen()
        _say({"ready": True})
        if not arguments.owned:
            _let_go_of_the_terminal(arguments.home)
        supervisor.serve(control, 0 if arguments.owned else None)
    except SandboxError as error:
        _say({"error": str(error)})
    finally:
        for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(signum, signal.SIG_IGN)
        supervisor.close()


def _interrupted(signum: int, _frame: object) -> NoReturn:
    sys.exit(128 + signum)


def _let_go_of_the_terminal(home: Path) -> None:
    """Write on to a log: a pipe that ``up`` was run in would otherwise wait for the end of the stack."""
    with (home / "supervisor.log").open("ab") as log:
        os.dup2(log.fileno(), sys.stderr.fileno())


def _say(answer: dict[str, object]) -> None:
    try:
        print(json.dumps(answer), flush=True)
    except BrokenPipeError:
        sys.exit(1)


if __name__ == "__main__":
    main()

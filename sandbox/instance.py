"""One instance of the service as a child process: start, wait for health, restart."""

import http.client
import os
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from sandbox.errors import SandboxError
from sandbox.home import ROOT, Home
from sandbox.processes import stop
from sandbox.service.settings import ENV_KEYS

BOOT_S = 20.0
POLL_S = 0.02
SUPERVISOR = "X-Supervisor"
"""Sent with the supervisor's own health requests, which no oddity of a health answers."""


class Instance:
    """Keeps its port over restarts; the process may come and go."""

    def __init__(self, number: int, home: Home) -> None:
        self.number = number
        self._home = home
        self._process: subprocess.Popen[bytes] | None = None
        # Bound but not listening: nobody else gets the port, and connections are refused while the instance is down.
        self._reserved = socket.socket()
        self._reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self._reserved.bind(("127.0.0.1", 0))
        self.port: int = self._reserved.getsockname()[1]

    @property
    def pid(self) -> int | None:
        """The process id, ``None`` if the instance is not running."""
        return self._process.pid if self._process and self._process.poll() is None else None

    def start(self, environment: Mapping[str, str]) -> None:
        """Start the process with ``environment`` on top of a clean one."""
        command = [sys.executable, "-m", "sandbox.service", "--env-file", str(self._home.env_file)]
        command += ["--port", str(self.port), "--instance", str(self.number)]
        command += ["--faults", str(self._home.faults), "--parent", str(os.getpid())]
        self._process = spawn(command, self._log, environment)

    def wait_healthy(self) -> None:
        """Return when the instance answers health; raise ``SandboxError`` when it has exited or takes too long."""
        assert self._process is not None
        deadline = time.monotonic() + BOOT_S
        while not self._healthy():
            code = self._process.poll()
            if code is not None:
                raise SandboxError(f"instance {self.number} exited with {code} at boot: {self._last_line()}")
            if time.monotonic() > deadline:
                raise SandboxError(f"instance {self.number} not healthy {BOOT_S:g} s after its start; see {self._log}")
            time.sleep(POLL_S)

    def stop(self) -> None:
        """End the process, if there is one."""
        if self._process is not None:
            stop(self._process)

    def close(self) -> None:
        """End the process and give the port back."""
        self.stop()
        self._reserved.close()

    def _healthy(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=2.0)
        try:
            connection.request("GET", "/health", headers={SUPERVISOR: "1"})
            return connection.getresponse().status == http.client.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    @property
    def _log(self) -> Path:
        return self._home.log(f"instance-{self.number}")

    def _last_line(self) -> str:
        lines = self._log.read_text(errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")


def spawn(command: list[str], log: Path, environment: Mapping[str, str]) -> "subprocess.Popen[bytes]":
    """Start a child in the project's root, without the variables that would shadow the env file."""
    inherited = {key: value for key, value in os.environ.items() if key not in ENV_KEYS}
    threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    with log.open("ab") as output:
        return subprocess.Popen(
            command,
            cwd=ROOT,
            env={**inherited, **threads, **environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )

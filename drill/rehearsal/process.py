"""A throw-away instance of the service: started in a process group of its own, watched, and stopped for good."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

POLL_S = 0.05


def free_port() -> int:
    """Return a port of the loopback interface that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class ThrowAway:
    """One instance; whatever becomes of the rehearsal, ``close`` leaves nothing of it running."""

    def __init__(self, command: Sequence[str], env: Mapping[str, str]) -> None:
        """Start ``command``; raises ``OSError`` if it cannot be started. What it prints is not kept."""
        self._process = subprocess.Popen(
            list(command),
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    @property
    def exit_code(self) -> int | None:
        """Its exit code; ``None`` while it runs."""
        return self._process.poll()

    def ports(self) -> set[int]:
        """Return the ports that its processes listen on; empty where that cannot be seen (no ``/proc``)."""
        sockets = {inode for pid in self._members() for inode in _sockets(pid)}
        return {port for inode, port in _listening() if inode in sockets}

    def stop(self, patience_s: float) -> bool:
        """Ask it to stop and wait for ``patience_s``; return whether all of it has ended by itself."""
        self._signal(signal.SIGTERM)
        deadline = time.monotonic() + patience_s
        while self._process.poll() is None or self._members():
            if time.monotonic() > deadline:
                return False
            time.sleep(POLL_S)
        return True

    def close(self) -> None:
        """Kill what is left of it."""
        self._signal(signal.SIGKILL)
        self._process.wait()

    def _signal(self, signum: signal.Signals) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signum)

    def _members(self) -> list[int]:
        """Return the processes of its session that live."""
        found = []
        for path in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError, ValueError, IndexError):
                state, _, group, session = path.read_text().rpartition(")")[2].split()[:4]
                if self._process.pid in {int(group), int(session)} and state != "Z":
                    found.append(int(path.parent.name))
        return found


def _sockets(pid: int) -> list[str]:
    found = []
    for link in Path(f"/proc/{pid}/fd").glob("*"):
        with suppress(OSError):
            target = str(link.readlink())
            if target.startswith("socket:["):
                found.append(target.removeprefix("socket:[").removesuffix("]"))
    return found


def _listening() -> list[tuple[str, int]]:
    """Return (inode, port) of every listening TCP socket of this network namespace."""
    found = []
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with suppress(OSError):
            for line in Path(table).read_text().splitlines()[1:]:
                columns = line.split()
                if columns[3] == "0A":
                    found.append((columns[9], int(columns[1].rpartition(":")[2], 16)))
    return found

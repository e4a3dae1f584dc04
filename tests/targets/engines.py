"""Real servers and engines for the contract tests, on free ports, ended with their children."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

START_S = 90.0


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@contextmanager
def scratch() -> Iterator[Path]:
    """Return a short-lived directory."""
    folder = Path(tempfile.mkdtemp(prefix="rbtgt"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def process(command: list[str], log: Path, **environ: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run ``command`` as a group of its own and end the whole group."""
    with log.open("wb") as output:
        started = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,  # osmem ends when its standard input does
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**os.environ, **environ},
        )
    try:
        yield started
    finally:
        with suppress(ProcessLookupError):
            os.killpg(started.pid, signal.SIGKILL)
        started.wait()
        if started.stdin is not None:
            started.stdin.close()


def await_answer(url: str, running: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until ``url`` answers with 200."""
    deadline = time.monotonic() + START_S
    while True:
        assert running.poll() is None, f"ended at start: {log.read_text()[-2000:]}"
        with suppress(urllib.error.URLError, OSError), urllib.request.urlopen(url, timeout=5) as reply:
            if reply.status == 200:
                return
        assert time.monotonic() < deadline, f"did not start: {log.read_text()[-2000:]}"
        time.sleep(0.05)


def await_port(port: int, running: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until something listens on ``port``."""
    deadline = time.monotonic() + START_S
    while True:
        assert running.poll() is None, f"ended at start: {log.read_text()[-2000:]}"
        with suppress(OSError):
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        assert time.monotonic() < deadline, f"did not start: {log.read_text()[-2000:]}"
        time.sleep(0.05)


@contextmanager
def chroma() -> Iterator[str]:
    """Chroma's own server."""
    port = free_port()
    with scratch() as folder:
        log = folder / "log"
        serve = "import sys, chromadb_rust_bindings; chromadb_rust_bindings.cli(['chroma', *sys.argv[1:]])"
        run = ["run", "--host", "127.0.0.1", "--port", str(port), "--path", str(folder / "data")]
        with process([sys.executable, "-c", serve, *run], log) as running:
            await_answer(f"http://127.0.0.1:{port}/api/v2/heartbeat", running, log)
            yield f"http://127.0.0.1:{port}"


@contextmanager
def milvus_lite() -> Iterator[str]:
    """The functional double of the Milvus project."""
    port = free_port()
    with scratch() as folder:
        log = folder / "log"
        command = Path(sys.executable).with_name("milvus-lite")
        serve = [str(command), "server", "--data-dir", str(folder / "data"), "--host", "127.0.0.1", "--port", str(port)]
        with process(serve, log) as running:
            await_port(port, running, log)
            yield f"http://127.0.0.1:{port}"


MILVUS = """
import sys, time
from milvus import MilvusServer
server = MilvusServer(wait_for_started=False)
server.set_base_dir(sys.argv[1])
server.start()
print(server.config.get("proxy_port"), server.webservice_port, flush=True)
server.server_proc.wait()
"""


@contextmanager
def milvus() -> Iterator[str]:
    """The real standalone server (2.3.5). It listens on all interfaces; its child outlives its parent unless killed."""
    with scratch() as folder:
        log = folder / "log"
        with process([sys.executable, "-c", MILVUS, str(folder / "data")], log, HOME=str(folder)) as running:
            port, health = _printed(log, running)
            await_answer(f"http://127.0.0.1:{health}/healthz", running, log)
            yield f"http://127.0.0.1:{port}"


def _printed(log: Path, running: subprocess.Popen[bytes]) -> tuple[str, str]:
    deadline = time.monotonic() + START_S
    while True:
        words = log.read_text().splitlines()
        found = next(
            (line.split() for line in words if len(line.split()) == 2 and line.replace(" ", "").isdigit()), None
        )
        if found:
            return found[0], found[1]
        assert running.poll() is None, log.read_text()[-2000:]
        assert time.monotonic() < deadline, log.read_text()[-2000:]
        time.sleep(0.05)


@contextmanager
def osmem() -> Iterator[str]:
    """A stand-in for OpenSearch, as a server of its own."""
    from osmem_server import resolve_binary

    port = free_port()
    with scratch() as folder:
        log = folder / "log"
        binary = [resolve_binary(), "--parent-pid", str(os.getpid()), "--addr", f"127.0.0.1:{port}", "--no-ja"]
        with process(binary, log) as running:
            await_answer(f"http://127.0.0.1:{port}/", running, log)
            yield f"http://127.0.0.1:{port}"

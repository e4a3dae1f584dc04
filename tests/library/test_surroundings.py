"""Nothing that lies in the working directory, beside the env file or in a variable for others leads the drill."""

import os
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import faiss
import numpy as np
import psycopg
import pytest

from drill.errors import TargetUnavailable
from drill.finish import late_warnings
from drill.primary.other_kinds import look_with_faiss
from drill.purge.join import Room, duckdb_in
from drill.secret import keep_no_keys
from drill.target.pgvector_connection import ELSEWHERE, connect
from tests.library.world import MIGRATING, start

ROOT = Path(__file__).resolve().parents[2]
ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
MODULES = ("json", "httpx", "faiss", "numpy", "psycopg", "drill", "fixtures", "sandbox", "sitecustomize", "conftest")
"""Modules of Python, of others and of the drill itself, and what Python and pytest load by themselves."""
INI = "addopts = -p planted\npythonpath = .\n"
FIFOS = (".netrc", ".pgpass", "pg_service.conf", ".pg_service.conf", ".duckdbrc", "matplotlibrc", ".pythonrc")
"""Whoever opens one of these waits for ever."""


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """A directory in which everything that anybody could take for his own is planted, and an env file."""
    folder = tmp_path / "hostile"
    folder.mkdir()
    (folder / ".env").write_text(MIGRATING)
    for name in (*MODULES, "planted"):
        (folder / f"{name}.py").write_text(f"open({str(folder / 'RAN')!r}, 'a').write({name!r})\n")
    (folder / "pytest.ini").write_text(f"[pytest]\n{INI}")
    (folder / "tox.ini").write_text(f"[pytest]\n{INI}")
    (folder / "setup.cfg").write_text(f"[tool:pytest]\n{INI}")
    for name in FIFOS:
        os.mkfifo(folder / name)
    return folder


def run(cwd: Path, *command: str) -> "subprocess.CompletedProcess[str]":
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    return subprocess.run(
        [sys.executable, *command], cwd=cwd, env=environ, capture_output=True, text=True, timeout=120, check=False
    )


PYTEST = str(Path(sys.executable).with_name("pytest"))
SCRIPT = str(ROOT / "scripts" / "rollback_retrieval.py")
DOORS: dict[str, tuple[bool, tuple[str, ...]]] = {
    "the script, from there": (
        True,
        (SCRIPT, "--env-file", ".env", "--dry-run"),
    ),
    "pytest, from there": (True, (PYTEST, str(ROOT / "drill_tests"), "--env-file", ".env")),
    "pytest, from the checkout": (False, (PYTEST, "drill_tests", "--env-file", "ENV")),
    "pytest, the env file first, in one word": (False, (PYTEST, "--env-file=ENV", "drill_tests")),
}


@pytest.mark.parametrize("door", DOORS)
def test_no_module_plugin_or_configuration_of_the_directory_is_loaded(hostile: Path, door: str) -> None:
    """Neither of the working directory nor of that of the env file; the rows of the runbook are found all the same."""
    there, words = DOORS[door]
    command = [word.replace("ENV", str(hostile / ".env")) for word in words]
    done = run(hostile if there else ROOT, *command, "--collect-only", "-q", "-p", "no:cacheprovider")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "tests collected" in done.stdout
    assert not (hostile / "RAN").exists()


def test_what_is_planted_would_run(hostile: Path) -> None:
    """The control: pytest itself takes the first path for its own, before it knows the drill's options."""
    done = run(ROOT, PYTEST, "--env-file", str(hostile / ".env"), "drill_tests", "--collect-only", "-q")
    assert done.returncode == 4
    assert "planted" in (hostile / "RAN").read_text()


def test_another_configuration_of_pytest_is_refused(hostile: Path) -> None:
    """Also one that loads the drill's options, so that it would run: exit 4, and what to do."""
    (hostile / "pytest.ini").write_text(f"[pytest]\naddopts = -p fixtures.options\npythonpath = {ROOT}\n")
    (hostile / "fixtures.py").unlink()
    done = run(ROOT, PYTEST, "--env-file", str(hostile / ".env"), "drill_tests", "-q", "-p", "no:cacheprovider")
    assert done.returncode == 4, done.stdout + done.stderr
    assert "the pytest.ini of another directory, expected the drill's own pyproject.toml: give drill_tests first" in (
        done.stderr
    )


def test_the_process_that_looks_at_an_index_loads_nothing_of_the_directory(
    hostile: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has no script's directory, nor a working directory, in its path."""
    index = faiss.index_factory(4, "HNSW8")
    index.add(np.eye(4, dtype=np.float32))
    faiss.write_index(index, str(hostile / "index.faiss"))
    monkeypatch.chdir(hostile)
    assert "damaged" not in look_with_faiss(hostile / "index.faiss")
    assert not (hostile / "RAN").exists()


def test_duckdb_reads_no_start_up_file_and_loads_no_extension(hostile: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It answers, though whoever opened the file in the working directory would wait."""
    monkeypatch.chdir(hostile)
    settings = "SELECT current_setting('autoload_known_extensions'), current_setting('autoinstall_known_extensions')"
    with duckdb_in(Room(100, 1, str(hostile / "spill"))) as duck:
        assert duck.execute(settings).fetchall() == [(False, False)]


@contextmanager
def listening() -> Iterator[tuple[int, list[object]]]:
    """Yield a port of this machine, and a list that grows with each connection to it."""
    met: list[object] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    met.append(connection)
                    connection.close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1], met
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(10)


def test_documents_are_looked_for_where_the_dsn_leads_only(hostile: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not where the variables of a shell lead, which stay as they were; libpq by itself goes there: the control."""
    monkeypatch.chdir(hostile)
    with listening() as (port, met):
        found = {"PGHOST": "127.0.0.1", "PGHOSTADDR": "127.0.0.1", "PGPORT": str(port), "PGDATABASE": "other"}
        for name, value in found.items():
            monkeypatch.setenv(name, value)
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect("postgresql:///mine", connect_timeout=2)
        assert len(met) >= 1
        before = len(met)
        with pytest.raises(TargetUnavailable):
            connect(f"postgresql:///mine?host={hostile}", 2, 2)
        assert len(met) == before
    assert {name: os.environ[name] for name in found} == found
    assert set(found) < set(ELSEWHERE)


def test_a_service_of_a_shell_does_not_fill_up_the_dsn(hostile: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor is its file opened, which would be waited for."""
    monkeypatch.setenv("PGSERVICE", "other")
    monkeypatch.setenv("PGSYSCONFDIR", str(hostile))
    with pytest.raises(TargetUnavailable):
        connect(f"postgresql:///mine?host={hostile}", 2, 2)


DOTENV = """
import os, sys, dotenv.main
dotenv.main.find_dotenv = lambda *_, **__: sys.argv[1]
if sys.argv[2] == "drill":
    from drill.errors import CannotMeasure
    from drill.target.milvus import open_milvus
    from drill.target.settings import MilvusKeys
    try:
        open_milvus(MilvusKeys(), {}, ["default"])
    except CannotMeasure:
        pass
import pymilvus
print("PLANTED" in os.environ, "PYTHON_DOTENV_DISABLED" in os.environ)
"""


def test_the_client_of_milvus_reads_no_env_file(tmp_path: Path) -> None:
    """It looks for one above where it is installed, and sets all that it holds; so it does by itself: the control."""
    pytest.importorskip("pymilvus")
    (tmp_path / "planted.env").write_text("PLANTED=1\n")
    said = [run(ROOT, "-W", "ignore", "-c", DOTENV, str(tmp_path / "planted.env"), who) for who in ("itself", "drill")]
    assert [done.stdout for done in said] == ["True False\n", "False False\n"], said


def test_keys_of_tls_sessions_are_written_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A context by itself makes the file, which is the control."""
    for name in ("control", "keys"):
        monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / name))
        if name == "keys":
            keep_no_keys()
        ssl.create_default_context()
    assert [path.name for path in tmp_path.iterdir()] == ["control"]


@ROOT_ONLY
@pytest.mark.parametrize("apply", [True, False])
def test_an_env_file_of_somebody_else_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, apply: bool) -> None:
    """It may be the service's; whose it is stands on the terminal and in the report. One's own is not named."""
    started = start(tmp_path, apply=apply)
    assert not any("belongs to" in line for line in late_warnings(started))
    assert started.drill is not None
    os.chown(started.drill.env_file.path, 12345, 12345)
    (said,) = (line for line in late_warnings(started) if "belongs to" in line)
    assert "belongs to uid 12345: its settings are read, a command is never taken from it" in said
    assert started.record.facts["whose env file"] == said
    monkeypatch.setenv("DRILL_TRUSTED_DIRS", str(started.drill.env_file.path.parent))
    assert late_warnings(started) == [line for line in late_warnings(started) if "belongs to" not in line]

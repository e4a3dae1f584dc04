"""The comparison itself: a full outer join of two Parquet inventories, all at once or one partition of it.

Pure but for the file it writes, and repeatable: it may run here, or on any worker that sees the files.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from drill.errors import CannotMeasure

if TYPE_CHECKING:
    import duckdb

SUSPECTS = """
CREATE TEMP TABLE suspect AS SELECT DISTINCT coalesce(t.k, p.k) AS k
FROM (SELECT hash(s.id) AS k, hash(s.hash) AS c FROM read_parquet(?) s {where}) p
FULL OUTER JOIN (SELECT hash(s.id) AS k, hash(s.hash) AS c FROM read_parquet(?) s {where}) t ON p.k = t.k
WHERE p.c IS DISTINCT FROM t.c
"""
"""The first of two passes, over 16 bytes a document: what must be looked at. Whole texts spill six times as much.

A stale document is missed if the hashes of both its contents are one, of 64 bits; an orphan, if a document of the other
side has its id's hash and its content's. One that agrees is at most looked at for nothing.
"""
JOIN = """
COPY (
    WITH p AS (FROM read_parquet($1) s WHERE hash(s.id) IN (FROM suspect)),
         t AS (FROM read_parquet($2) s WHERE hash(s.id) IN (FROM suspect))
    SELECT DISTINCT t.id, CASE WHEN t.id IN (SELECT id FROM p) THEN 'stale' ELSE 'orphan' END AS kind,
           t.hash AS hash_target
    FROM t ANTI JOIN p ON t.id = p.id AND t.hash = p.hash
    UNION ALL
    SELECT DISTINCT p.id, 'missing', '' FROM p ANTI JOIN t ON p.id = t.id
    ORDER BY 1, 3
) TO '{delta}' (FORMAT parquet, COMPRESSION zstd)
"""
"""An id may stand on a side more than once: what agrees with one of the other side's is not stale."""
MERGE = "COPY (FROM read_parquet(?) ORDER BY 1, 3) TO '{delta}' (FORMAT parquet, COMPRESSION zstd)"
ROWS = "SELECT count(*) FROM read_parquet(?) s {where}"


@dataclass(frozen=True, slots=True)
class Room:
    """What DuckDB may use: megabytes of memory, threads, and a directory to spill to."""

    memory_limit_mb: int
    threads: int
    spill: str


@dataclass(frozen=True, slots=True)
class Partition:
    """Partition ``number`` of ``of``: the documents whose id has that remainder. Paths as every worker sees them."""

    primary: str
    target: str
    delta: str
    room: Room
    number: int = 0
    of: int = 1


def join(part: Partition) -> tuple[int, int]:
    """Write the delta of ``part`` (id, kind, hash_target; sorted) and return the documents read of each side.

    The file is there in whole or not at all, however often and wherever this runs. Without partitions nothing is
    counted: (0, 0). Raises CannotMeasure.
    """
    where = f"WHERE hash(s.id) % {part.of} = {part.number}" if part.of > 1 else ""
    scratch = f"{part.delta}.{os.getpid()}.tmp"
    files = [one_file(part.primary), one_file(part.target)]
    with duckdb_in(part.room) as duck:
        duck.execute(SUSPECTS.format(where=where), files)
        duck.execute(JOIN.format(delta=_quoted(scratch)), files)
        counts = [_rows(duck, where, file) if where else 0 for file in files]
    Path(scratch).replace(part.delta)
    return counts[0], counts[1]


def merge(deltas: list[str], delta: str, room: Room) -> None:
    """Write the deltas of all partitions as one sorted file, the same as if there had been none."""
    with duckdb_in(room) as duck:
        duck.execute(MERGE.format(delta=_quoted(delta)), [[one_file(path) for path in deltas]])


@contextmanager
def duckdb_in(room: Room) -> Iterator["duckdb.DuckDBPyConnection"]:
    """Open a DuckDB that keeps within ``room``. Raises CannotMeasure for whatever goes wrong in it."""
    import duckdb

    config: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": f"{room.memory_limit_mb}MB",
        "threads": str(room.threads),
        "temp_directory": room.spill,
        "preserve_insertion_order": "false",
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
    }
    try:
        with duckdb.connect(":memory:", config=config) as connection:
            connection.execute("SET enable_progress_bar = false")
            yield connection
    except duckdb.Error as error:
        raise CannotMeasure(
            f"comparison of the inventories: {type(error).__name__}; expected room for {room.memory_limit_mb} MB "
            "in memory and for the spill beside the artifacts, make room, then run again"
        ) from None


def one_file(path: Path | str) -> str:
    """Escape what DuckDB would take for a pattern."""
    return "".join(f"[{char}]" if char in "*?[" else char for char in str(path))


def _rows(duck: "duckdb.DuckDBPyConnection", where: str, file: str) -> int:
    row = duck.execute(ROWS.format(where=where), [file]).fetchone()
    return int(row[0]) if row else 0


def _quoted(path: str) -> str:
    return path.replace("'", "''")

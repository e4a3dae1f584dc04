"""A first pass that moves no documents: counts and checksums, by the target itself and of FAISS's inventory.

For each of 1,024 buckets of MD5(id, content hash): the number of documents, and the sum of the digests' first 64 bits
modulo 2^64. Equal counts *and* sums mean equal sets, but for a collision. A XOR in place of the sum would not see a
pair that is there twice (VECTORS.md section 2).
"""

from collections.abc import Callable, Iterator
from pathlib import Path

from drill.purge.budget import Budget
from drill.purge.join import Room, duckdb_in, one_file
from drill.purge.progress import Progress
from drill.target.base import Target

FIRST_PASS_FROM = 200_000
"""Documents of a tenant from which on the pass is worth its time: fewer are moved as fast."""
MODULUS = 1 << 64

Sums = dict[int, tuple[int, int]]
"""Bucket -> documents and sum."""
Chunk = list[tuple[int, int, int]]

LOCALLY = """
SELECT h >> 54, count(*), sum(h) FROM (
    SELECT ('0x' || substr(md5(strlen(id) || ':' || id || hash), 1, 16))::UBIGINT AS h FROM read_parquet(?)
) GROUP BY 1
"""
"""The same as ``checksums`` of a target computes."""


def on_target(target: Target, tenant: str, counted: int, budget: Budget, say: Callable[[str], None]) -> Sums | None:
    """Have the target sum up ``tenant``; ``None`` if it cannot, or has too few documents to be worth it.

    Raises TargetUnavailable, OverBudget.
    """
    chunks: Iterator[Chunk] | None = None
    if counted >= FIRST_PASS_FROM and (able := getattr(target, "checksums", None)) is not None:
        chunks = able(tenant)
    if chunks is None:
        return None
    progress = Progress(say, "summing up on the target", counted)
    sums: Sums = {}
    for chunk in chunks:
        budget.check()
        _add(sums, chunk)
        progress.add(sum(count for _, count, _ in chunk))
    return sums


def of_inventory(path: Path, room: Room) -> Sums:
    """Sum up an inventory. Raises CannotMeasure."""
    sums: Sums = {}
    with duckdb_in(room) as duck:
        _add(sums, duck.execute(LOCALLY, [one_file(path)]).fetchall())
    return sums


def _add(sums: Sums, chunk: Chunk) -> None:
    for bucket, count, total in chunk:
        documents, so_far = sums.get(int(bucket), (0, 0))
        sums[int(bucket)] = documents + int(count), (so_far + int(total)) % MODULUS

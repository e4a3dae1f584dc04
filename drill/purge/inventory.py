"""Write both inventories to Parquet, streaming: memory does not grow with the collection."""

import itertools
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from drill.errors import PrimaryUnreadable, TargetUnavailable
from drill.purge.budget import Budget
from drill.purge.model import Primary, silent
from drill.purge.progress import Progress
from drill.target.base import Pair, Target

READING_TARGET = "reading the target"
READING_FAISS = "reading FAISS"
ROW_GROUP = 50_000
"""Documents held in memory and written at once."""
RETRY_PAUSES_S = (0.05, 0.2, 0.5)


def write_primary(
    primary: Primary, tenant: str, path: Path, budget: Budget, say: Callable[[str], None] = silent
) -> int:
    """Write one whole snapshot of ``tenant`` and return its number of documents.

    What was read of a snapshot that turned out not to be whole is thrown away. Raises PrimaryUnreadable, OverBudget.
    """
    for pause_s in RETRY_PAUSES_S:
        try:
            return _write(primary.inventory(tenant), path, budget, Progress(say, READING_FAISS, None))
        except PrimaryUnreadable:
            budget.check()
            time.sleep(pause_s)
    return _write(primary.inventory(tenant), path, budget, Progress(say, READING_FAISS, None))


def write_target(
    target: Target, tenant: str, counted: int, path: Path, budget: Budget, say: Callable[[str], None] = silent
) -> int:
    """Write every document of ``tenant`` on the target; ``counted`` is what the target itself said just before.

    A scan that returns fewer is repeated once: documents may have been deleted in between.
    Raises TargetUnavailable, also if the scan stays short, and OverBudget.
    """
    written = _write(_flat(target, tenant), path, budget, Progress(say, READING_TARGET, counted))
    if written >= counted:
        return written
    counted = target.counts().get(tenant, 0)
    written = _write(_flat(target, tenant), path, budget, Progress(say, READING_TARGET, counted))
    if written < counted:
        raise TargetUnavailable(
            f"target scan of tenant {tenant!r}: {written} documents read, {counted} counted; expected the same, "
            "check the id column's index (REINDEX), then run again"
        )
    return written


def _flat(target: Target, tenant: str) -> Iterator[Pair]:
    return itertools.chain.from_iterable(target.scan(tenant))


def _write(pairs: Iterable[Pair], path: Path, budget: Budget, progress: Progress) -> int:
    import pyarrow as pa
    from pyarrow import parquet

    schema = pa.schema([("id", pa.string()), ("hash", pa.string())])
    rows = 0
    source = iter(pairs)
    with parquet.ParquetWriter(path, schema, compression="zstd", compression_level=1, use_dictionary=False) as writer:
        while block := list(itertools.islice(source, ROW_GROUP)):
            budget.check()
            ids, hashes = zip(*block, strict=True)
            writer.write_table(pa.table([pa.array(ids, pa.string()), pa.array(hashes, pa.string())], schema=schema))
            rows += len(block)
            progress.add(len(block))
    return rows

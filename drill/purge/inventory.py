"""Write both inventories to Parquet, streaming: memory does not grow with the collection."""

import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from drill.errors import PrimaryUnreadable, TargetUnavailable
from drill.purge.budget import Budget
from drill.purge.model import Primary, silent
from drill.purge.progress import Progress
from drill.target.base import Pair, Target

READING_TARGET = "reading the target"
READING_FAISS = "reading FAISS"
ROW_GROUP = 20_000
"""Documents held in memory and written at once."""
PAGE = 10_000
CODECS = {"id": "lz4", "hash": "none"}
"""Hexadecimal digits shrink under zstd alone, which takes as much of the processor as reading them from the target."""
RETRY_PAUSES_S = (0.05, 0.2, 0.5)


def write_primary(
    primary: Primary, tenant: str, path: Path, budget: Budget, say: Callable[[str], None] = silent
) -> int:
    """Write one whole snapshot of ``tenant`` and return its number of documents.

    What was read of a snapshot that turned out not to be whole is thrown away. Raises PrimaryUnreadable, OverBudget.
    """
    for pause_s in RETRY_PAUSES_S:
        try:
            return _write(_pages(primary.inventory(tenant)), path, budget, Progress(say, READING_FAISS, None))
        except PrimaryUnreadable:
            budget.check()
            time.sleep(pause_s)
    return _write(_pages(primary.inventory(tenant)), path, budget, Progress(say, READING_FAISS, None))


def write_target(
    target: Target, tenant: str, counted: int, path: Path, budget: Budget, say: Callable[[str], None] = silent
) -> int:
    """Write every document of ``tenant`` on the target; ``counted`` is what the target itself said just before.

    A scan that returns fewer is repeated once: documents may have been deleted in between.
    Raises TargetUnavailable, also if the scan stays short, and OverBudget.
    """
    written = _write(target.scan(tenant), path, budget, Progress(say, READING_TARGET, counted))
    if written >= counted:
        return written
    counted = target.counts().get(tenant, 0)
    written = _write(target.scan(tenant), path, budget, Progress(say, READING_TARGET, counted))
    if written < counted:
        raise TargetUnavailable(
            f"target scan of tenant {tenant!r}: {written} documents read, {counted} counted; expected the same, "
            "check the id column's index (REINDEX), then run again"
        )
    return written


def write_pairs(pairs: Iterator[Pair], path: Path, budget: Budget) -> int:
    """Write ``pairs`` and return how many they were. Raises what ``pairs`` raises, and OverBudget."""
    return _write(_pages(pairs), path, budget, Progress(silent, READING_FAISS, None))


def _pages(pairs: Iterator[Pair]) -> Iterator[Sequence[Pair]]:
    while page := list(itertools.islice(pairs, PAGE)):
        yield page


def _write(pages: Iterable[Sequence[Pair]], path: Path, budget: Budget, progress: Progress) -> int:
    """Write ``pages``; while one thread compresses a row group, the other one reads on."""
    import pyarrow as pa
    from pyarrow import parquet

    schema = pa.schema([("id", pa.string()), ("hash", pa.string())])
    rows = 0
    with (
        parquet.ParquetWriter(path, schema, compression=CODECS, use_dictionary=False, write_statistics=False) as writer,
        ThreadPoolExecutor(1, thread_name_prefix="inventory") as compressor,
    ):
        writing: Future[None] | None = None
        for group in _groups(pages, schema):
            budget.check()
            if writing is not None:
                writing.result()
            writing = compressor.submit(writer.write_table, group)
            rows += len(group)
            progress.add(len(group))
        if writing is not None:
            writing.result()
    return rows


def _groups(pages: Iterable[Sequence[Pair]], schema: Any) -> Iterator[Any]:
    """Put pages together to tables of ROW_GROUP documents, or up to a page more."""
    import pyarrow as pa

    group: list[Any] = []
    for page in pages:
        group.append(_columns(page, schema))
        if sum(map(len, group)) >= ROW_GROUP:
            yield pa.Table.from_batches(group)
            group = []
    if group:
        yield pa.Table.from_batches(group)


def _columns(page: Sequence[Pair], schema: Any) -> Any:
    """Return ``page`` by columns, at once: a page later its texts are no longer in the processor's cache.

    zip(*page) makes a call with 10,000 arguments, which costs many times as much as the two lists.
    """
    import pyarrow as pa

    columns = ([pair[0] for pair in page], [pair[1] for pair in page])
    return pa.record_batch([pa.array(column, pa.string()) for column in columns], schema=schema)

"""Stream the rows of a manifest: NDJSON or Parquet with each document's id and content hash, and perhaps its tenant.

A list of documents is only of use if it is known to be whole. A Parquet file ends with its footer and states its rows.
An NDJSON file that stands alone must end with a line ``{"documents": <number of rows>}``; beside an index, the index
says how many there are.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from drill.document_id import id_text
from drill.words import count

ROWS = 10_000


class DamagedManifest(Exception):  # noqa: N818 - a finding, named by its caller
    """The message is a clause that follows the file's name, and quotes nothing."""


@dataclass(frozen=True, slots=True)
class Row:
    """One document of a manifest. ``tenant`` is empty where the manifest has none."""

    id: str
    hash: str
    tenant: str = ""


def iter_rows(file: BinaryIO, *, parquet: bool, counted: bool) -> Iterator[Row]:
    """Yield every row. ``counted``: an NDJSON file must end with its count. Raises DamagedManifest."""
    file.seek(0)
    rows = _parquet(file) if parquet else _ndjson(file, counted=counted)
    for number, (value, stated, tenant) in enumerate(rows):
        key = id_text(value)
        if not key:
            raise DamagedManifest(f"has no id (a text that is not empty, or a number) in row {number}")
        if not isinstance(stated, str) or not stated:
            raise DamagedManifest(f"has no content_hash in row {number}")
        yield Row(key, stated.lower(), tenant if isinstance(tenant, str) else "")


def _ndjson(file: BinaryIO, *, counted: bool) -> Iterator[tuple[object, object, object]]:
    rows, stated = 0, None
    for line in file:
        if stated is not None:
            raise DamagedManifest("goes on after its count")
        if not line.endswith(b"\n"):
            raise DamagedManifest("is cut off in its last line")
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            raise DamagedManifest(f"is not valid JSON in line {rows + 1}") from None
        if not isinstance(row, dict):
            raise DamagedManifest(f"has something other than an object in line {rows + 1}")
        if "documents" in row and "id" not in row:
            stated = row["documents"]
            continue
        rows += 1
        yield row.get("id"), row.get("content_hash"), row.get("tenant")
    if stated is None and counted:
        raise DamagedManifest('does not end with its count, {"documents": ...}: nothing shows that it is whole')
    if stated is not None and stated != rows:
        raise DamagedManifest(
            f"holds {count(rows, 'row')}, its last line says {stated if isinstance(stated, int) else 'else'}"
        )


def _parquet(file: BinaryIO) -> Iterator[tuple[object, object, object]]:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        # pre_buffer would hold the whole file in memory.
        table = parquet.ParquetFile(file, pre_buffer=False)
        names = table.schema_arrow.names
        missing = [name for name in ("id", "content_hash") if name not in names]
        if missing:
            raise DamagedManifest(f"has no column {missing[0]!r}")
        wanted = [name for name in ("id", "content_hash", "tenant") if name in names]
        for batch in table.iter_batches(ROWS, columns=wanted):
            columns = [batch.column(name).to_pylist() for name in wanted]
            columns += [[None] * len(columns[0])] * (3 - len(columns))
            yield from zip(*columns, strict=True)
    except (pa.ArrowInvalid, OSError, pa.ArrowException):
        raise DamagedManifest("is not a whole Parquet file") from None

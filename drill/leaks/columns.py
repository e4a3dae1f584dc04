"""The texts in Parquet files, which are compressed: only those that may hold a secret, a batch at a time.

RE2, which comes with pyarrow, looks through a column for all secrets at once (some 500 MB a second); what it lets
through is then looked at closely. Numbers, and so vectors, are not read.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from drill.foreign import opened

MAGIC = b"PAR1"
BATCH_BYTES = 8 * 1024 * 1024
"""Uncompressed bytes that are held in memory at once, about."""
_ANCHOR = re.compile(r"[A-Za-z0-9]{4,}")
"""What no escaping of JSON, HTML or URLs changes."""


def is_parquet(path: Path) -> bool:
    """Whether the file says that it is Parquet. Raises ``OSError`` if it cannot be read."""
    with opened(path) as file:
        return file.read(len(MAGIC)) == MAGIC


def pattern_of(value: str, base64: Sequence[str]) -> str:
    """Return a pattern that is in every disguise of ``value``; empty if there is none: it has no run of letters."""
    anchor = max(_ANCHOR.findall(value), key=len, default="")
    return "|".join(re.escape(text) for text in (anchor, *base64)) if anchor else ""


def texts(path: Path, pattern: str) -> Iterator[str]:
    """Yield the texts of ``path`` that match ``pattern`` (empty: all), batch by batch joined with line feeds.

    Raises ``OSError`` if the file is damaged: what cannot be read is not clean.
    """
    import pyarrow as pa
    from pyarrow import parquet

    try:
        # pre_buffer would hold the whole file in memory (VECTORS.md section 2).
        with parquet.ParquetFile(path, pre_buffer=False, buffer_size=1 << 20) as file:
            yield "\n".join(_words_of(file.schema_arrow))
            names = [field.name for field in file.schema_arrow if _holds_text(field.type)]
            for batch in file.iter_batches(_rows(file.metadata), columns=names):
                yield from (text for column in batch.columns for text in _matching(column, pattern))
    except (pa.ArrowException, ValueError) as error:
        raise OSError(0, f"{path.name} is not a whole Parquet file ({type(error).__name__})") from None


def _words_of(schema: Any) -> Iterator[str]:
    yield from schema.names
    for key, value in (schema.metadata or {}).items():
        yield f"{key.decode('utf-8', 'replace')} {value.decode('utf-8', 'replace')}"


def _rows(metadata: Any) -> int:
    size = sum(int(metadata.row_group(number).total_byte_size) for number in range(metadata.num_row_groups))
    return max(1, min(50_000, BATCH_BYTES * int(metadata.num_rows) // max(1, size)))


def _holds_text(kind: Any) -> bool:
    from pyarrow import types

    if types.is_nested(kind):
        return any(_holds_text(kind.field(number).type) for number in range(kind.num_fields))
    if types.is_dictionary(kind):
        return _holds_text(kind.value_type)
    return not (types.is_primitive(kind) or types.is_decimal(kind) or types.is_null(kind))


def _matching(column: Any, pattern: str) -> Iterator[str]:
    """Yield the texts of one column in one batch, those that match."""
    import pyarrow as pa
    import pyarrow.compute as pc
    from pyarrow import types

    if types.is_dictionary(column.type):
        column = column.dictionary
    plain = (types.is_string, types.is_large_string, types.is_binary, types.is_large_binary)
    if not any(is_plain(column.type) for is_plain in plain):
        column = pa.array([str(value) for value in column.to_pylist()], pa.string())
    if pattern:
        column = column.filter(pc.match_substring_regex(column, pattern))
    values = (value for value in column.to_pylist() if value is not None)
    joined = "\n".join(v.decode("utf-8", "surrogateescape") if isinstance(v, bytes) else str(v) for v in values)
    if joined:
        yield joined

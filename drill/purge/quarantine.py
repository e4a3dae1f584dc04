"""What a purge deletes, kept: Parquet parts that are complete and on disk before the delete.

The name of a part carries its state, so that the directory alone tells what a killed purge had done: ``*.tmp`` never
counts; ``part-N.SHA.pending.parquet`` is complete and its documents *may* be deleted; ``part-N.SHA.parquet`` holds
exactly the documents that were seen to be gone. ``SHA`` is the first half of the file's SHA-256. ``manifest.json``
describes the origin, and the parts once a purge has ended.
"""

import hashlib
import json
import os
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drill.errors import CannotMeasure
from drill.foreign import ForeignError, read_whole
from drill.plain_file import held_directory, write_whole
from drill.target.base import Row, Target
from drill.target.control import control_of, look_up

SCHEMA_VERSION = 1
VECTORS = "float32, little endian, one after the other"
PENDING = ".pending.parquet"
DONE = ".parquet"
MANIFEST = "manifest.json"
INSIDE = 3
"""Directories of the drill's own that lead to a quarantine or a plan: drills/<drill>/quarantine."""
MAX_PART = 4 << 30
"""Bytes of a part that are read at most; one holds a batch of documents."""
_NAME = re.compile(r"part-(\d{6,9})\.([0-9a-f]{32})(?:\.pending)?\.parquet", re.ASCII)
_COLUMNS = {"tenant": "string", "id": "string", "hash": "string", "vector": "binary", "payload": "string"}


@dataclass(frozen=True, slots=True)
class Part:
    """One part file; ``pending`` until its documents were seen to be gone."""

    number: int
    path: Path
    sha256: str
    rows: int
    tenant: str

    @property
    def pending(self) -> bool:
        """Whether the delete was not seen to have happened."""
        return self.path.name.endswith(PENDING)


class DamagedPart(CannotMeasure):
    """A part is not what its name says it is."""


class Quarantine:
    """A quarantine directory, 0700, its files 0600: it holds documents."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._next = 1

    def open(self) -> None:
        """Create the directory, clear away what never became a part, and number on from what is there."""
        with held_directory(self.folder, INSIDE):
            pass
        for scrap in self.folder.glob("*.tmp"):
            scrap.unlink()
        self._next = max((_number(path) for path in part_paths(self.folder)), default=0) + 1

    def put(self, tenant: str, rows: Sequence[Row]) -> Part:
        """Write ``rows`` as a pending part, durable on return. Raises OSError: then nothing may be deleted."""
        part = self._write(self._next, tenant, rows, PENDING)
        self._next += 1
        return part

    def confirm(self, part: Part, rows: Sequence[Row], gone: Collection[Row]) -> Part | None:
        """Make ``part``, which holds ``rows``, the record of ``gone``: rename it, or write it anew if some are not.

        A rename that a power cut takes back leaves the part pending, and the next run finds again what is gone.
        """
        if len(gone) == len(rows):
            done = part.path.with_name(part.path.name.removesuffix(PENDING) + DONE)
            part.path.rename(done)
            return Part(part.number, done, part.sha256, part.rows, part.tenant)
        kept = self._write(part.number, part.tenant, list(gone), DONE) if gone else None
        part.path.unlink()
        _sync(self.folder)
        return kept

    def settle(self, target: Target) -> int:
        """Finish what a killed purge left pending: keep what is gone, drop what is there (the next plan finds it).

        Returns the number of documents that turned out to be gone.
        """
        settled = 0
        for path in [path for path in part_paths(self.folder) if path.name.endswith(PENDING)]:
            part, rows = read_part(path)
            there = look_up(target, part.tenant, [row.id for row in rows], control_of(target, part.tenant))
            gone = [row for row in rows if row.pair not in there]
            self.confirm(part, rows, gone)
            settled += len(gone)
        return settled

    def write_manifest(self, origin: Mapping[str, str], plan_digest: str) -> None:
        """Write ``manifest.json`` from the parts there are."""
        parts = []
        for path in part_paths(self.folder):
            part, rows = read_part(path)
            dims = sorted({len(row.vector) // 4 for row in rows if row.vector is not None})
            state = "pending" if part.pending else "deleted"
            entry = {"file": path.name, "tenant": part.tenant, "rows": part.rows, "dims": dims, "state": state}
            parts.append({**entry, "sha256": part.sha256})
        manifest = {
            "schema": SCHEMA_VERSION,
            "origin": dict(origin),
            "plan_digest": plan_digest,
            "vectors": VECTORS,
            "tenants": _tenants(parts),
            "dims": sorted({dim for entry in parts for dim in entry["dims"]}),  # type: ignore[attr-defined]
            "parts": parts,
        }
        write_durably(self.folder / MANIFEST, json.dumps(manifest, indent=1, ensure_ascii=True).encode())

    def _write(self, number: int, tenant: str, rows: Sequence[Row], suffix: str) -> Part:
        content = _encode(tenant, rows)
        digest = hashlib.sha256(content).hexdigest()
        path = self.folder / f"part-{number:06d}.{digest[:32]}{suffix}"
        write_durably(path, content)
        return Part(number, path, digest, len(rows), tenant)


def part_paths(folder: Path) -> list[Path]:
    """Return the parts of a quarantine, pending and done, in the order they were written."""
    return sorted(folder.glob("part-*.parquet"))


def read_part(path: Path) -> tuple[Part, list[Row]]:
    """Read a part and check it against its name. Raises DamagedPart."""
    import pyarrow as pa
    from pyarrow import parquet

    try:
        content = read_whole(path, MAX_PART)
        digest = hashlib.sha256(content).hexdigest()
        _check_name(path, digest)
        table = parquet.read_table(pa.BufferReader(content))
        tenant, rows = _decode(table)
    except (pa.ArrowException, ValueError, OSError) as error:  # a text that is no UTF-8 is a ValueError
        why = str(error) if isinstance(error, ForeignError) else type(error).__name__
        raise DamagedPart(f"quarantine part {path.name}: damaged, {why}") from None
    return Part(_number(path), path, digest, len(rows), tenant), rows


def _check_name(path: Path, digest: str) -> None:
    name = _NAME.fullmatch(path.name)
    if name is None or digest[:32] != name[2]:
        raise ForeignError("its SHA-256 is not the one in its name; restore the file")


def _encode(tenant: str, rows: Sequence[Row]) -> bytes:
    import pyarrow as pa
    from pyarrow import parquet

    table = pa.table(
        {
            "tenant": pa.array([tenant] * len(rows), pa.string()),
            "id": pa.array([row.id for row in rows], pa.string()),
            "hash": pa.array([row.hash for row in rows], pa.string()),
            "vector": pa.array([row.vector for row in rows], pa.binary()),
            "payload": pa.array([row.payload for row in rows], pa.string()),
        }
    ).replace_schema_metadata({"rollback_drill.quarantine": str(SCHEMA_VERSION)})
    sink = pa.BufferOutputStream()
    # Compressed, a vector shrinks by a sixth, and takes longer than its delete; so does a list of its components.
    codecs = dict.fromkeys(table.column_names, "zstd") | {"vector": "none"}
    parquet.write_table(table, sink, compression=codecs, use_dictionary=["tenant"], write_statistics=False)
    content: bytes = sink.getvalue().to_pybytes()
    return content


def _decode(table: Any) -> tuple[str, list[Row]]:
    """Return tenant and documents. Raises `ForeignError` for a table that a purge has not written."""
    if table.schema.names != [*_COLUMNS] or [str(kind) for kind in table.schema.types] != [*_COLUMNS.values()]:
        raise ForeignError("not the columns of a quarantine")
    columns = (table.column(name).to_pylist() for name in ("id", "hash", "vector", "payload"))
    rows = [Row(*row) for row in zip(*columns, strict=True)]
    tenants = table.column("tenant").unique().to_pylist()
    if len(tenants) != 1 or tenants[0] is None or any(row.id is None for row in rows):
        raise ForeignError("documents without an id, or of more than one tenant")
    return str(tenants[0]), rows


def _number(path: Path) -> int:
    name = _NAME.fullmatch(path.name)
    return int(name[1]) if name else 0


def _tenants(parts: Sequence[Mapping[str, object]]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for part in parts:
        tenant = str(part["tenant"])
        counts[tenant] = counts.get(tenant, 0) + int(str(part["rows"]))
    return counts


def write_durably(path: Path, content: bytes) -> None:
    """Write, fsync, rename, fsync the directory, read back. Raises OSError."""
    write_whole(path, content, inside=INSIDE)
    if path.read_bytes() != content:
        raise OSError(f"{path.name} reads back differently")


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

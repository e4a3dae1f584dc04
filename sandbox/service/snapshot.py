"""One tenant's FAISS snapshot on disk: ``index.faiss`` and ``docs.json``, row i of one is vector i of the other.

Both files are replaced by rename, under an exclusive lock of the tenant's directory; a reader takes the lock shared.
``docs.json`` has one document a line, so that a reader parses only the lines it does not know yet.
"""

import fcntl
import json
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sandbox.content import Document
from sandbox.service.errors import SnapshotError

if TYPE_CHECKING:
    from sandbox.embedding import Vectors

INDEX = "index.faiss"
DOCS = "docs.json"
Stamp = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A consistent pair in memory. ``rows`` maps an id to its row; ``lines`` is ``docs.json`` line by line."""

    documents: list[Document]
    lines: list[bytes]
    vectors: "Vectors"
    index: Any
    rows: dict[str, int]
    stamp: Stamp


def make(documents: Sequence[Document], vectors: "Vectors") -> Snapshot:
    """Return a snapshot that is not on disk yet."""
    lines = [encode(document) for document in documents]
    return _assemble(list(documents), lines, vectors, (0, 0, 0, 0))


def encode(document: Document) -> bytes:
    """Return the document as one line of JSON."""
    return json.dumps({"id": document.id, "text": document.text, "meta": dict(document.meta)}).encode()


def _decode(line: bytes) -> Document:
    value = json.loads(line)
    return Document(value["id"], value["text"], value["meta"])


def _assemble(documents: list[Document], lines: list[bytes], vectors: "Vectors", stamp: Stamp) -> Snapshot:
    import faiss

    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(vectors)
    rows = {document.id: row for row, document in enumerate(documents)}
    return Snapshot(documents, lines, vectors, index, rows, stamp)


@contextmanager
def locked(directory: Path, *, exclusive: bool) -> Iterator[None]:
    """Hold the lock of a tenant's directory; raise ``SnapshotError`` if the directory is gone."""
    try:
        handle = os.open(directory, os.O_RDONLY)
    except OSError:
        raise SnapshotError(f"no FAISS snapshot for tenant {directory.name}") from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH)
        yield
    finally:
        os.close(handle)


def stamp(directory: Path) -> Stamp:
    """Return what changes whenever the pair does; raise ``SnapshotError`` if a file is missing."""
    try:
        index, docs = (directory / INDEX).stat(), (directory / DOCS).stat()
    except OSError:
        raise SnapshotError(f"no FAISS snapshot for tenant {directory.name}") from None
    return index.st_ino, index.st_mtime_ns, docs.st_ino, docs.st_mtime_ns


def read(directory: Path, known: Mapping[bytes, Document]) -> Snapshot:
    """Read the pair; the caller holds the lock. Raise ``SnapshotError`` if it is damaged or does not match."""
    import faiss

    before = stamp(directory)
    try:
        index = faiss.read_index(str(directory / INDEX))
        lines = _lines((directory / DOCS).read_bytes())
        documents = [known.get(line) or _decode(line) for line in lines]
    except (OSError, RuntimeError, ValueError, KeyError) as error:
        kind = type(error).__name__
        raise SnapshotError(f"FAISS snapshot of tenant {directory.name} cannot be read ({kind})") from None
    if index.ntotal != len(documents):
        raise SnapshotError(f"tenant {directory.name}: {index.ntotal} vectors but {len(documents)} documents")
    vectors = index.reconstruct_n(0, index.ntotal)
    rows = {document.id: row for row, document in enumerate(documents)}
    return Snapshot(documents, lines, vectors, index, rows, before)


def _lines(raw: bytes) -> list[bytes]:
    body = raw.strip()
    if not (body.startswith(b"[") and body.endswith(b"]")):
        raise ValueError("docs.json is not a JSON array")
    return [line.strip().removesuffix(b",") for line in body[1:-1].splitlines() if line.strip()]


def write(directory: Path, snapshot: Snapshot) -> Snapshot:
    """Replace the pair on disk, durably; the caller holds the lock. Return the snapshot with its new stamp."""
    import faiss

    index, docs = directory / f".{INDEX}.new", directory / f".{DOCS}.new"
    faiss.write_index(snapshot.index, str(index))
    docs.write_bytes(b"[\n" + b",\n".join(snapshot.lines) + b"\n]\n")
    for path in (index, docs):
        _fsync(path)
    docs.rename(directory / DOCS)
    index.rename(directory / INDEX)
    _fsync(directory)
    return Snapshot(
        snapshot.documents, snapshot.lines, snapshot.vectors, snapshot.index, snapshot.rows, stamp(directory)
    )


def _fsync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def without(old: Snapshot, ids: Collection[str]) -> Snapshot:
    """Return ``old`` less the documents of ``ids``."""
    rows = [row for row, document in enumerate(old.documents) if document.id not in ids]
    if len(rows) == len(old.documents):
        return old
    return _assemble(
        [old.documents[row] for row in rows], [old.lines[row] for row in rows], old.vectors[rows], old.stamp
    )


def merge(old: Snapshot, documents: Sequence[Document], vectors: "Vectors") -> Snapshot:
    """Return ``old`` with ``documents`` in it: a known id keeps its row, a new one is appended."""
    import numpy as np

    merged, lines, rows = list(old.documents), list(old.lines), dict(old.rows)
    for document in documents:
        row = rows.setdefault(document.id, len(merged))
        merged[row : row + 1] = [document]
        lines[row : row + 1] = [encode(document)]
    matrix = np.concatenate(
        [old.vectors, np.zeros((len(merged) - len(old.documents), old.vectors.shape[1]), np.float32)]
    )
    matrix[[rows[document.id] for document in documents]] = vectors
    return _assemble(merged, lines, matrix, old.stamp)

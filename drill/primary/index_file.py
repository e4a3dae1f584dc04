"""Facts of a FAISS index file, read from its header: milliseconds, and faiss itself stays unloaded for flat indexes.

The layout is that of faiss' ``index_write.cpp`` (little endian): fourcc, ``int32`` d, ``int64`` ntotal, two unused
``int64``, ``uint8`` is_trained, ``int32`` metric, and a ``float32`` metric argument if the metric is neither inner
product nor L2. A flat index goes on with the number of ``float32`` components as ``uint64`` and the components. An
``IndexIDMap`` wraps another index and ends with its ids: their number as ``uint64``, then ``int64`` each.
"""

import math
import os
import struct
import sys
from array import array
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

HEADER = struct.Struct("<4siqqqBi")
METRIC_ARGUMENT_SIZE = 4
COUNT = struct.Struct("<Q")
FLAT = {b"IxFI": "flat (inner product)", b"IxF2": "flat (L2)", b"IxFl": "flat"}
ID_MAPS = {b"IxMp": "IDMap", b"IxM2": "IDMap2"}
BINARY = b"IB"
"""How all binary indexes begin; their header is another."""
MAX_DIMENSION = 1 << 20
LOOKED_AT = 64
"""Vectors, spread over the whole index, that are looked at: whether they are numbers, and not all zero."""


class DamagedIndex(Exception):  # noqa: N818 - a finding, named by its caller
    """The index file is not what its own header promises. The message is a clause that follows the file's name."""


@dataclass(frozen=True, slots=True)
class IndexHeader:
    """What the first bytes of an index say."""

    fourcc: bytes
    dimension: int
    vectors: int
    is_trained: bool


@dataclass(frozen=True, slots=True)
class IndexFile:
    """A structurally sound index: number of vectors, their dimension and the kind in words.

    ``vectors_at``: where in the file its vectors begin, float32 one after another; None in a kind that changes them.
    ``needs``: files beside it without which it answers nothing. ``unchecked``: what could not be looked at.
    ``useless``: why a sound index is of no use.
    """

    vectors: int
    dimension: int
    kind: str
    vectors_at: int | None = None
    needs: tuple[Path, ...] = ()
    unchecked: str = ""
    useless: str = ""


def read_index_file(file: BinaryIO, size: int, path: Path) -> IndexFile:
    """Check the index in ``file`` (``size`` bytes) and return its facts.

    ``path`` is only used for kinds whose header alone does not tell the length: faiss looks at those.
    Raises DamagedIndex, and CannotMeasure if no look could be had.
    """
    if _begins(file, BINARY):
        return _by_faiss(file, path)
    outer = _header(file)
    if outer.fourcc in FLAT:
        start = _check_flat(file, outer)
        _check_end(file, size)
        return IndexFile(outer.vectors, outer.dimension, FLAT[outer.fourcc], start)
    if outer.fourcc in ID_MAPS:
        inner = _header(file)
        if inner.fourcc in FLAT:
            return _id_map(file, size, outer, inner)
    return _by_faiss(file, path)


def _id_map(file: BinaryIO, size: int, outer: IndexHeader, inner: IndexHeader) -> IndexFile:
    if (inner.vectors, inner.dimension) != (outer.vectors, outer.dimension):
        raise DamagedIndex(f"maps {outer.vectors} ids onto {inner.vectors} vectors")
    start = _check_flat(file, inner)
    ids = _count(file)
    if ids != outer.vectors:
        raise DamagedIndex(f"maps {ids} ids onto {outer.vectors} vectors")
    file.seek(ids * 8, 1)
    _check_end(file, size)
    return IndexFile(outer.vectors, outer.dimension, f"{ID_MAPS[outer.fourcc]}, {FLAT[inner.fourcc]}", start)


def useless_vectors(file: BinaryIO, index: IndexFile) -> str:
    """Look at some vectors of a kind that keeps them as they were; say so if most of them are none, else nothing."""
    if index.vectors_at is None or not index.vectors:
        return index.useless
    rows = sorted({number * index.vectors // LOOKED_AT for number in range(LOOKED_AT)})
    bad = sum(not _usable(read_vector(file, index.vectors_at, row, index.dimension)) for row in rows)
    return f"{bad} of {len(rows)} vectors looked at are all zero or not finite" if 2 * bad > len(rows) else ""


def read_vector(file: BinaryIO, start: int, row: int, dimension: int) -> bytes:
    """Return the vector of ``row``, float32 little endian; ``start`` is where the first one begins."""
    file.seek(start + row * dimension * 4)
    return file.read(dimension * 4)


def _usable(raw: bytes) -> bool:
    components = array("f", raw[: len(raw) & ~3])
    if sys.byteorder == "big":
        components.byteswap()
    return any(components) and all(map(math.isfinite, components))


def _begins(file: BinaryIO, mark: bytes) -> bool:
    """Whether ``file`` begins with ``mark``; it is read from its beginning again afterwards."""
    found = file.read(len(mark))
    file.seek(0)
    return found == mark


def _header(file: BinaryIO) -> IndexHeader:
    raw = _read(file, HEADER.size)
    fourcc, dimension, vectors, _, _, is_trained, metric = HEADER.unpack(raw)
    if metric > 1:
        _read(file, METRIC_ARGUMENT_SIZE)
    if not fourcc.isalnum():
        raise DamagedIndex("does not begin like a FAISS index")
    if not 0 < dimension <= MAX_DIMENSION or vectors < 0 or is_trained > 1:
        raise DamagedIndex(f"has an impossible header (dimension {dimension}, {vectors} vectors)")
    if not is_trained:
        raise DamagedIndex("is not trained")
    return IndexHeader(fourcc, dimension, vectors, bool(is_trained))


def _check_flat(file: BinaryIO, header: IndexHeader) -> int:
    """Go past the vectors and return where they begin."""
    components = _count(file)
    expected = header.vectors * header.dimension
    if components != expected:
        raise DamagedIndex(f"holds {components} components, its header promises {expected}")
    start = file.tell()
    file.seek(components * 4, 1)
    return start


def _check_end(file: BinaryIO, size: int) -> None:
    if file.tell() > size:
        raise DamagedIndex(f"is cut off: {size} bytes, its header promises at least {file.tell()}")
    if file.tell() < size:
        raise DamagedIndex(f"has {size - file.tell()} bytes after its end")


def _count(file: BinaryIO) -> int:
    (count,) = COUNT.unpack(_read(file, COUNT.size))
    return int(count)


def _read(file: BinaryIO, size: int) -> bytes:
    raw = file.read(size)
    if len(raw) < size:
        raise DamagedIndex("is cut off in its header")
    return raw


def _by_faiss(file: BinaryIO, path: Path) -> IndexFile:
    from drill.primary.other_kinds import look_with_faiss

    found = look_with_faiss(path)
    if not _same(file, path):
        raise DamagedIndex("was replaced while it was read")
    if damaged := found.get("damaged"):
        raise DamagedIndex(damaged)
    if not found["trained"]:
        raise DamagedIndex("is not trained")
    kind = ", ".join(filter(None, (found["kind"], found.get("opaque"))))
    needs, useless = tuple(map(Path, found["needs"])), found.get("useless", "")
    return IndexFile(found["vectors"], found["dimension"], kind, None, needs, found["unchecked"], useless)


def _same(file: BinaryIO, path: Path) -> bool:
    """Whether ``path`` still leads to the file that was opened."""
    one, other = os.fstat(file.fileno()), path.stat()
    return (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)

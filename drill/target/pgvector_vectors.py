"""Vectors as pgvector sends them in binary, turned into float32 without an object for each component."""

from array import array
from collections.abc import Callable
from typing import Any

import psycopg
from psycopg.types.string import ByteaBinaryLoader

VECTOR_TYPES = ("vector", "halfvec")
HEADER = 4
"""Bytes before the components: the dimension and a spare field, 16 bits each. The components are big endian."""


def undecoded(cursor: psycopg.Cursor[Any]) -> psycopg.Cursor[Any]:
    """Return ``cursor``, which hands vectors over as they came: an object for each costs more than the query."""
    for name in VECTOR_TYPES:
        if kind := cursor.adapters.types.get(name):
            cursor.adapters.register_loader(kind.oid, ByteaBinaryLoader)
    return cursor


def float32(vector_type: str) -> Callable[[bytes | None], bytes | None]:
    """Return what turns a vector of this type into float32, little endian; None stays None."""
    return _from_float16 if vector_type.endswith("halfvec") else _from_float32


def _from_float32(sent: bytes | None) -> bytes | None:
    """Swap bytes where they are: with numpy, the copies of a batch take six times as long."""
    if sent is None:
        return None
    floats = array("f", sent[HEADER:])
    floats.byteswap()
    return floats.tobytes()


def _from_float16(sent: bytes | None) -> bytes | None:
    """Widen, exactly: every float16 is a float32."""
    import numpy as np

    return None if sent is None else np.frombuffer(sent, ">f2", offset=HEADER).astype("<f4").tobytes()

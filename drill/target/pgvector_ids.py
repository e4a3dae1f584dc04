"""Which ids a column of a given type can hold, written exactly so: a cast would fail, or find another document."""

import uuid
from collections.abc import Collection
from contextlib import suppress

from drill.document_id import as_whole

WHOLE_BITS = {"smallint": 16, "integer": 32, "bigint": 64}


def possible(id_type: str, ids: Collection[str]) -> list[str]:
    """Return those of ``ids`` that a column of ``id_type`` prints as they are: ``007`` is no number, ``7`` is one."""
    if id_type in WHOLE_BITS:
        return [key for key in ids if _fits(key, WHOLE_BITS[id_type])]
    if id_type == "uuid":
        return [key for key in ids if _is_uuid(key)]
    return [key for key in ids if "\0" not in key]


def _fits(key: str, bits: int) -> bool:
    number = as_whole(key)
    return number is not None and -(1 << bits - 1) <= number < 1 << bits - 1


def _is_uuid(key: str) -> bool:
    with suppress(ValueError):
        return str(uuid.UUID(key)) == key
    return False

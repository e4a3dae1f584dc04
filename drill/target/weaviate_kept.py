"""What of a Weaviate object a quarantine keeps, and how it goes back."""

import datetime as dt
import uuid
from collections.abc import Mapping
from typing import Any

from drill.document_id import EXACT
from drill.errors import CannotMeasure
from drill.target import fields
from drill.target.base import Row


def vectors_of(row: Row, saved: Mapping[str, Any]) -> Any:
    """Return the vectors of an object as they are written back."""
    return saved["vectors"] if row.vector is None else fields.bytes_to_floats(row.vector)


def kept(value: Any) -> Any:
    """Return a property's value as JSON holds it and Weaviate takes it back. Raises TypeError."""
    if isinstance(value, dt.datetime):
        return value.isoformat()
    if isinstance(value, uuid.UUID):
        return str(value)
    if isinstance(value, list | tuple):
        return [kept(item) for item in value]
    if isinstance(value, dict):
        return {name: kept(item) for name, item in value.items()}
    if isinstance(value, int) and abs(value) > EXACT:
        raise TypeError  # the client writes every number as a floating point one
    if isinstance(value, str | int | float | bool | None):
        return value
    raise TypeError


def kept_id(value: Any) -> Any:
    """Return a property's value as an id is made of it."""
    return str(value) if isinstance(value, uuid.UUID) else value


def not_kept(what: str) -> CannotMeasure:
    """Return what to say when a collection has ``what``."""
    return CannotMeasure(
        f"target weaviate: the collection has {what}, which the quarantine cannot keep; nothing is deleted without "
        "being kept, purge this collection by hand"
    )

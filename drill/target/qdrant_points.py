"""A document as one of Qdrant's points, and the names of points."""

import uuid
from typing import TYPE_CHECKING, Any

from drill.errors import CannotMeasure
from drill.target import fields
from drill.target.base import Row

if TYPE_CHECKING:
    from qdrant_client import models

NAMESPACES = {
    "dns": uuid.NAMESPACE_DNS,
    "url": uuid.NAMESPACE_URL,
    "oid": uuid.NAMESPACE_OID,
    "x500": uuid.NAMESPACE_X500,
}


def to_point(row: Row) -> "models.PointStruct":
    """Return the point that ``row`` was exported from."""
    from qdrant_client import models

    parts = fields.from_payload(row.payload)
    vector = parts["vectors"] if row.vector is None else fields.bytes_to_floats(row.vector)
    return models.PointStruct(id=parts["point"], payload=parts["payload"], vector={} if vector is None else vector)


def as_json(vector: Any) -> Any:
    """Return named, sparse and multi-vectors as JSON holds them."""
    if isinstance(vector, dict):
        return {name: as_json(one) for name, one in vector.items()}
    return vector.model_dump() if hasattr(vector, "model_dump") else vector


def namespace(name: str) -> uuid.UUID:
    """Return the namespace of ``uuid5_namespace``. Raises CannotMeasure."""
    try:
        return NAMESPACES.get(name.lower()) or uuid.UUID(name)
    except ValueError:
        raise CannotMeasure(
            f"[target] uuid5_namespace: seen {name!r}, expected a UUID or one of {', '.join(NAMESPACES)}"
        ) from None

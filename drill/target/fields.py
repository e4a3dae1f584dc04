"""A document as a target without columns holds it: named fields around a vector."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, TypeVar

from drill.content_hash import content_hash
from drill.errors import TargetUnavailable
from drill.target.settings import RemoteTarget

Item = TypeVar("Item")


def document_hash(settings: RemoteTarget, fields: Mapping[str, Any], text: str | None = None) -> str:
    """Return the stated hash in lowercase, or that of the text; empty if the document has neither.

    ``text`` is the document's text where that is no field.
    """
    if settings.hash_field:
        stated = fields.get(settings.hash_field)
        return str(stated).lower() if stated else ""
    found = fields.get(settings.text_field) if settings.text_field else text
    return content_hash(found) if isinstance(found, str) else ""


def wanted_fields(settings: RemoteTarget) -> list[str]:
    """Return the fields that are read to know id-independent facts of a document: its hash, or its text."""
    return [settings.hash_field or settings.text_field]


def floats_to_bytes(values: Sequence[float] | None) -> bytes | None:
    """Return ``values`` as float32, little endian. None stays None."""
    if values is None:
        return None
    import numpy as np

    return np.asarray(values, dtype="<f4").tobytes()


def bytes_to_floats(raw: bytes | None) -> list[float] | None:
    """Return the components of a float32 vector as Python floats, each exactly the float32."""
    if raw is None:
        return None
    import numpy as np

    return [float(value) for value in np.frombuffer(raw, dtype="<f4")]


def to_payload(**parts: object) -> str:
    """Return ``parts`` as a JSON text that is the same for the same parts."""
    return json.dumps(parts, sort_keys=True, separators=(",", ":"))


def from_payload(payload: str) -> dict[str, Any]:
    """Return the parts of ``to_payload``."""
    parts: dict[str, Any] = json.loads(payload)
    return parts


def chunks(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Yield ``items`` in lists of at most ``size``."""
    source = iter(items)
    while block := list(islice(source, size)):
        yield block


def place(template: str, tenant: str) -> str:
    """Return the collection, index or namespace of ``tenant``."""
    return template.replace("{tenant}", tenant)


def no_id(kind: str, field: str) -> TargetUnavailable:
    """Return what to say when a document has no id under the configured name."""
    return TargetUnavailable(
        f"target {kind}: a document has no {field!r}; expected the document's id there, check [target] id_field"
    )


def not_there(kind: str, what: str, name: str, key: str) -> TargetUnavailable:
    """Return what to say when the collection, index or class is missing."""
    return TargetUnavailable(f"target {kind}: {what} {name!r} not found; check [target] {key} and the database")

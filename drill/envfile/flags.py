"""The three flags of the rollback and how a value may be shown."""

import re
from collections.abc import Mapping
from types import MappingProxyType

FLAGS: Mapping[str, str] = MappingProxyType(
    {"FF_RETRIEVAL_DUAL_WRITE": "OFF", "FF_RETRIEVAL_SHADOW_READ": "OFF", "RETRIEVAL_BACKEND": "faiss"}
)
"""What a rolled-back service has in its env file, in the order of the runbook."""

BARE_VALUE = re.compile(r"[A-Za-z0-9._:/-]{1,32}")
"""Values that read the same with and without quotes in every reader."""

WRITABLE_VALUE = re.compile(r"[A-Za-z0-9._:/,-]{1,200}")
"""Values that are written: bare ones, and lists of them."""

KEY_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def shown(value: str | None) -> str:
    """Return ``value`` as it may appear on a terminal: short plain words as they are, anything else by its length."""
    if value is None:
        return "<not set>"
    if value and BARE_VALUE.fullmatch(value):
        return value
    return f"<{len(value)} characters>"


def check_wanted(wanted: Mapping[str, str]) -> None:
    """Raise ``ValueError`` unless every key is a plain name and every value can be written bare."""
    for key, value in wanted.items():
        if not KEY_NAME.fullmatch(key) or not WRITABLE_VALUE.fullmatch(value):
            raise ValueError(f"cannot write {key!r}: only plain names and bare values of at most 200 characters")

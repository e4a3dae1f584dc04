"""A secret that does not show itself by accident."""

import os
from typing import NoReturn

MASK = "***"


def keep_no_keys() -> None:
    """Let no client write the keys of its TLS sessions to a file, whatever the environment says: they are secrets."""
    os.environ.pop("SSLKEYLOGFILE", None)


class Secret:
    """A text that prints as ``***`` until somebody says ``reveal()``.

    It cannot be pickled, and ``json.dumps`` refuses it. Copies are the same object, because it never changes.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the text itself: only for handing it to the client that needs it."""
        return self._value

    def __repr__(self) -> str:
        return f"Secret({MASK})"

    def __str__(self) -> str:
        return MASK

    def __format__(self, spec: str) -> str:
        return format(MASK, spec)

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        """Compare in constant time; a plain text is never equal to a secret."""
        from hmac import compare_digest

        if not isinstance(other, Secret):
            return NotImplemented
        return compare_digest(_bytes(self._value), _bytes(other._value))

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __copy__(self) -> "Secret":
        return self

    def __deepcopy__(self, memo: dict[int, object]) -> "Secret":
        return self

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a Secret cannot be pickled: pass the name of its variable instead and read it there")


def _bytes(value: str) -> bytes:
    return value.encode("utf-8", "surrogatepass")

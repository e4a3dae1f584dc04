"""What all reader models share: the error, and the test for files that nobody can misread."""

import re

# Blank lines, comments of printable ASCII without quote or backslash, NAME=value of characters special to no reader.
_COMMENT = r"\#[ !#-&(-\[\]-_a-~]*\n"
_ASSIGNMENT = r"[A-Z_][A-Z0-9_]*=[A-Za-z0-9._:/@%+,?=~!*^-]*(?:\n|\Z)"
_PLAIN = re.compile(rf"(?:{_COMMENT}|{_ASSIGNMENT}|\n)*+".encode())
_NAME = re.compile(rb"^([A-Z_][A-Z0-9_]*)=", re.MULTILINE)

SCANNER_LIMIT = 64 * 1024
"""Bytes of a line that Go's ``bufio.Scanner`` gives up on."""


class Unreadable(Exception):  # noqa: N818 - what the reader says of the file
    """The reader rejects the whole file."""


def is_plain(data: bytes) -> bool:
    """Whether ``data`` is so plain that every reader sees the same: most env files are, and need no models."""
    if len(data) >= SCANNER_LIMIT or not _PLAIN.fullmatch(data):
        return False
    names = [match.decode() for match in _NAME.findall(data)]
    return len(names) == len(set(names))


def as_text(data: bytes) -> str:
    """Decode UTF-8, or raise ``Unreadable``."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise Unreadable("not UTF-8") from None

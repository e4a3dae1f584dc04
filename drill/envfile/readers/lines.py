"""Readers that take a file line by line and everything behind ``=`` as it stands: docker run, kubectl."""

import re
from collections.abc import Iterator

from drill.envfile.readers.base import SCANNER_LIMIT, Unreadable, as_text

EN_SPACES = "".join(map(chr, range(0x2000, 0x200B)))
GO_SPACE = f"\t\n\v\f\r \x85\xa0\u1680{EN_SPACES}\u2028\u2029\u202f\u205f\u3000"
"""What Go's ``unicode.IsSpace`` takes for white space."""
_KUBECTL_NAME = re.compile(r"[-._a-zA-Z][-._a-zA-Z0-9]*")


def docker_run(data: bytes) -> dict[str, str]:
    """Read as ``docker run --env-file``: no quotes, no comments behind values, no blanks in names."""
    values: dict[str, str] = {}
    for line in _lines(data):
        name, sign, value = line.partition("=")
        if not name or " " in name or "\t" in name:
            raise Unreadable("a name that is empty or has a blank in it")
        if sign:
            values[name] = value
    return values


def kubectl(data: bytes) -> dict[str, str]:
    """Read as ``kubectl create configmap|secret --from-env-file``: as docker, with valid and unique names only."""
    values: dict[str, str] = {}
    for line in _lines(data):
        name, _, value = line.partition("=")
        if not _KUBECTL_NAME.fullmatch(name) or name == "." or name.startswith(".."):
            raise Unreadable("not a valid name")
        if name in values:
            raise Unreadable("a name stands twice")
        values[name] = value
    return values


def _lines(data: bytes) -> Iterator[str]:
    """Yield the lines that say something, leading blanks removed."""
    for raw in data.removeprefix(b"\xef\xbb\xbf").split(b"\n"):
        if len(raw) >= SCANNER_LIMIT:
            raise Unreadable("a line is too long")
        line = as_text(raw.removesuffix(b"\r")).lstrip(GO_SPACE)
        if line and not line.startswith("#"):
            yield line

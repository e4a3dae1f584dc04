"""Python's readers beside python-dotenv: pydantic-settings and honcho."""

import io
import re
import shlex

from drill.envfile.parse import NotText, parse
from drill.envfile.readers.base import Unreadable, as_text

_HONCHO_NAME = re.compile(r"[A-Za-z_][A-Za-z_0-9]*")


def pydantic_settings(data: bytes) -> dict[str, str]:
    """Read with python-dotenv, names in any case (its default): of names that differ only in case the last counts."""
    try:
        parsed = parse(data)
    except NotText:
        raise Unreadable("not text") from None
    folded = {key.lower(): value for key, value in parsed.interpolated().items()}
    return {key: value for key in parsed.values() if (value := folded[key.lower()]) is not None}


def honcho(data: bytes) -> dict[str, str]:
    """Split at every line boundary Unicode knows, take each line apart with ``shlex``; nothing spans lines."""
    text = as_text(data).replace("\r\n", "\n").replace("\r", "\n")
    values: dict[str, str] = {}
    for line in text.splitlines():
        try:
            tokens = list(shlex.shlex(io.StringIO(line), posix=True))
        except ValueError:
            raise Unreadable("no closing quotation") from None
        if len(tokens) > 2 and tokens[1] == "=" and _HONCHO_NAME.match(tokens[0]):
            values[tokens[0]] = "".join(tokens[2:]).replace(r"\n", "\n").replace(r"\t", "\t")
    return values

"""Ruby's readers: foreman and the dotenv gem."""

import re

from drill.envfile.readers.base import Unreadable, as_text

_FOREMAN_LINE = re.compile(r"([A-Za-z_0-9]+)=(.*)", re.DOTALL)
_DOTENV_LINE = re.compile(
    r"""\s*(?:export\s+)?([\w.]+)(?:\s*=\s*|:\s+?)
    ('.*'|".*"|[^\#\n]+)?
    \s*(?:\#.*)?""",
    re.VERBOSE | re.ASCII,
)
_BLANKS = "\0\t\n\v\f\r "


def foreman(data: bytes) -> dict[str, str]:
    """Read lines ``NAME=value`` without blanks or prefix; quotes count only around the whole rest of the line."""
    values: dict[str, str] = {}
    for line in as_text(data).replace("\r\n", "\n").split("\n"):
        match = _FOREMAN_LINE.fullmatch(line)
        if match is None:
            continue
        name, value = match.groups()
        if len(value) > 1 and value[0] == value[-1] == "'":
            value = value[1:-1]
        elif len(value) > 1 and value[0] == value[-1] == '"':
            value = re.sub(r"\\(.)", r"\1", value[1:-1].replace(r"\n", "\n"))
        values[name] = value
    return values


def ruby_dotenv(data: bytes) -> dict[str, str]:
    """Read as version 2.4, line by line; ``export NAME`` without a value must name a variable already set."""
    values: dict[str, str] = {}
    for line in re.split(r"[\r\n]+", as_text(data).removeprefix("\ufeff")):
        match = _DOTENV_LINE.fullmatch(line)
        words = line.split()
        if match is not None:
            values[match[1]] = _unquoted((match[2] or "").strip(_BLANKS))
        elif words[:1] == ["export"] and not all(word in values for word in words[1:]):
            raise Unreadable("exports an unset variable")
    return values


def _unquoted(value: str) -> str:
    if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"":
        return value[1:-1]
    return re.sub(r"\\([^$])", r"\1", value)

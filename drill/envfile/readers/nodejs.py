"""Node's readers: the dotenv package and node's own ``--env-file``."""

import re

from drill.envfile.readers.lines import EN_SPACES

# ECMAScript's white space and line terminators, which Python's classes do not quite match.
_SPACE = r"[\t\n\v\f\r \xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff]"
_TERMINATORS = r"\n\r\u2028\u2029"
_LINE = re.compile(
    rf"(?:(?<=[{_TERMINATORS}])|\A){_SPACE}*(?:export{_SPACE}+)?([\w.-]+)(?:{_SPACE}*={_SPACE}*?|:{_SPACE}+?)"
    rf"""({_SPACE}*'(?:\\'|[^'])*'|{_SPACE}*"(?:\\"|[^"])*"|{_SPACE}*`(?:\\`|[^`])*`|[^#\r\n]+)?"""
    rf"{_SPACE}*(?:#[^{_TERMINATORS}]*)?(?:(?=[{_TERMINATORS}])|\Z)",
    re.ASCII,
)
_JS_TRIM = f"\t\n\v\f\r \xa0\u1680{EN_SPACES}\u2028\u2029\u202f\u205f\u3000\ufeff"


def node_dotenv(data: bytes) -> dict[str, str]:
    """Read with one expression over the whole file; ``NAME: value`` counts too, and backticks quote."""
    text = data.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n")
    values: dict[str, str] = {}
    for name, value in _LINE.findall(text):
        trimmed = value.strip(_JS_TRIM)
        if len(trimmed) > 1 and trimmed[0] == trimmed[-1] and trimmed[0] in "'\"`":
            trimmed = trimmed[1:-1]
        values[name] = trimmed
    return values


def node_native(data: bytes) -> dict[str, str]:
    """Read as node 20 to 22: blanks are spaces only, and a line without ``=`` runs into the next name."""
    rest = data.decode("utf-8", "replace").replace("\r", "").strip(" ")
    values: dict[str, str] = {}
    while rest:
        if rest[0] in "\n#" and "\n" in rest:
            rest = rest.partition("\n")[2]
            continue
        name, sign, behind = rest.partition("=")
        if not sign:
            rest = rest.partition("\n")[2]
            continue
        name, rest = name.strip(" "), behind.strip(" ")
        if not name:
            break
        values[name.removeprefix("export ")], rest = _node_value(rest)
    return values


def _node_value(rest: str) -> tuple[str, str]:
    """Return the value at the start of ``rest`` and what follows its line."""
    closing = rest.find(rest[0], 1) if rest[:1] and rest[0] in "'\"`" else -1
    if closing > 0:
        value = rest[1:closing]
        if rest[0] == '"':
            value = value.replace("\\n", "\n")
        return value, rest[closing + 1 :].partition("\n")[2]
    line, _, behind = rest.partition("\n")
    if rest[:1] and rest[0] in "'\"`":
        return line, behind
    return line.partition("#")[0].strip(" "), behind

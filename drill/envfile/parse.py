"""The statements of an env file with the byte spans of their values, as python-dotenv reads them.

Boundaries and values come from python-dotenv's own parser; only the place of the value inside a statement is found
here, with the same expressions, so there is no second grammar to disagree with the first.
"""

import io
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

_BOM = b"\xef\xbb\xbf"
# Possessive, because python-dotenv matches these parts one after the other and never goes back.
_HEAD = re.compile(r"\s*+(?:export[^\S\r\n]++)?+(?:'[^']++'|[^=\#\s]++)")
_EQUALS = re.compile(r"[^\S\r\n]*+=(?P<blank>[^\S\r\n]*+)")
_QUOTED = re.compile(r"""'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*\"""", re.DOTALL)
_COMMENT = re.compile(r"\s+#.*")


@dataclass(frozen=True, slots=True)
class Statement:
    """One assignment, or one bare name (``value`` is ``None``).

    ``start:end`` are the bytes of the value without its quotes; for a bare name or an empty value the place where
    one would be written. ``before`` and ``after`` is what must be written around a new value to make it one.
    """

    key: str
    value: str | None = field(repr=False)
    line: int
    start: int
    end: int
    before: bytes = b""
    after: bytes = b""


@dataclass(frozen=True, slots=True)
class Parsed:
    """All statements in order; ``broken`` are the line numbers (from 1) where one does not parse."""

    statements: tuple[Statement, ...]
    broken: tuple[int, ...]

    def values(self) -> dict[str, str | None]:
        """Return what python-dotenv reads without interpolation: the last copy of a key counts."""
        return {statement.key: statement.value for statement in self.statements}

    def interpolated(self) -> dict[str, str | None]:
        """Return what a service sees that loads the file with python-dotenv into an empty environment."""
        return interpolate((statement.key, statement.value) for statement in self.statements)

    def effective(self) -> dict[str, Statement]:
        """Return the statement that takes effect, by key."""
        return {statement.key: statement for statement in self.statements}


class NotText(ValueError):  # noqa: N818 - the condition, not an error class of its own
    """The bytes are not UTF-8 or hold a NUL byte; the message never quotes them."""


def parse(data: bytes) -> Parsed:
    """Parse the bytes of an env file; raise ``NotText`` if it is no text."""
    if b"\0" in data:
        raise NotText(f"a NUL byte at offset {data.index(0)}")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise NotText(f"a byte that is not UTF-8 at offset {error.start}") from None
    statements: list[Statement] = []
    broken: list[int] = []
    offset = len(_BOM) if data.startswith(_BOM) else 0
    for line, original, key, value, is_broken in _bindings(text):
        if is_broken:
            broken.append(line)
        elif key is not None:
            statements.append(_locate(original, key, value, line, offset))
        offset += len(original.encode())
    return Parsed(tuple(statements), tuple(broken))


def _bindings(text: str) -> Iterator[tuple[int, str, str | None, str | None, bool]]:
    """Yield line, raw text, key, value, error of each statement.

    python-dotenv opens its file with universal newlines, so values come from the translated text and raw text from
    the untranslated one; the boundaries are the same because its parser takes CR, LF and CRLF alike.
    """
    from dotenv.parser import parse_stream

    raw = list(parse_stream(io.StringIO(text, newline="")))
    read = raw
    if "\r" in text:
        read = list(parse_stream(io.StringIO(text.replace("\r\n", "\n").replace("\r", "\n"), newline="")))
        # Behind a broken statement boundaries may differ, and such a file is refused anyway.
        if [item.key for item in raw] != [item.key for item in read]:
            read = raw
    for mine, theirs in zip(raw, read, strict=False):
        yield theirs.original.line, mine.original.string, theirs.key, theirs.value, mine.error or theirs.error


def _locate(original: str, key: str, value: str | None, line: int, offset: int) -> Statement:
    """Find the value inside ``original``, the text of one statement that starts at byte ``offset``."""
    head = _HEAD.match(original)
    assert head is not None, "python-dotenv found a key where there is none"
    equals = _EQUALS.match(original, head.end())
    if equals is None:
        glued = b" " if original[head.end() : head.end() + 1] == "#" else b""
        return _statement(original, key, value, line, offset, (head.end(), head.end()), b"=", glued)
    quoted = _QUOTED.match(original, equals.end())
    if quoted is not None:
        return _statement(original, key, value, line, offset, (quoted.start() + 1, quoted.end() - 1))
    length = _bare_length(original, equals)
    # Behind the sign itself when empty, so that blanks in front of a comment stay in front of it.
    start = equals.end() if length else equals.start("blank")
    return _statement(original, key, value, line, offset, (start, start + length))


def _bare_length(original: str, equals: re.Match[str]) -> int:
    rest = original[equals.end() :].split("\n", 1)[0].split("\r", 1)[0]
    if equals["blank"] and rest.startswith("#"):
        return 0
    return len(_COMMENT.sub("", rest).rstrip())


def _statement(
    original: str,
    key: str,
    value: str | None,
    line: int,
    offset: int,
    span: tuple[int, int],
    before: bytes = b"",
    after: bytes = b"",
) -> Statement:
    start = offset + len(original[: span[0]].encode())
    end = start + len(original[span[0] : span[1]].encode())
    return Statement(key, value, line, start, end, before, after)


def interpolate(pairs: Iterable[tuple[str, str | None]]) -> dict[str, str | None]:
    """Return the values with ``${NAME}`` and ``${NAME:-default}`` filled in from the statements above each.

    python-dotenv does the same with the process environment added, which belongs to this process and not to the
    service's, and is therefore left out.
    """
    from dotenv.variables import parse_variables

    resolved: dict[str, str | None] = {}
    for key, value in pairs:
        if value is None or "${" not in value:
            resolved[key] = value
        else:
            resolved[key] = "".join(atom.resolve(resolved) for atom in parse_variables(value))
    return resolved

"""The statements of an env file with the byte spans of their values, as python-dotenv reads them.

Boundaries and values come from python-dotenv's own parser; only the place of the value inside a statement is found
here, with the same expressions, so there is no second grammar to disagree with the first.
"""

import io
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from drill.envfile.expand import interpolate

if TYPE_CHECKING:
    from dotenv.parser import Binding

_BOM = b"\xef\xbb\xbf"
# Possessive, because python-dotenv matches these parts one after the other and never goes back.
_HEAD = re.compile(r"\s*+(?:export[^\S\r\n]++)?+(?:'[^']++'|[^=\#\s]++)")
_EQUALS = re.compile(r"[^\S\r\n]*+=(?P<blank>[^\S\r\n]*+)")
_QUOTED = re.compile(r"""'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*\"""", re.DOTALL)
_COMMENT = re.compile(r"\s+#.*")
_LONG_BLANK = re.compile(r"[^\S\r\n]{64,}")
_MAX_BLANK_WORK = 100_000_000
"""Steps: python-dotenv looks for a comment behind a run of blanks from each blank of it."""


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
    skipped: tuple[str, ...] = field(default=(), repr=False)
    """The text of each statement that does not parse: python-dotenv skips it."""
    certain: bool = True
    """Whether the boundaries of statements are the same with line ends as they are and with all of them made LF."""

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
    """The bytes are not UTF-8, hold a NUL byte or cannot be read in time; the message never quotes them."""


def parse(data: bytes) -> Parsed:
    """Parse the bytes of an env file; raise ``NotText`` if it is no text."""
    if b"\0" in data:
        raise NotText(f"a NUL byte at offset {data.index(0)}")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise NotText(f"a byte that is not UTF-8 at offset {error.start}") from None
    if sum(len(run) ** 2 for run in _LONG_BLANK.findall(text)) > _MAX_BLANK_WORK:
        raise NotText("so many blanks in one line that python-dotenv would take minutes to read it")
    raw, read = _bindings(text)
    certain = [(item.key, item.error) for item in raw if _says(item)] == [(item.key, item.error) for item in read]
    theirs = iter(read if certain else [item for item in raw if _says(item)])
    statements: list[Statement] = []
    broken: list[int] = []
    skipped: list[str] = []
    offset = len(_BOM) if data.startswith(_BOM) else 0
    for mine in raw:
        original = mine.original.string
        read_so = next(theirs) if _says(mine) else mine
        if mine.error:
            broken.append(read_so.original.line)
            skipped.append(original)
        elif mine.key is not None:
            statements.append(_locate(original, mine.key, read_so.value, read_so.original.line, offset))
        offset += len(original.encode())
    return Parsed(tuple(statements), tuple(broken), tuple(skipped), certain)


def _says(item: "Binding") -> bool:
    """Whether it is more than blanks and comments."""
    return item.error or item.key is not None


def _bindings(text: str) -> tuple[list["Binding"], list["Binding"]]:
    """Return all parts of ``text`` as it is, and the statements of it with its line ends translated.

    python-dotenv opens its file with universal newlines, so values come from the translated text and raw text from
    the untranslated one; the boundaries are the same because its parser takes CR, LF and CRLF alike, but for statements
    that do not parse.
    """
    from dotenv.parser import parse_stream

    raw = read = list(parse_stream(io.StringIO(text, newline="")))
    if "\r" in text:
        read = list(parse_stream(io.StringIO(text.replace("\r\n", "\n").replace("\r", "\n"), newline="")))
    return raw, [item for item in read if _says(item)]


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

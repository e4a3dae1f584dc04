"""Go's readers: godotenv, and the fork of it in Docker Compose."""

import re
import unicodedata

from drill.envfile.readers.base import Unreadable, as_text
from drill.envfile.readers.lines import GO_SPACE

_BLANK = "\t\v\f\r \x85\xa0"
# What Compose's templates accept behind a dollar sign; anything else is an error.
_TEMPLATE = re.compile(r"\$(?:\$|[_a-zA-Z][_a-zA-Z0-9]*|\{[_a-zA-Z][_a-zA-Z0-9]*(?:(?::?[-+?]).*?)?\})", re.DOTALL)


def compose_go(data: bytes) -> dict[str, str]:
    """Read as ``docker compose``: comments need a space in front, bad ``$`` templates are errors."""
    text = as_text(data).removeprefix("\ufeff")
    values: dict[str, str] = {}
    while text := _statement(text):
        name, text, inherited = _name(text, "_.-[]", "=:\n")
        if " " in name:
            raise Unreadable("a name with a space in it")
        if inherited:
            continue
        if text[:1] and text[0] in "'\"":
            value, quote, text = _compose_quoted(text)
        else:
            line, _, text = text.partition("\n")
            value, quote = line.partition(" #")[0].rstrip(GO_SPACE), ""
        if quote != "'" and "$" in _TEMPLATE.sub("", value):
            raise Unreadable("a template that is not valid")
        values[name] = value
    return values


def _compose_quoted(text: str) -> tuple[str, str, str]:
    match = re.compile(rf"{text[0]}((?:\\.|[^\\{text[0]}])*){text[0]}", re.DOTALL).match(text)
    if match is None:
        raise Unreadable("an open quote")
    return match[1], text[0], text[match.end() :]


def godotenv(data: bytes) -> dict[str, str]:
    """Read as godotenv, which looks at bytes, not characters, in names."""
    text = as_text(data).replace("---\n", "\n").replace("\r\n", "\n")
    text = text.encode().decode("latin-1")
    values: dict[str, str] = {}
    while text := _statement(text):
        name, text, _ = _name(text, "_.", "=:")
        if text[:1] and text[0] in "'\"":
            value, text = _godotenv_quoted(text)
        else:
            line = re.split(r"[\r\n]", text, maxsplit=1)[0]
            text = text[len(line) :]
            value = _godotenv_bare(line)
        values[name] = value
    return values


def _godotenv_quoted(text: str) -> tuple[str, str]:
    match = re.compile(rf".((?:.*?[^\\])??){text[0]}", re.DOTALL).match(text)
    if match is None:
        raise Unreadable("an open quote")
    return match[1].strip(text[0]), text[match.end() :]


def _godotenv_bare(line: str) -> str:
    """Cut the last comment only: the reader looks for it from the end."""
    characters = line.encode("latin-1").decode("utf-8", "replace")
    for place in range(len(characters) - 1, 0, -1):
        if characters[place] == "#" and characters[place - 1] in _BLANK:
            characters = characters[:place]
            break
    return characters.strip(_BLANK)


def _statement(text: str) -> str:
    """Skip blanks and comment lines."""
    text = text.lstrip(GO_SPACE)
    while text.startswith("#"):
        text = text.partition("\n")[2].lstrip(GO_SPACE)
    return text


def _name(text: str, marks: str, ends: str) -> tuple[str, str, bool]:
    """Take the name off ``text``: name, rest, and whether it ended at a line's end."""
    exported = text.removeprefix("export")
    if exported != text and exported[:1] and exported[0] in _BLANK:
        text = exported.lstrip(_BLANK)
    for place, character in enumerate(text):
        if character in ends:
            name = text[:place].rstrip(GO_SPACE)
            return name, text[place + 1 :].lstrip(_BLANK), character == "\n"
        if character in _BLANK or character in marks or unicodedata.category(character)[0] in "LN":
            continue
        raise Unreadable("an odd character in a name")
    # Neither reader finds an end: they take an empty name and go on behind the first character.
    return "", text.lstrip(_BLANK), False

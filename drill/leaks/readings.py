"""One text as each reader down the line would see it: with the escapes of JSON, HTML and URLs undone."""

import re
from base64 import b64decode
from collections.abc import Callable, Iterator
from html import unescape
from urllib.parse import unquote, unquote_plus


def readings(text: str) -> Iterator[str]:
    """Yield ``text`` as each reader down the line would see it, without repeats."""
    seen: set[str] = set()
    for pipeline in _PIPELINES:
        reading = text
        for undo in pipeline:
            reading = undo(reading)
        if reading not in seen:
            seen.add(reading)
            yield reading
    for payload in _data_uris(text):
        yield from (reading for undo in (_same, unescape, _unescape_json) if (reading := undo(payload)))


def _data_uris(text: str) -> Iterator[str]:
    for match in re.finditer(r"data:[\w.+/-]*(?:;[\w=.-]+)*;base64,([A-Za-z0-9+/_=-]{8,})", text):
        payload = match[1].replace("-", "+").replace("_", "/").rstrip("=")
        payload = payload[: len(payload) - (len(payload) % 4 == 1)]
        yield b64decode(payload + "=" * (-len(payload) % 4)).decode("utf-8", "surrogateescape")


_JSON_ESCAPE = re.compile(r'\\(?:u([0-9a-fA-F]{4})|(["\\/bfnrt]))')
_JSON_SHORT = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


_MARKDOWN_ESCAPE = re.compile(r"\\([!-/:-@\[-`{-~])")
"""https://spec.commonmark.org/0.31.2/#backslash-escapes"""


def _unescape_json(text: str) -> str:
    if "\\" not in text:
        return text
    plain = _JSON_ESCAPE.sub(lambda match: chr(int(match[1], 16)) if match[1] else _JSON_SHORT[match[2]], text)
    return plain.encode("utf-16", "surrogatepass").decode("utf-16", "replace") if "\\u" in text else plain


def _unescape_url(text: str) -> str:
    return unquote(text) if "%" in text else text


def _unescape_form(text: str) -> str:
    return unquote_plus(text) if "+" in text or "%" in text else text


def _unescape_markdown(text: str) -> str:
    return _MARKDOWN_ESCAPE.sub(r"\1", text) if "\\" in text else text


def _same(text: str) -> str:
    return text


_PIPELINES: tuple[tuple[Callable[[str], str], ...], ...] = (
    (),
    (_unescape_json,),
    (unescape,),
    (unescape, _unescape_json),
    (unescape, _unescape_json, unescape),
    (_unescape_url,),
    (_unescape_form,),
    (_unescape_json, _unescape_url),
    (_unescape_json, unescape),
    (unescape, _unescape_url),
    (unescape, _unescape_json, unescape, _unescape_url),
    (_unescape_markdown,),
)

"""Stream the documents of a ``docs.json``: a JSON array of ``{"id", "text", "meta"}``, row i belonging to vector i."""

import json
from collections.abc import Iterator
from typing import BinaryIO

from drill.document_id import id_text

SMALL_FILE = 16 * 1024 * 1024
"""Bytes up to which the standard library's parser is used: no import, a few times the file in memory."""
BOM = b"\xef\xbb\xbf"


class DamagedDocuments(Exception):  # noqa: N818 - a finding, named by its caller
    """``docs.json`` is not a list of documents. The message is a clause to follow its name, and quotes nothing."""


def iter_ids(file: BinaryIO, size: int) -> Iterator[str]:
    """Yield the id of each document. Raises DamagedDocuments."""
    return (identifier for identifier, _ in iter_listed(file, size))


def iter_listed(file: BinaryIO, size: int) -> Iterator[tuple[str, str | None]]:
    """Yield id and text of each document, ``None`` for one without a text. Raises DamagedDocuments."""
    for row, item in enumerate(_items(file, size)):
        text = item.get("text") if isinstance(item, dict) else None
        yield _id(item, row), text if isinstance(text, str) else None


def iter_documents(file: BinaryIO, size: int) -> Iterator[tuple[str, str]]:
    """Yield id and text of each document. Raises DamagedDocuments."""
    for row, item in enumerate(_items(file, size)):
        identifier = _id(item, row)
        text = item["text"] if isinstance(item, dict) and "text" in item else None
        if not isinstance(text, str):
            raise DamagedDocuments(f"has no text in row {row}")
        yield identifier, text


def _id(item: object, row: int) -> str:
    if not isinstance(item, dict):
        raise DamagedDocuments(f"has something other than an object in row {row}")
    identifier = id_text(item.get("id"))
    if not identifier:
        raise DamagedDocuments(f"has no id (a text that is not empty, or a number) in row {row}")
    # As the streaming reader does it: a lone surrogate cannot be written as UTF-8.
    return identifier if identifier.isascii() else identifier.encode("utf-8", "replace").decode("utf-8")


def _items(file: BinaryIO, size: int) -> Iterator[object]:
    if size <= SMALL_FILE:
        return _loaded(file)
    return _streamed(file)


def _loaded(file: BinaryIO) -> Iterator[object]:
    try:
        documents = json.loads(file.read())
    except (ValueError, RecursionError) as error:
        raise DamagedDocuments(f"is not valid JSON{_position(error)}") from None
    if not isinstance(documents, list):
        raise DamagedDocuments("is not a JSON array")
    return iter(documents)


def _position(error: Exception) -> str:
    return f" (line {error.lineno}, column {error.colno})" if isinstance(error, json.JSONDecodeError) else ""


def _streamed(file: BinaryIO) -> Iterator[object]:
    import ijson

    _skip_to_array(file)
    try:
        yield from ijson.items(file, "item", use_float=True)
    except (ijson.JSONError, UnicodeDecodeError):
        raise DamagedDocuments("is not valid JSON") from None


def _skip_to_array(file: BinaryIO) -> None:
    start = file.read(4096)
    body = start.removeprefix(BOM)
    if not body.lstrip(b" \t\r\n").startswith(b"["):
        raise DamagedDocuments("is not a JSON array")
    file.seek(len(start) - len(body))

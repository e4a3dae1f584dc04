"""Checking the chain of a journal, line by line, without parsing what the hashes already vouch for."""

import json
import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

from drill.foreign import ForeignError, decode
from drill.journal.entry import GENESIS
from drill.journal.schema import schema_errors
from drill.plain_file import open_plain
from drill.words import count

_LIMIT = 1 << 20
"""Longest piece of a line held in memory; no entry comes near it, a NUL-filled tail may be gigabytes."""
_BATCH = 1 << 19
"""Bytes of lines that are hashed at a time."""
_HASHERS = 2
_SHOWN = 20
_START = b'{"timestamp": "'
_PREV = b'"prev_sha256": "'


@dataclass(slots=True)
class VerifyResult:
    """What was found in a journal."""

    entries: int = 0
    torn: int = 0
    """Lines that are no entry: cut by a crash, filled with NUL, or not ours."""
    broken: list[int] = field(default_factory=list)
    """Line numbers (from 1; the first 20) whose ``prev_sha256`` is not the hash of the line before."""
    broken_total: int = 0
    invalid: list[str] = field(default_factory=list)
    """Violations of the schema, with line numbers (the first 20); only looked for on request."""
    head: str = GENESIS
    """SHA-256 of the last line: compare it with the head printed in a later report to notice a cut tail."""
    open_tail: bool = False
    """The file does not end in a newline; the next append will close it."""

    @property
    def ok(self) -> bool:
        """Whether every entry is chained to the line before it, and valid as far as that was asked."""
        return not self.broken_total and not self.invalid

    def summary(self) -> str:
        """Return one line for the terminal."""
        chain = (
            "chain holds"
            if not self.broken_total
            else f"chain broken at {count(self.broken_total, 'line')} {self.broken}"
        )
        torn = f", {self.torn} torn" if self.torn else ""
        invalid = f", {len(self.invalid)} schema violations" if self.invalid else ""
        return f"{self.entries} entries{torn}{invalid}: {chain}; head {self.head}"


def verify(path: Path, *, schema: bool = False) -> VerifyResult:
    """Stream the journal and check its chain; with ``schema``, every entry against the JSON Schema too.

    Memory is bounded whatever the size of the file. Without ``schema``, only the last line is parsed: a change in any
    other shows in the line after it. Raises ``OSError`` if the file cannot be read.
    """
    result = VerifyResult()
    with os.fdopen(open_plain(path), "rb", buffering=_LIMIT) as file:
        last = b""
        for number, (line, digest) in enumerate(_lines(file), start=1):
            _take(result, number, line, schema=schema)
            result.head = digest
            last = line
        result.open_tail = file.tell() > 0 and not last.endswith(b"\n")
    if _looks_like_entry(last.rstrip(b"\n")) and not _parses(last):
        result.entries -= 1
        result.torn += 1
    return result


def _lines(file: BinaryIO) -> Iterator[tuple[bytes, str]]:
    """Yield each line (with its newline; of an overlong one a mark) and its SHA-256 (without newline).

    Lines are hashed ahead of their use, in other threads: hashing takes most of the time, and needs no interpreter.
    """
    ahead: deque[tuple[list[bytes], Future[list[str]]]] = deque()
    with ThreadPoolExecutor(_HASHERS) as pool:
        for batch, known in _batches(file):
            ahead.append((batch, pool.submit(_digests, batch, known)))
            if len(ahead) > 2 * _HASHERS:
                yield from _hashed(*ahead.popleft())
        for lines, digests in ahead:
            yield from _hashed(lines, digests)


def _hashed(lines: list[bytes], digests: Future[list[str]]) -> Iterator[tuple[bytes, str]]:
    return zip(lines, digests.result(), strict=True)


def _batches(file: BinaryIO) -> Iterator[tuple[list[bytes], str]]:
    """Yield some lines at a time, to be hashed; an overlong line by itself, with the digest of all of it."""
    lines: list[bytes] = []
    size = 0
    while line := file.readline(_LIMIT):
        if len(line) == _LIMIT and not line.endswith(b"\n"):
            yield lines, ""
            mark, digest = _long_line(file, line)
            yield [mark], digest
            lines, size = [], 0
            continue
        lines.append(line)
        size += len(line)
        if size > _BATCH:
            yield lines, ""
            lines, size = [], 0
    yield lines, ""


def _digests(lines: list[bytes], known: str) -> list[str]:
    if known:
        return [known]
    return [sha256(memoryview(line)[:-1] if line.endswith(b"\n") else line).hexdigest() for line in lines]


def _long_line(file: BinaryIO, piece: bytes) -> tuple[bytes, str]:
    digest = sha256()
    while piece:
        digest.update(piece.rstrip(b"\n"))
        if piece.endswith(b"\n"):
            return b"(overlong)\n", digest.hexdigest()
        piece = file.readline(_LIMIT)
    return b"(overlong)", digest.hexdigest()


def _take(result: VerifyResult, number: int, line: bytes, *, schema: bool) -> None:
    text = line.rstrip(b"\n")
    if not _looks_like_entry(text):
        result.torn += 1
        return
    result.entries += 1
    if text[-66:-2] != result.head.encode():
        result.broken_total += 1
        result.broken += [number] if len(result.broken) < _SHOWN else []
    if schema and len(result.invalid) < _SHOWN:
        result.invalid += [f"line {number}: {error}" for error in _violations(text)]


def _looks_like_entry(text: bytes) -> bool:
    return text.startswith(_START) and text[-82:-66] == _PREV and text.endswith(b'"}')


def _parses(text: bytes) -> bool:
    try:
        decode(text)
    except ForeignError:
        return False
    return True


def _violations(text: bytes) -> list[str]:
    try:
        decode(text)  # bounds the depth
        return schema_errors(json.loads(text))
    except ValueError as error:
        return [f"not JSON: {error}"]

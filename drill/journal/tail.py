"""The last line of a journal, found from the end: a journal of a million lines costs no more than one of ten."""

import os
from dataclasses import dataclass
from hashlib import sha256

from drill.journal.entry import GENESIS

_BLOCK = 64 * 1024


@dataclass(frozen=True, slots=True)
class Tail:
    """What the next line must know of the one before it."""

    sha256: str
    """Of the last line's bytes without its newline, torn or not; ``GENESIS`` in an empty journal."""
    torn: bool
    """Whether the file does not end in a newline: a crash cut the last write, or left NUL bytes there."""


def read_tail(fd: int) -> Tail:
    """Return the tail of the journal open at ``fd``, in bounded memory even if the last line is gigabytes of NUL."""
    size = os.fstat(fd).st_size
    if size == 0:
        return Tail(GENESIS, torn=False)
    torn = os.pread(fd, 1, size - 1) != b"\n"
    end = size if torn else size - 1
    return Tail(_hash(fd, _line_start(fd, end), end), torn)


def _line_start(fd: int, end: int) -> int:
    while end > 0:
        start = max(0, end - _BLOCK)
        newline = os.pread(fd, end - start, start).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        end = start
    return 0


def _hash(fd: int, start: int, end: int) -> str:
    digest = sha256()
    while start < end:
        block = os.pread(fd, min(_BLOCK, end - start), start)
        if not block:
            break
        digest.update(block)
        start += len(block)
    return digest.hexdigest()

"""A tenant's snapshot as it was at one moment, whatever the service writes since.

Nothing is read for it before the flags are on the disk: the files are held open, so that one which is renamed over them
does no harm, and small ones are copied in memory, since a service may also write into the same file.
"""

import os
import weakref
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
from typing import BinaryIO

from drill.errors import PrimaryUnreadable
from drill.primary.docs_file import DamagedDocuments
from drill.primary.index_file import DamagedIndex, read_index_file, read_vector
from drill.primary.snapshot import Snapshot, version_of

COPIED = 16 * 1024 * 1024
"""Bytes up to which a file is copied."""

Pairs = Callable[[BinaryIO, int], Iterator[tuple[str, str]]]
Ids = Callable[[BinaryIO, int], Iterator[str]]


class Held:
    """What one tenant held. ``pairs`` and ``ids`` read its list of documents, as its kind of primary does."""

    def __init__(self, snapshot: Snapshot, pairs: Pairs, ids: Ids, copied: int = COPIED) -> None:
        """Hold the files of ``snapshot``; those of at most ``copied`` bytes are copied. Raises OSError."""
        self._pairs, self._ids, self._path = pairs, ids, snapshot.index_path
        self._files: list[int] = []
        weakref.finalize(self, _close, self._files)
        for file, size in ((snapshot.index, snapshot.index_size), (snapshot.docs, snapshot.docs_size)):
            self._files.append(_copy(file, size) if size <= copied else os.dup(file.fileno()))
        self._sizes = [os.fstat(file).st_size for file in self._files]
        self._version = self._now()

    def inventory(self) -> Iterator[tuple[str, str]]:
        """Yield id and content hash of every document.

        Raises PrimaryUnreadable, at the end if the file was written to since: what was yielded is of no use then.
        """
        with self._opened() as (_, docs):
            yield from self._pairs(docs, self._sizes[1])

    def vectors(self, ids: Collection[str]) -> dict[str, bytes]:
        """Return the vectors of those of ``ids`` that it held, of a kind that keeps them. Raises PrimaryUnreadable."""
        wanted = frozenset(ids)
        with self._opened() as (index, docs):
            rows = {key: row for row, key in enumerate(self._ids(docs, self._sizes[1])) if key in wanted}
            facts = read_index_file(index, self._sizes[0], self._path)
            start = facts.vectors_at
            if start is None:
                return {}
            return {key: read_vector(index, start, row, facts.dimension) for key, row in rows.items()}

    @contextmanager
    def _opened(self) -> Iterator[tuple[BinaryIO, BinaryIO]]:
        """Open both files from their beginning; they must be at the end what they were when they were held."""
        try:
            with ExitStack() as stack:
                index, docs = (stack.enter_context(os.fdopen(os.dup(file), "rb")) for file in self._files)
                index.seek(0)
                docs.seek(0)
                yield index, docs
        except (OSError, DamagedDocuments, DamagedIndex) as problem:
            raise PrimaryUnreadable(f"FAISS as it was: cannot be read any more ({type(problem).__name__})") from None
        if self._now() != self._version:
            raise PrimaryUnreadable("FAISS as it was: its files were written to since")

    def _now(self) -> str:
        return version_of(*map(os.fstat, self._files))


def _copy(file: BinaryIO, size: int) -> int:
    """Return a descriptor of a copy in memory; where there is none, of the file itself."""
    make = getattr(os, "memfd_create", None)
    if make is None:
        return os.dup(file.fileno())
    copy: int = make("faiss")
    done = 0
    while done < size and (sent := os.sendfile(copy, file.fileno(), done, size - done)):
        done += sent
    return copy


def _close(files: list[int]) -> None:
    for file in files:
        os.close(file)

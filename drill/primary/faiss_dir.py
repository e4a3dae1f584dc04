"""A FAISS primary in a directory: ``<path>/<tenant>/{index.faiss,docs.json}``.

The service writes snapshots while they are read here. Both files of a snapshot are therefore opened first and then
read through their descriptors: a snapshot that is renamed over them does not disturb the reading. A snapshot counts
only if the two files were the current ones at one moment, were not written to while they were read, and hold as many
documents as vectors; otherwise it is read again, a few times, before it is called damaged. An incomplete inventory
would condemn good documents on the target.
"""

import os
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO, ClassVar, TypeVar

from drill.content_hash import content_hash
from drill.errors import DrillError, NoFallback, PrimaryUnreadable
from drill.primary.docs_file import SMALL_FILE, DamagedDocuments, iter_documents, iter_ids
from drill.primary.facts import IndexFacts
from drill.primary.index_file import DamagedIndex, IndexFile, read_index_file

INDEX_NAME = "index.faiss"
DOCS_NAME = "docs.json"
RETRY_PAUSES_S = (0.02, 0.05, 0.1, 0.3)
"""How long to wait for the service to finish writing a snapshot before it is looked at again."""

Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class _Snapshot:
    """One opened pair of files."""

    folder: Path
    index: BinaryIO
    docs: BinaryIO
    version: str
    index_size: int
    docs_size: int
    mtime: float


class _Unsettled(Exception):  # noqa: N818 - internal: read again
    """The snapshot was being replaced; the message says what did not fit."""


class FaissDir:
    """Reads the indexes below ``path``. Nothing here writes."""

    docs_name: ClassVar[str] = DOCS_NAME

    def __init__(self, path: Path) -> None:
        self.path = path

    def tenants(self) -> list[str]:
        """Return the names of the subdirectories that hold both files, sorted. Raises NoFallback."""
        if not self.path.is_dir():
            raise NoFallback(
                f"FAISS directory {self.path.name!r}: not found; set [primary] path to the service's FAISS data"
            )
        folders = (entry for entry in self.path.iterdir() if entry.is_dir())
        return sorted(
            entry.name for entry in folders if (entry / INDEX_NAME).is_file() and (entry / self.docs_name).is_file()
        )

    def check(self, tenant: str) -> IndexFacts:
        """Return the facts of ``tenant``'s index after a structural check of both files. Raises NoFallback."""
        return _settled(lambda: self._check(tenant), NoFallback, tenant)

    def load_check(self, tenant: str) -> IndexFacts:
        """Like ``check``, then load the index with faiss and have a stored vector find itself. Raises NoFallback."""
        from drill.primary.self_search import self_search

        facts = self.check(tenant)
        _settled(lambda: self_search(self._folder(tenant, NoFallback) / INDEX_NAME), NoFallback, tenant)
        return facts

    def version(self, tenant: str) -> str:
        """Return a fingerprint of the files that changes with every snapshot. Raises PrimaryUnreadable."""
        folder = self._folder(tenant, PrimaryUnreadable)
        try:
            return _version((folder / INDEX_NAME).stat(), (folder / self.docs_name).stat())
        except OSError as error:
            raise PrimaryUnreadable(_cannot_open(tenant, error)) from None

    def inventory(self, tenant: str) -> Iterator[tuple[str, str]]:
        """Yield id and content hash of every document, streaming; *complete only if it ends without an error*.

        Raises PrimaryUnreadable at the start, or at the end if what was yielded is not one whole snapshot: throw it
        away then and call again.
        """
        with self._opened(tenant) as snapshot:
            index = _index(snapshot)
            documents = 0
            for pair in self._pairs(snapshot.docs, snapshot.docs_size):
                documents += 1
                yield pair
            _check_whole(snapshot, index, documents)

    def lookup(self, tenant: str, ids: Collection[str]) -> dict[str, str]:
        """Return the content hash of those of ``ids`` that exist now. Raises PrimaryUnreadable."""
        wanted = frozenset(ids)
        return _settled(lambda: self._lookup(tenant, wanted), PrimaryUnreadable, tenant)

    def contains(self, tenant: str, ids: Collection[str]) -> set[str]:
        """Return those of ``ids`` that exist now. Raises PrimaryUnreadable."""
        return set(self.lookup(tenant, ids))

    def vectors(self, tenant: str, ids: Collection[str]) -> dict[str, bytes] | None:
        """Return the vectors of those of ``ids`` that exist now, float32 little endian. Raises PrimaryUnreadable.

        None: the index is of a kind that does not keep them as they were.
        """
        wanted = frozenset(ids)
        return _settled(lambda: self._vectors(tenant, wanted), PrimaryUnreadable, tenant)

    def _vectors(self, tenant: str, wanted: frozenset[str]) -> dict[str, bytes] | None:
        with self._open(tenant, PrimaryUnreadable) as snapshot:
            index = _index(snapshot)
            if index.vectors_at is None:
                return None
            rows: dict[str, int] = {}
            documents = 0
            for row, identifier in enumerate(self._ids(snapshot.docs, snapshot.docs_size)):
                documents = row + 1
                if identifier in wanted:
                    rows[identifier] = row
            found = {key: _vector(snapshot.index, index.vectors_at, row, index.dimension) for key, row in rows.items()}
            _check_whole(snapshot, index, documents)
            return found

    def sample_texts(self, tenant: str, count: int, length: int = 200) -> list[str]:
        """Return the beginnings of the first ``count`` texts, to ask the service for. Raises PrimaryUnreadable."""
        return _settled(lambda: self._sample_texts(tenant, count, length), PrimaryUnreadable, tenant)

    def _sample_texts(self, tenant: str, count: int, length: int) -> list[str]:
        with self._open(tenant, PrimaryUnreadable) as snapshot:
            documents = iter_documents(snapshot.docs, snapshot.docs_size)
            return [text[:length] for _, text in islice(documents, count)]

    def _lookup(self, tenant: str, wanted: frozenset[str]) -> dict[str, str]:
        with self._open(tenant, PrimaryUnreadable) as snapshot:
            index = _index(snapshot)
            found: dict[str, str] = {}
            documents = 0
            for identifier, hashed in self._wanted(snapshot, wanted):
                documents += 1
                if identifier in wanted:
                    found[identifier] = hashed
            _check_whole(snapshot, index, documents)
            return found

    def _check(self, tenant: str) -> IndexFacts:
        with self._open(tenant, NoFallback) as snapshot:
            index = _index(snapshot)
            documents = self._count(snapshot)
            _check_whole(snapshot, index, documents)
            if not documents:
                raise NoFallback(f"FAISS index of tenant {tenant!r}: empty; rebuild it before rolling back")
            age_s = max(0.0, time.time() - snapshot.mtime)
            size = snapshot.index_size + snapshot.docs_size
            return IndexFacts(tenant, index.vectors, documents, index.dimension, size, age_s, index.kind)

    def _pairs(self, file: BinaryIO, size: int) -> Iterator[tuple[str, str]]:
        return ((identifier, content_hash(text)) for identifier, text in iter_documents(file, size))

    def _wanted(self, snapshot: _Snapshot, wanted: frozenset[str]) -> Iterator[tuple[str, str]]:
        """Yield every document, its hash only where it is wanted: hashing is most of the time."""
        for identifier, text in iter_documents(snapshot.docs, snapshot.docs_size):
            yield identifier, content_hash(text) if identifier in wanted else ""

    def _ids(self, file: BinaryIO, size: int) -> Iterator[str]:
        return iter_ids(file, size)

    def _count(self, snapshot: _Snapshot) -> int:
        """Count the documents; in a file that fits, also look for an id used twice (else the comparison does)."""
        ids = self._ids(snapshot.docs, snapshot.docs_size)
        if snapshot.docs_size > SMALL_FILE:
            return sum(1 for _ in ids)
        documents = list(ids)
        twice = len(documents) - len(set(documents))
        if twice:
            raise DamagedDocuments(f"uses an id twice ({twice} times)")
        return len(documents)

    def _folder(self, tenant: str, error: type[DrillError]) -> Path:
        if not self.path.is_dir():
            raise error(
                f"FAISS directory {self.path.name!r}: not found; set [primary] path to the service's FAISS data"
            )
        folder = self.path / tenant
        if tenant in ("", "..") or Path(tenant).name != tenant or not folder.is_dir():
            raise error(
                f"FAISS index of tenant {tenant!r}: no such directory; check [service] tenants and [primary] path"
            )
        return folder

    @contextmanager
    def _opened(self, tenant: str) -> Iterator[_Snapshot]:
        """Open a pair of files that is current at one moment; what goes wrong while it is read is PrimaryUnreadable."""
        with ExitStack() as stack:
            snapshot = _settled(
                lambda: stack.enter_context(self._open(tenant, PrimaryUnreadable)), PrimaryUnreadable, tenant
            )
            try:
                yield snapshot
            except (_Unsettled, DamagedIndex, DamagedDocuments, OSError) as error:
                raise PrimaryUnreadable(_unreadable(tenant, error)) from None

    @contextmanager
    def _open(self, tenant: str, error: type[DrillError]) -> Iterator[_Snapshot]:
        folder = self._folder(tenant, error)
        index_path, docs_path = folder / INDEX_NAME, folder / self.docs_name
        try:
            with index_path.open("rb") as index, docs_path.open("rb") as docs:
                index_stat, docs_stat = os.fstat(index.fileno()), os.fstat(docs.fileno())
                version = _version(index_stat, docs_stat)
                if version != _version(index_path.stat(), docs_path.stat()):
                    raise _Unsettled("is being replaced")
                mtime = max(index_stat.st_mtime, docs_stat.st_mtime)
                yield _Snapshot(folder, index, docs, version, index_stat.st_size, docs_stat.st_size, mtime)
        except (FileNotFoundError, PermissionError, IsADirectoryError) as reason:
            raise error(_cannot_open(tenant, reason)) from None


def _settled(look: Callable[[], Found], error: type[DrillError], tenant: str) -> Found:
    """Call ``look`` until it finds a whole snapshot; what is still broken after the last pause is broken."""
    for pause_s in RETRY_PAUSES_S:
        try:
            return look()
        except (_Unsettled, DamagedIndex, DamagedDocuments, OSError):
            time.sleep(pause_s)
    try:
        return look()
    except (_Unsettled, DamagedIndex, DamagedDocuments, OSError) as reason:
        raise error(_unreadable(tenant, reason)) from None


def _index(snapshot: _Snapshot) -> IndexFile:
    return read_index_file(snapshot.index, snapshot.index_size, snapshot.folder / INDEX_NAME)


def _vector(file: BinaryIO, start: int, row: int, dimension: int) -> bytes:
    file.seek(start + row * dimension * 4)
    return file.read(dimension * 4)


def _check_whole(snapshot: _Snapshot, index: IndexFile, documents: int) -> None:
    now = _version(os.fstat(snapshot.index.fileno()), os.fstat(snapshot.docs.fileno()))
    if now != snapshot.version:
        raise _Unsettled("was written to while it was read")
    if documents != index.vectors:
        raise _Unsettled(f"holds {documents} documents but {index.vectors} vectors")


def _version(index: os.stat_result, docs: os.stat_result) -> str:
    return "/".join(f"{stat.st_ino:x}.{stat.st_mtime_ns:x}.{stat.st_size:x}" for stat in (index, docs))


def _unreadable(tenant: str, reason: Exception) -> str:
    what = {DamagedIndex: f"{INDEX_NAME} ", DamagedDocuments: f"{DOCS_NAME} "}.get(type(reason), "")
    said = (reason.strerror or "cannot be read") if isinstance(reason, OSError) else str(reason)
    return f"FAISS index of tenant {tenant!r}: {what}{said}; restore or rebuild the index, then run again"


def _cannot_open(tenant: str, reason: OSError) -> str:
    name = Path(str(reason.filename)).name if reason.filename else INDEX_NAME
    said = "is missing" if isinstance(reason, FileNotFoundError) else f"cannot be opened ({reason.strerror})"
    return (
        f"FAISS index of tenant {tenant!r}: {name} {said}; expected {INDEX_NAME} and {DOCS_NAME}, check [primary] path"
    )

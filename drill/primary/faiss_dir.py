"""A FAISS primary in a directory: ``<path>/<tenant>/{index.faiss,docs.json}``.

The service writes snapshots while they are read here. Both files of a snapshot are therefore opened first and then
read through their descriptors: a snapshot that is renamed over them does not disturb the reading. A snapshot counts
only if the two files were the current ones at one moment, were not written to while they were read, and hold as many
documents as vectors; otherwise it is read again, a few times, before it is called damaged. An incomplete inventory
would condemn good documents on the target.
"""

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from itertools import islice
from pathlib import Path
from typing import BinaryIO, ClassVar, TypeVar

from drill.content_hash import content_hash
from drill.errors import DrillError, NoFallback, PrimaryUnreadable
from drill.primary.docs_file import SMALL_FILE, iter_documents, iter_ids, iter_listed
from drill.primary.facts import IndexFacts, Look
from drill.primary.held import COPIED, Held
from drill.primary.index_file import IndexFile, read_index_file, read_vector, useless_vectors
from drill.primary.places import INDEX_NAME, cannot_open, no_directory, no_tenant
from drill.primary.snapshot import BROKEN, Snapshot, check_whole, opened, settled, unreadable, version_of
from drill.primary.survey import Survey

DOCS_NAME = "docs.json"

Found = TypeVar("Found")


class FaissDir:
    """Reads the indexes below ``path``. Nothing here writes."""

    docs_name: ClassVar[str] = DOCS_NAME

    def __init__(self, path: Path) -> None:
        self.path = path

    def tenants(self) -> list[str]:
        """Return the names of the subdirectories that hold both files, sorted. Raises NoFallback."""
        if not self.path.is_dir():
            raise NoFallback(no_directory(self.path))
        folders = (entry for entry in self.path.iterdir() if entry.is_dir())
        return sorted(
            entry.name for entry in folders if (entry / INDEX_NAME).is_file() and (entry / self.docs_name).is_file()
        )

    def check(self, tenant: str) -> IndexFacts:
        """Return the facts of ``tenant``'s index after a structural check of both files. Raises NoFallback."""
        return self.look(tenant).facts

    def look(self, tenant: str, wanted: Collection[str] = (), sample: int = 0) -> Look:
        """Like ``check``, with the ids of ``sample`` documents at random and those of ``wanted`` that are there.

        Raises NoFallback, and PrimaryUnreadable if the files are written to all the time.
        """
        looked = self._settled(lambda: self._look(tenant, wanted, sample), NoFallback, tenant)
        if isinstance(looked, str):
            raise NoFallback(f"FAISS index of tenant {tenant!r}: {looked}; rebuild it before rolling back")
        return looked

    def hold(self, tenant: str, copied: int = COPIED) -> Held:
        """Return what ``tenant`` holds now, to be read later; ``copied`` as of `Held`.

        Raises PrimaryUnreadable; OSError if there is no room for more open files.
        """
        with self._opened(tenant) as snapshot:
            return Held(snapshot, self._pairs, self._ids, copied)

    def version(self, tenant: str) -> str:
        """Return a fingerprint of the files that changes with every snapshot. Raises PrimaryUnreadable."""
        folder = self._folder(tenant, PrimaryUnreadable)
        try:
            return version_of((folder / INDEX_NAME).stat(), (folder / self.docs_name).stat())
        except OSError as error:
            raise PrimaryUnreadable(cannot_open(folder, tenant, self.docs_name, error)) from None

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
            check_whole(snapshot, index.vectors, documents)

    def lookup(self, tenant: str, ids: Collection[str]) -> dict[str, str]:
        """Return the content hash of those of ``ids`` that exist now. Raises PrimaryUnreadable."""
        wanted = frozenset(ids)
        return self._settled(lambda: self._lookup(tenant, wanted), PrimaryUnreadable, tenant)

    def contains(self, tenant: str, ids: Collection[str]) -> set[str]:
        """Return those of ``ids`` that exist now. Raises PrimaryUnreadable."""
        return set(self.lookup(tenant, ids))

    def vectors(self, tenant: str, ids: Collection[str]) -> dict[str, bytes] | None:
        """Return the vectors of those of ``ids`` that exist now, float32 little endian. Raises PrimaryUnreadable.

        None: the index is of a kind that does not keep them as they were.
        """
        wanted = frozenset(ids)
        return self._settled(lambda: self._vectors(tenant, wanted), PrimaryUnreadable, tenant)

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
            found = {
                key: read_vector(snapshot.index, index.vectors_at, row, index.dimension) for key, row in rows.items()
            }
            check_whole(snapshot, index.vectors, documents)
            return found

    def sample_texts(self, tenant: str, count: int, length: int = 200) -> list[str]:
        """Return the beginnings of the first ``count`` texts, to ask the service for. Raises PrimaryUnreadable."""
        return self._settled(lambda: self._sample_texts(tenant, count, length), PrimaryUnreadable, tenant)

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
            check_whole(snapshot, index.vectors, documents)
            return found

    def _look(self, tenant: str, wanted: Collection[str], sample: int) -> Look | str:
        """Return what is there, or why a snapshot that is whole is of no use."""
        with self._open(tenant, NoFallback) as snapshot:
            index = _index(snapshot)
            exact = snapshot.docs_size <= SMALL_FILE
            ids = Survey(self._listed(snapshot), wanted, sample, exact=exact, hashed=self._hash)
            check_whole(snapshot, index.vectors, ids.count)
            if not ids.count:
                return "empty"
            if useless := useless_vectors(snapshot.index, index):
                return useless
            vectors = _hashed(snapshot, index, {**ids.sample, **ids.found})
            facts = _facts(tenant, snapshot, index, ids)
            return Look(facts, _with(snapshot, index), tuple(ids.sample), frozenset(ids.found), vectors, ids.hashes)

    def _pairs(self, file: BinaryIO, size: int) -> Iterator[tuple[str, str]]:
        return ((identifier, content_hash(text)) for identifier, text in iter_documents(file, size))

    def _wanted(self, snapshot: Snapshot, wanted: frozenset[str]) -> Iterator[tuple[str, str]]:
        """Yield every document, its hash only where it is wanted: hashing is most of the time."""
        for identifier, text in iter_documents(snapshot.docs, snapshot.docs_size):
            yield identifier, content_hash(text) if identifier in wanted else ""

    def _listed(self, snapshot: Snapshot) -> Iterator[tuple[str, str | None]]:
        """Yield id and text of every document, or what ``_hash`` makes its hash of."""
        return iter_listed(snapshot.docs, snapshot.docs_size)

    def _hash(self, text: str) -> str:
        return content_hash(text)

    def _ids(self, file: BinaryIO, size: int) -> Iterator[str]:
        return iter_ids(file, size)

    def _folder(self, tenant: str, error: type[DrillError]) -> Path:
        if not self.path.is_dir():
            raise error(no_directory(self.path))
        folder = self.path / tenant
        if tenant in ("", "..") or Path(tenant).name != tenant or not folder.is_dir():
            raise error(no_tenant(self.path, tenant))
        return folder

    def _settled(self, look: Callable[[], Found], error: type[DrillError], tenant: str) -> Found:
        folder = self.path / tenant
        return settled(look, error, tenant, (self.path, folder, folder / INDEX_NAME, folder / self.docs_name))

    @contextmanager
    def _opened(self, tenant: str) -> Iterator[Snapshot]:
        """Open a pair of files that is current at one moment; what goes wrong while it is read is PrimaryUnreadable."""
        with ExitStack() as stack:
            snapshot = self._settled(
                lambda: stack.enter_context(self._open(tenant, PrimaryUnreadable)), PrimaryUnreadable, tenant
            )
            try:
                yield snapshot
            except BROKEN as error:
                raise PrimaryUnreadable(unreadable(tenant, error)) from None

    @contextmanager
    def _open(self, tenant: str, error: type[DrillError]) -> Iterator[Snapshot]:
        with opened(self._folder(tenant, error), tenant, self.docs_name, error) as snapshot:
            yield snapshot


def _facts(tenant: str, snapshot: Snapshot, index: IndexFile, ids: Survey) -> IndexFacts:
    return IndexFacts(
        tenant=tenant,
        vectors=index.vectors,
        documents=ids.count,
        dimension=index.dimension,
        size_bytes=snapshot.index_size + snapshot.docs_size,
        age_s=max(0.0, time.time() - snapshot.mtime),
        kind=index.kind,
        duplicate_ids=ids.twice,
        unchecked=index.unchecked,
    )


def _hashed(snapshot: Snapshot, index: IndexFile, rows: Mapping[str, int]) -> dict[str, int]:
    """Return a hash of the vector of each id, of a kind that keeps vectors as they were."""
    start = index.vectors_at
    if start is None:
        return {}
    return {key: hash(read_vector(snapshot.index, start, row, index.dimension)) for key, row in rows.items()}


def _with(snapshot: Snapshot, index: IndexFile) -> str:
    """Return the fingerprint of all files; of an index that needs others it is never that of the two alone."""
    return "/".join((snapshot.version, *(version_of(path.stat()) for path in index.needs)))


def _index(snapshot: Snapshot) -> IndexFile:
    return read_index_file(snapshot.index, snapshot.index_size, snapshot.index_path)

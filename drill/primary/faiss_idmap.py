"""A FAISS ``IndexIDMap`` with a manifest beside it: ``<path>/<tenant>/{index.faiss,manifest.ndjson}``.

For services that keep their texts elsewhere. The manifest has a row for each vector; both are read as one snapshot.
"""

from collections.abc import Iterator
from typing import Any, BinaryIO, ClassVar

from drill.primary.docs_file import DamagedDocuments
from drill.primary.faiss_dir import FaissDir
from drill.primary.manifest_rows import DamagedManifest, iter_rows


class FaissIdmap(FaissDir):
    """Like a FAISS directory, with ids and hashes in place of documents."""

    docs_name: ClassVar[str] = "manifest.ndjson"

    def _pairs(self, file: BinaryIO, size: int) -> Iterator[tuple[str, str]]:
        del size
        try:
            for row in iter_rows(file, parquet=False, counted=False):
                yield row.id, row.hash
        except DamagedManifest as reason:
            raise DamagedDocuments(str(reason)) from None

    def _wanted(self, snapshot: Any, wanted: frozenset[str]) -> Iterator[tuple[str, str]]:
        del wanted
        return self._pairs(snapshot.docs, snapshot.docs_size)

    def _listed(self, snapshot: Any) -> Iterator[tuple[str, str | None]]:
        yield from self._pairs(snapshot.docs, snapshot.docs_size)

    def _hash(self, text: str) -> str:
        return text  # the manifest holds hashes

    def _ids(self, file: BinaryIO, size: int) -> Iterator[str]:
        return (key for key, _ in self._pairs(file, size))

    def _sample_texts(self, tenant: str, count: int, length: int) -> list[str]:
        del tenant, count, length
        return []

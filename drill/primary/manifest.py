"""A manifest as the primary: a file that lists id, tenant and content hash, for services that keep their inventory
elsewhere.

It says what FAISS should hold; whether there is an index that holds it cannot be seen from here.
"""  # noqa: D205 - one sentence

import os
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from drill.errors import PrimaryUnreadable
from drill.primary.docs_file import SMALL_FILE
from drill.primary.facts import IndexFacts, Look
from drill.primary.manifest_rows import DamagedManifest, Row, iter_rows
from drill.primary.survey import Survey


class Manifest:
    """One file for all tenants, or one for each where ``path`` holds ``{tenant}``."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def check(self, tenant: str) -> IndexFacts:
        """Return the number of documents and the age of the file. Raises PrimaryUnreadable, also if there are none."""
        return self.look(tenant).facts

    def look(self, tenant: str, wanted: Collection[str] = (), sample: int = 0) -> Look:
        """Like ``check``, with ``sample`` ids at random and those of ``wanted`` that are listed."""
        seen = self._stat(tenant)
        ids = Survey(self.inventory(tenant), wanted, sample, exact=seen.st_size <= SMALL_FILE)
        if not ids.count:
            raise PrimaryUnreadable(f"manifest of tenant {tenant!r}: no documents; check [primary] path and the tenant")
        age_s = max(0.0, time.time() - seen.st_mtime)
        facts = IndexFacts(tenant, 0, ids.count, 0, seen.st_size, age_s, "manifest", ids.twice)
        return Look(facts, _version(seen), tuple(ids.sample), frozenset(ids.found), hashes=ids.hashes)

    def version(self, tenant: str) -> str:
        """Return a fingerprint of the file that changes whenever it is written. Raises PrimaryUnreadable."""
        return _version(self._stat(tenant))

    def inventory(self, tenant: str) -> Iterator[tuple[str, str]]:
        """Yield id and content hash of every document of ``tenant``; complete only if it ends without an error."""
        with self._opened(tenant) as file:
            for row in self._rows(file):
                if row.tenant == tenant or (not row.tenant and self._of_one):
                    yield row.id, row.hash

    def lookup(self, tenant: str, ids: Collection[str]) -> dict[str, str]:
        """Return the content hash of those of ``ids`` that are listed. Raises PrimaryUnreadable."""
        wanted = frozenset(ids)
        return {key: value for key, value in self.inventory(tenant) if key in wanted}

    def contains(self, tenant: str, ids: Collection[str]) -> set[str]:
        """Return those of ``ids`` that are listed. Raises PrimaryUnreadable."""
        return set(self.lookup(tenant, ids))

    def sample_texts(self, tenant: str, count: int, length: int = 200) -> list[str]:
        """Return none: a manifest holds no texts."""
        del tenant, count, length
        return []

    @property
    def _of_one(self) -> bool:
        return "{tenant}" in str(self.path)

    def _file(self, tenant: str) -> Path:
        if self._of_one and (tenant in ("", "..") or Path(tenant).name != tenant):
            raise PrimaryUnreadable(f"manifest of tenant {tenant!r}: no such file; check [service] tenants")
        return Path(str(self.path).replace("{tenant}", tenant))

    def _stat(self, tenant: str) -> os.stat_result:
        try:
            return self._file(tenant).stat()
        except OSError as error:
            raise PrimaryUnreadable(_said(tenant, error.strerror or "cannot be read")) from None

    def _rows(self, file: BinaryIO) -> Iterator[Row]:
        parquet = self.path.suffix == ".parquet"
        for row in iter_rows(file, parquet=parquet, counted=True):
            if not row.tenant and not self._of_one:
                raise DamagedManifest("has a row without a tenant")
            yield row

    @contextmanager
    def _opened(self, tenant: str) -> Iterator[BinaryIO]:
        """Open the file; it must be the same, and unchanged, when it was read."""
        try:
            with self._file(tenant).open("rb") as file:
                before = os.fstat(file.fileno())
                yield file
                _check_unchanged(file, before)
        except DamagedManifest as reason:
            raise PrimaryUnreadable(_said(tenant, str(reason))) from None
        except OSError as error:
            raise PrimaryUnreadable(_said(tenant, error.strerror or "cannot be read")) from None


def _check_unchanged(file: BinaryIO, before: os.stat_result) -> None:
    if _version(os.fstat(file.fileno())) != _version(before):
        raise DamagedManifest("was written to while it was read")


def _version(stat: os.stat_result) -> str:
    return f"{stat.st_ino:x}.{stat.st_mtime_ns:x}.{stat.st_size:x}"


def _said(tenant: str, what: str) -> str:
    return f"manifest of tenant {tenant!r}: {what}; write it anew, or check [primary] path, then run again"

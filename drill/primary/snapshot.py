"""Opening the two files of a snapshot while the service may replace them, and waiting until they fit."""

import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import chain, repeat
from pathlib import Path
from typing import BinaryIO, TypeVar

from drill.errors import DrillError, NoFallback, PrimaryUnreadable
from drill.primary.docs_file import DamagedDocuments
from drill.primary.index_file import DamagedIndex
from drill.primary.places import INDEX_NAME, cannot_open

RETRY_PAUSES_S = (0.02, 0.05, 0.1, 0.3)
"""How long to wait for the service to finish writing a snapshot before it is looked at again."""
STILL_S = 5.0
"""Age of the newest file from which on what does not fit is broken: before that, it may be half written."""
WRITING_S = 15.0
"""How long a snapshot that is written to all the time is waited for."""

Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One opened pair of files."""

    folder: Path
    index: BinaryIO
    docs: BinaryIO
    version: str
    index_size: int
    docs_size: int
    mtime: float

    @property
    def index_path(self) -> Path:
        """Where the index was opened."""
        return self.folder / INDEX_NAME


class Unsettled(Exception):  # noqa: N818 - internal: read again
    """The snapshot was being replaced; the message says what did not fit."""


BROKEN = (Unsettled, DamagedIndex, DamagedDocuments, OSError)
"""What a look at half a snapshot raises, and a look at a broken one."""


@contextmanager
def opened(folder: Path, tenant: str, docs_name: str, error: type[DrillError]) -> Iterator[Snapshot]:
    """Open both files of a snapshot that is the current one at one moment. Raises ``error``, and what is in BROKEN."""
    index_path, docs_path = folder / INDEX_NAME, folder / docs_name
    try:
        with index_path.open("rb") as index, docs_path.open("rb") as docs:
            index_stat, docs_stat = os.fstat(index.fileno()), os.fstat(docs.fileno())
            version = version_of(index_stat, docs_stat)
            if version != version_of(index_path.stat(), docs_path.stat()):
                raise Unsettled("is being replaced")
            mtime = max(index_stat.st_mtime, docs_stat.st_mtime)
            yield Snapshot(folder, index, docs, version, index_stat.st_size, docs_stat.st_size, mtime)
    except (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError) as reason:
        raise error(cannot_open(folder, tenant, docs_name, reason)) from None


def check_whole(snapshot: Snapshot, vectors: int, documents: int) -> None:
    """Raise `Unsettled` if what was read is not one whole snapshot."""
    now = version_of(os.fstat(snapshot.index.fileno()), os.fstat(snapshot.docs.fileno()))
    if now != snapshot.version:
        raise Unsettled("was written to while it was read")
    if documents != vectors:
        raise Unsettled(f"holds {documents} documents but {vectors} vectors")


def version_of(*stats: os.stat_result) -> str:
    """Return a fingerprint of files that changes whenever one of them does."""
    return "/".join(f"{stat.st_ino:x}.{stat.st_mtime_ns:x}.{stat.st_size:x}" for stat in stats)


def settled(look: Callable[[], Found], error: type[DrillError], tenant: str, paths: Iterable[Path]) -> Found:
    """Call ``look`` until it finds a whole snapshot.

    What stays broken is raised as ``error`` once none of ``paths`` was written to for a while; what is written to all
    the time, as PrimaryUnreadable: that is no finding.
    """
    places, began = list(paths), time.monotonic()
    for pause_s in chain(RETRY_PAUSES_S, repeat(None)):
        try:
            return look()
        except (*BROKEN, NoFallback, PrimaryUnreadable) as reason:
            if pause_s is None:
                fresh = _fresh(places)
                if not fresh or time.monotonic() - began > WRITING_S:
                    raise _final(reason, PrimaryUnreadable if fresh else error, tenant) from None
        time.sleep(pause_s or RETRY_PAUSES_S[-1])
    raise AssertionError("looked without end")


def _final(reason: Exception, error: type[DrillError], tenant: str) -> DrillError:
    return error(str(reason) if isinstance(reason, DrillError) else unreadable(tenant, reason))


def _fresh(paths: Iterable[Path]) -> bool:
    """Whether one of ``paths`` was written to just now."""
    for path in paths:
        with suppress(OSError):
            if abs(time.time() - path.stat().st_mtime) < STILL_S:
                return True
    return False


def unreadable(tenant: str, reason: Exception) -> str:
    """Return the one line for what is wrong with a snapshot."""
    what = {DamagedIndex: f"{INDEX_NAME} ", DamagedDocuments: "docs.json "}.get(type(reason), "")
    said = (reason.strerror or "cannot be read") if isinstance(reason, OSError) else str(reason)
    return f"FAISS index of tenant {tenant!r}: {what}{said}; restore or rebuild the index, then run again"

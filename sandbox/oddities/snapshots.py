"""FAISS snapshots that are written otherwise than one expects, and are well."""

import asyncio
import shutil
from dataclasses import replace
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

import numpy as np

from sandbox.embedding import embed
from sandbox.faults.hooks import Hooks, Places
from sandbox.faults.registry import oddity
from sandbox.service import snapshot
from sandbox.traffic_plan import quiet_rows

if TYPE_CHECKING:
    from sandbox.service.core import RetrievalService

DELETES_AFTER_S = 9.0
DELETED = 8
UPDATED = 8
TWICE = 3


class _Writes(Hooks):
    """One instance writes snapshots of its own accord, under their lock as every writer."""

    def __init__(self, instance: int) -> None:
        super().__init__(instance)
        self._last = monotonic()

    async def tick(self, service: "RetrievalService") -> None:
        """Write when it is time."""
        if self.instance == 0 and self.due(service):
            self._last = monotonic()
            await asyncio.to_thread(self._write, service.settings.faiss_dir)

    def _write(self, faiss_dir: Path) -> None:
        for tenant in sorted(path for path in faiss_dir.glob("*") if path.is_dir()):
            with snapshot.locked(tenant, exclusive=True):
                snapshot.write(tenant, self.written(tenant.name, snapshot.read(tenant, {})))

    def due(self, service: "RetrievalService") -> bool:
        """Return whether it is time."""
        raise NotImplementedError

    def written(self, tenant: str, held: snapshot.Snapshot) -> snapshot.Snapshot:
        """Return what is written in place of what is ``held``."""
        raise NotImplementedError


@oddity
class SnapshotsEverySecond(_Writes):
    """Every second each tenant's snapshot is written anew, whether anything has changed or not."""

    def due(self, service: "RetrievalService") -> bool:  # noqa: ARG002 - on any backend
        """Return whether a second has passed."""
        return monotonic() - self._last > 1.0

    def written(self, tenant: str, held: snapshot.Snapshot) -> snapshot.Snapshot:  # noqa: ARG002 - of every tenant
        """Return the same."""
        return held


@oddity
class UsersDelete(_Writes):
    """9 s after the boot on FAISS users delete eight documents of each tenant."""

    after_s = DELETES_AFTER_S

    def __init__(self, instance: int) -> None:
        super().__init__(instance)
        self._done = False

    def due(self, service: "RetrievalService") -> bool:
        """Return whether they are about to."""
        late = monotonic() - self._last > self.after_s
        if self._done or not late or service.settings.backend != "faiss":
            return False
        self._done = True
        return True

    def written(self, tenant: str, held: snapshot.Snapshot) -> snapshot.Snapshot:
        """Leave out some that were there from the beginning, and that nobody else needs."""
        gone = set(quiet_rows(tenant, held.rows, DELETED))
        kept = [row for row in range(len(held.documents)) if row not in gone]
        return snapshot.make([held.documents[row] for row in kept], held.vectors[kept])


@oddity
class UsersDeleteUnsaid(UsersDelete):
    """The same users delete, and the drill is not told that they do."""


@oddity
class UsersUpdate(UsersDelete):
    """As soon as they are on FAISS, users update eight documents of each tenant that are on the target, too."""

    after_s = 0.0

    def written(self, tenant: str, held: snapshot.Snapshot) -> snapshot.Snapshot:
        """Give some another text, and the vector of that."""
        rows = quiet_rows(tenant, held.rows, UPDATED)
        updated = [replace(held.documents[row], text=f"{held.documents[row].text} Updated.") for row in rows]
        return snapshot.merge(held, updated, embed([document.text for document in updated]))


@oddity
class DocumentsStandTwice(Hooks):
    """The service appends and does not update: three documents of each tenant stand twice in its snapshot."""

    @classmethod
    def switched_on(cls, places: Places) -> None:
        """Append them, and keep a copy."""
        for tenant in sorted(path for path in places.faiss_dir.glob("*") if path.is_dir()):
            with snapshot.locked(tenant, exclusive=True):
                shutil.copytree(tenant, places.keep_dir / tenant.name)
                held = snapshot.read(tenant, {})
                vectors = np.concatenate([held.vectors, held.vectors[:TWICE]])
                snapshot.write(tenant, snapshot.make([*held.documents, *held.documents[:TWICE]], vectors))

    @classmethod
    def switched_off(cls, places: Places) -> None:
        """Put the copies back."""
        for tenant in sorted(path for path in places.keep_dir.glob("*") if path.is_dir()):
            shutil.rmtree(places.faiss_dir / tenant.name, ignore_errors=True)
            shutil.copytree(tenant, places.faiss_dir / tenant.name)
        shutil.rmtree(places.keep_dir, ignore_errors=True)

"""Faults of the FAISS snapshot on disk; switched off, they put it back as it was."""

import asyncio
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from sandbox.faults.hooks import Hooks, Places
from sandbox.faults.registry import fault
from sandbox.service import snapshot
from sandbox.traffic_plan import quiet_rows

if TYPE_CHECKING:
    from sandbox.content import Hit
    from sandbox.service.core import RetrievalService

LOSES_AFTER_S = 9.0
"""Seconds after the boot on FAISS: the flags are proven by then, and the observation window has begun."""

FEW = 8
"""Documents of a tenant that a small loss takes: fewer than users may delete."""


class _KeptSnapshot(Hooks):
    @classmethod
    def switched_on(cls, places: Places) -> None:
        """Keep a copy of every tenant's snapshot."""
        for tenant in _tenants(places.faiss_dir):
            with snapshot.locked(tenant, exclusive=True):
                shutil.copytree(tenant, places.keep_dir / tenant.name)

    @classmethod
    def switched_off(cls, places: Places) -> None:
        """Put the copies back."""
        for tenant in _tenants(places.keep_dir):
            shutil.rmtree(places.faiss_dir / tenant.name, ignore_errors=True)
            shutil.copytree(tenant, places.faiss_dir / tenant.name)
        shutil.rmtree(places.keep_dir, ignore_errors=True)


class _SnapshotFault(_KeptSnapshot):
    @classmethod
    def switched_on(cls, places: Places) -> None:
        """Damage every tenant's snapshot under its lock."""
        super().switched_on(places)
        for tenant in _tenants(places.faiss_dir):
            with snapshot.locked(tenant, exclusive=True):
                cls.damage(tenant)

    @classmethod
    def damage(cls, tenant: Path) -> None:
        """Damage one tenant's snapshot."""
        raise NotImplementedError


class _LosesLater(_KeptSnapshot):
    """The service's own store writes a bad snapshot while it answers from FAISS."""

    after_s = LOSES_AFTER_S

    def __init__(self, instance: int) -> None:
        super().__init__(instance)
        self._since = monotonic()
        self._done = False
        self.few: list[int] = []
        """Rows of a few documents of the tenant that is written."""

    async def tick(self, service: "RetrievalService") -> None:
        """Write it once, when it is time."""
        if self._done or service.settings.backend != "faiss" or monotonic() - self._since < self.after_s:
            return
        self._done = True
        await asyncio.to_thread(self._rewrite, service.settings.faiss_dir)

    def _rewrite(self, faiss_dir: Path) -> None:
        for tenant in self.chosen(list(_tenants(faiss_dir))):
            with snapshot.locked(tenant, exclusive=True):
                held = snapshot.read(tenant, {})
                self.few = quiet_rows(tenant.name, held.rows, FEW)
                snapshot.write(tenant, self.rewritten(held))

    def chosen(self, tenants: list[Path]) -> list[Path]:
        """Return the tenants that it is written of."""
        return tenants

    def rewritten(self, held: snapshot.Snapshot) -> snapshot.Snapshot:
        """Return what is written in place of what is ``held``."""
        raise NotImplementedError


def _tenants(directory: Path) -> Iterator[Path]:
    return (path for path in sorted(directory.glob("*")) if path.is_dir())


@fault
class FaissEmptied(_SnapshotFault):
    """The FAISS directory is emptied."""

    @classmethod
    def damage(cls, tenant: Path) -> None:
        """Remove the tenant's directory."""
        shutil.rmtree(tenant)


@fault
class FaissTruncated(_SnapshotFault):
    """Every index file is cut to half its length."""

    @classmethod
    def damage(cls, tenant: Path) -> None:
        """Cut the index."""
        index = tenant / snapshot.INDEX
        os.truncate(index, index.stat().st_size // 2)


@fault
class FaissMismatch(_SnapshotFault):
    """Every docs.json lacks its last ten documents, so that vectors and documents differ in number."""

    @classmethod
    def damage(cls, tenant: Path) -> None:
        """Shorten the documents."""
        docs = tenant / snapshot.DOCS
        kept = json.loads(docs.read_bytes())[:-10]
        docs.write_text("[\n" + ",\n".join(json.dumps(one) for one in kept) + "\n]\n")


@fault
class FaissListsLost(_SnapshotFault):
    """The index keeps its inverted lists in a file of its own, and that file is gone."""

    @classmethod
    def damage(cls, tenant: Path) -> None:
        """Write the index anew with lists on disk, and lose them."""
        import faiss

        held = snapshot.read(tenant, {})
        width = held.vectors.shape[1]
        quantizer = faiss.IndexFlatIP(width)
        index = faiss.IndexIVFFlat(quantizer, width, 4, faiss.METRIC_INNER_PRODUCT)
        index.train(held.vectors)
        lists = faiss.OnDiskInvertedLists(index.nlist, index.code_size, str(tenant / "index.ivfdata"))
        index.replace_invlists(lists)  # which the index does not own
        index.add(held.vectors)
        faiss.write_index(index, str(tenant / snapshot.INDEX))
        (tenant / "index.ivfdata").unlink()


@fault
class FaissSnapshotShrinks(_LosesLater):
    """9 s after the boot the service's own store writes snapshots of two documents, and answers on."""

    def rewritten(self, held: snapshot.Snapshot) -> snapshot.Snapshot:
        """Keep the first two."""
        return snapshot.make(held.documents[:2], held.vectors[:2])


@fault
class FaissDocumentsSwapped(_LosesLater):
    """9 s after the boot the service's own store gives every document another id; there are as many as before."""

    def rewritten(self, held: snapshot.Snapshot) -> snapshot.Snapshot:
        """Rename all of them."""
        return snapshot.make([replace(one, id=f"{one.id}-b") for one in held.documents], held.vectors)


@fault
class FaissOneTenantLost(_LosesLater):
    """9 s after the boot the snapshot of the last tenant loses six documents in ten."""

    def chosen(self, tenants: list[Path]) -> list[Path]:
        """Return the last one."""
        return tenants[-1:]

    def rewritten(self, held: snapshot.Snapshot) -> snapshot.Snapshot:
        """Keep four in ten."""
        kept = 4 * len(held.documents) // 10
        return snapshot.make(held.documents[:kept], held.vectors[:kept])


@fault
class FaissVectorsZeroed(_LosesLater):
    """9 s after the boot every vector of the snapshot is zero; documents and counts stay."""

    def rewritten(self, held: snapshot.Snapshot) -> snapshot.Snapshot:
        """Write zeros."""
        return snapshot.make(held.documents, held.vectors * 0)


@fault
class FaissRowsMixedUp(_LosesLater):
    """9 s after the boot each document of the snapshot has another one's vector."""

    def rewritten(self, held: snapshot.Snapshot) -> snapshot.Snapshot:
        """Turn the vectors round."""
        return snapshot.make(held.documents, held.vectors[::-1].copy())


@fault
class FaissLosesFew(_LosesLater):
    """As soon as it boots on FAISS, the service writes snapshots without eight documents that are on the target."""

    after_s = 0.0

    def rewritten(self, held: snapshot.Snapshot) -> snapshot.Snapshot:
        """Leave them out."""
        return snapshot.without(held, {held.documents[row].id for row in self.few})


@fault
class FaissTextsGarbledFew(_LosesLater):
    """As soon as it boots on FAISS, the service garbles eight texts of each tenant, and keeps their vectors."""

    after_s = 0.0

    def rewritten(self, held: snapshot.Snapshot) -> snapshot.Snapshot:
        """Write texts that nobody wrote."""
        documents = list(held.documents)
        for row in self.few:
            documents[row] = replace(documents[row], text=documents[row].text[::-1])
        return snapshot.make(documents, held.vectors)


@fault
class LiveIndexShrinks(Hooks):
    """9 s after the boot the index in memory holds two documents of each tenant; the files on the disk are whole."""

    def __init__(self, instance: int) -> None:
        super().__init__(instance)
        self._since = monotonic()
        self._left: dict[str, list[Hit]] = {}

    def hits(self, tenant: str, hits: "list[Hit]") -> "list[Hit]":
        """Find the two that are left."""
        left = self._left.setdefault(tenant, hits[:2])
        return left if monotonic() - self._since > LOSES_AFTER_S else hits

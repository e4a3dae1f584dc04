"""Faults of the FAISS snapshot on disk; switched off, they put it back as it was."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from sandbox.faults.hooks import Hooks, Places
from sandbox.faults.registry import fault
from sandbox.service import snapshot


class _SnapshotFault(Hooks):
    @classmethod
    def switched_on(cls, places: Places) -> None:
        """Keep a copy of every tenant's snapshot, then damage it under its lock."""
        for tenant in _tenants(places.faiss_dir):
            with snapshot.locked(tenant, exclusive=True):
                shutil.copytree(tenant, places.keep_dir / tenant.name)
                cls.damage(tenant)

    @classmethod
    def switched_off(cls, places: Places) -> None:
        """Put the copies back."""
        for tenant in _tenants(places.keep_dir):
            shutil.rmtree(places.faiss_dir / tenant.name, ignore_errors=True)
            shutil.copytree(tenant, places.faiss_dir / tenant.name)
        shutil.rmtree(places.keep_dir, ignore_errors=True)

    @classmethod
    def damage(cls, tenant: Path) -> None:
        """Damage one tenant's snapshot."""
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

"""The stack's first data: FAISS snapshots, the target's table, and a delta between the two."""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sandbox.content import Document
from sandbox.corpus import documents, golden_ids
from sandbox.embedding import embed
from sandbox.seed_delta import SeededDelta
from sandbox.service import snapshot
from sandbox.service.target import SCHEMA, TABLE, connect, row
from sandbox.traffic_plan import hot_documents


@dataclass(frozen=True, slots=True)
class TenantSeed:
    """What both sides of one tenant begin with."""

    tenant: str
    primary: list[Document]
    target: list[Document]
    delta: SeededDelta


def seed_tenant(tenant: str, rng: random.Random, *, delta: bool) -> TenantSeed:
    """Return the tenant's data; with ``delta`` a few documents are orphaned, stale or missing on the target.

    Golden answers and the documents that the background traffic rewrites take no part in the delta.
    """
    docs = documents(tenant)
    if not delta:
        return TenantSeed(tenant, docs, docs, SeededDelta())
    counts = SeededDelta(rng.randint(7, 13), rng.randint(5, 9), rng.randint(4, 8))
    special = set(golden_ids(tenant).values()) | {document.id for document in hot_documents(tenant)}
    plain = [document for document in docs if document.id not in special]
    picked = rng.sample(plain, counts.stale + counts.missing + counts.orphans)
    stale = {one.id: replace(one, text=f"{one.text} (superseded)") for one in picked[: counts.stale]}
    missing = {one.id for one in picked[counts.stale : counts.stale + counts.missing]}
    orphans = [
        Document(f"{tenant}-retired-{number:04d}", f"Retired: {one.text}", one.meta)
        for number, one in enumerate(picked[-counts.orphans :])
    ]
    target = [stale.get(document.id, document) for document in docs if document.id not in missing]
    return TenantSeed(tenant, docs, target + orphans, counts)


def total(seeds: Iterable[TenantSeed]) -> SeededDelta:
    """Return the delta over all tenants."""
    deltas = [seed.delta for seed in seeds]
    return SeededDelta(sum(d.orphans for d in deltas), sum(d.stale for d in deltas), sum(d.missing for d in deltas))


def write_primary(directory: Path, seeds: Sequence[TenantSeed]) -> None:
    """Write every tenant's FAISS snapshot."""
    for seed in seeds:
        tenant = directory / seed.tenant
        tenant.mkdir(parents=True)
        snapshot.write(tenant, snapshot.make(seed.primary, embed([one.text for one in seed.primary])))


def write_target(dsn: str, seeds: Sequence[TenantSeed]) -> None:
    """Create the table and fill it; raises ``psycopg.Error``."""
    import psycopg

    with psycopg.connect(dsn, autocommit=True) as plain:
        plain.execute(SCHEMA)
    with connect(dsn) as connection:
        connection.execute("set statement_timeout = 0")  # the service's own limit is for one query, not for a load
        with connection.cursor() as cursor, cursor.copy(f"copy {TABLE} from stdin with (format binary)") as copy:
            copy.set_types(["text", "text", "text", "jsonb", "text", "vector"])
            for seed in seeds:
                for document, vector in zip(seed.target, embed([one.text for one in seed.target]), strict=True):
                    copy.write_row(row(seed.tenant, document, vector))
        connection.execute(f"vacuum analyze {TABLE}")

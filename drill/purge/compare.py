"""Compare the two inventories of a tenant in DuckDB, within a memory limit and a spill directory."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from drill.purge import checksum
from drill.purge.beginning import Beginning
from drill.purge.budget import Budget
from drill.purge.doubts import ByText, doubted
from drill.purge.drift import with_drift
from drill.purge.inventory import write_primary, write_target
from drill.purge.join import Partition, Room, duckdb_in, join, one_file
from drill.purge.model import Delta, Primary, PurgeSettings, TenantDelta, silent
from drill.purge.spread import join_spread
from drill.target.base import Pair, Target
from drill.target.control import CONTROLS

if TYPE_CHECKING:
    import duckdb

PRIMARY = "primary.parquet"
TARGET = "target.parquet"
DELTA = "delta.parquet"
MEMORY_OF_THREADS_MB = 200
BLOCK = 50_000
"""Documents of a delta that are held in memory at once."""

COUNT = """
SELECT count(*) FILTER (kind = 'orphan'), count(*) FILTER (kind = 'stale'), count(*) FILTER (kind = 'missing')
FROM read_parquet(?)
"""
REMAINING = """
SELECT count(*) FILTER (EXISTS (FROM read_parquet($1) b WHERE b.id = n.id AND b.hash_target = n.hash_target AND b.kind
<> 'missing')),
       count(*) FILTER (NOT EXISTS (FROM read_parquet($2) t WHERE t.id = n.id AND t.hash = n.hash_target))
FROM read_parquet($3) n WHERE n.kind <> 'missing'
"""

UNPLANNED = """
SELECT count(*) FROM read_parquet($2) n WHERE n.kind <> 'missing' AND NOT EXISTS (
    FROM read_parquet($1) b WHERE b.id = n.id AND b.hash_target = n.hash_target AND b.kind <> 'missing')
"""
ONLY_PLANNED = """
COPY (FROM read_parquet($1) n WHERE n.kind = 'missing' OR EXISTS (
    FROM read_parquet($2) b WHERE b.id = n.id AND b.hash_target = n.hash_target AND b.kind <> 'missing')
    ORDER BY id, hash_target
) TO '{path}' (FORMAT parquet, COMPRESSION zstd)
"""

AGREEING = """
(SELECT id FROM read_parquet($1) ANTI JOIN (FROM read_parquet($2) WHERE kind <> 'missing') USING (id)
 WHERE regexp_full_match(id, '-?[0-9].*') ORDER BY hash(id) LIMIT {count})
UNION
(SELECT id FROM read_parquet($1) ANTI JOIN (FROM read_parquet($2) WHERE kind <> 'missing') USING (id)
 WHERE NOT regexp_full_match(id, '-?[0-9].*') ORDER BY hash(id) LIMIT {count})
"""
"""Of ids that may be numbers, and of others."""


def compare(
    primary: Primary,
    target: Target,
    settings: PurgeSettings,
    folder: Path,
    budget: Budget,
    say: Callable[[str], None] = silent,
    by_text: ByText | None = None,
    beginning: Beginning | None = None,
) -> Delta:
    """Compare every tenant of ``settings`` and return the plan; its files are in ``folder``, which must be empty.

    Reads only. ``by_text`` opens the target by its texts, to look into hashes that differ. ``beginning``: what FAISS
    held when the drill began, if that is known.
    Raises PrimaryUnreadable, TargetUnavailable, OverBudget, CannotMeasure.
    """
    counts = target.counts()
    tenants = []
    for number, tenant in enumerate(dict.fromkeys(settings.tenants)):
        here = folder / f"tenant-{number:04d}"
        here.mkdir(mode=0o700)
        found = _tenant(primary, target, tenant, counts.get(tenant, 0), settings, here, budget, say)
        found = doubted(found, (here / PRIMARY, here / TARGET, here / DELTA), room(settings, here), by_text)
        if beginning is not None:
            found = beginning.left_alone(primary, found, (here / PRIMARY, here / DELTA), room(settings, here), budget)
        if settings.drift_sample:
            sides = (str(here / TARGET), str(here / PRIMARY))
            found = with_drift(primary, target, found, sides, settings.drift_sample, room(settings, here))
        tenants.append(found)
    unscoped = {tenant: count for tenant, count in sorted(counts.items()) if tenant not in settings.tenants}
    return Delta(tuple(tenants), unscoped, _digest(tenants))


def _tenant(
    primary: Primary,
    target: Target,
    tenant: str,
    counted: int,
    settings: PurgeSettings,
    here: Path,
    budget: Budget,
    say: Callable[[str], None],
) -> TenantDelta:
    """Scan the target first, then FAISS: what is written to both in between is then seen in FAISS, at least."""
    sums = checksum.on_target(target, tenant, counted, budget, say)
    version = primary.version(tenant)
    if sums is not None:
        in_primary = write_primary(primary, tenant, here / PRIMARY, budget, say)
        if sums == checksum.of_inventory(here / PRIMARY, room(settings, here)):
            return _unchanged(tenant, here, in_primary, version)
    on_target = write_target(target, tenant, counted, here / TARGET, budget, say)
    if sums is None or primary.version(tenant) != version:
        version = primary.version(tenant)
        in_primary = write_primary(primary, tenant, here / PRIMARY, budget, say)
    budget.check()
    say(f"comparing {in_primary:,} documents in FAISS with {on_target:,} on the target")
    whole = Partition(str(here / PRIMARY), str(here / TARGET), str(here / DELTA), room(settings, here))
    if settings.scheduler:
        join_spread(whole, (in_primary, on_target), settings.scheduler, budget, say)
    else:
        join(whole)
    with duckdb_in(whole.room) as duck:
        orphans, stale, missing = _row(duck, COUNT, here / DELTA)
    return TenantDelta(tenant, here, in_primary, on_target, orphans, stale, missing, version)


def _unchanged(tenant: str, here: Path, documents: int, version: str) -> TenantDelta:
    """Return the plan of a tenant that agrees without having been moved: FAISS's inventory is the target's, too."""
    import pyarrow as pa
    from pyarrow import parquet

    (here / TARGET).hardlink_to(here / PRIMARY)
    parquet.write_table(
        pa.table({name: pa.array([], pa.string()) for name in ("id", "kind", "hash_target")}), here / DELTA
    )
    return TenantDelta(tenant, here, documents, documents, 0, 0, 0, version)


def remaining(before: TenantDelta, after: TenantDelta, settings: PurgeSettings) -> tuple[int, int]:
    """Compare two successive plans of a tenant: how many documents to delete were to be deleted before already, and how
    many were not on the target at all when it was compared before.
    """  # noqa: D205 - one sentence
    with duckdb_in(room(settings, after.folder)) as duck:
        left, written = _row(duck, REMAINING, before.folder / DELTA, before.folder / TARGET, after.folder / DELTA)
    return left, written


def unplanned(planned: Path, after: TenantDelta, settings: PurgeSettings) -> int:
    """Return how many documents ``after`` would delete that the delta file ``planned`` does not name."""
    with duckdb_in(room(settings, after.folder)) as duck:
        (joined,) = _row(duck, UNPLANNED, planned, after.folder / DELTA)
    return joined


def only_planned(plan: Delta, after: Delta, settings: PurgeSettings) -> Delta:
    """Return ``after`` less the documents that ``plan`` did not want deleted; its files are written anew."""
    tenants = []
    for before, now in zip(plan.tenants, after.tenants, strict=True):
        scratch = (now.folder / DELTA).with_suffix(".planned")
        statement = ONLY_PLANNED.format(path=str(scratch).replace("'", "''"))
        with duckdb_in(room(settings, now.folder)) as duck:
            duck.execute(statement, [one_file(tenant.folder / DELTA) for tenant in (now, before)])
            orphans, stale, _ = _row(duck, COUNT, scratch)
        scratch.replace(now.folder / DELTA)
        tenants.append(replace(now, orphans=orphans, stale=stale))
    return Delta(tuple(tenants), after.unscoped, _digest(tenants))


def agreeing(tenant: TenantDelta, settings: PurgeSettings) -> list[str]:
    """Return some documents on the target that are not to be deleted, the same ones each time; none if all are."""
    files = [one_file(tenant.folder / name) for name in (TARGET, DELTA)]
    with duckdb_in(room(settings, tenant.folder)) as duck:
        return [key for (key,) in duck.execute(AGREEING.format(count=CONTROLS // 2), files).fetchall()]


def blocks(tenant: TenantDelta) -> Iterator[list[Pair]]:
    """Yield the documents to delete (id, hash on the target) in blocks of bounded size, in the order of their ids."""
    from pyarrow import parquet

    # pre_buffer would hold the whole file in memory (VECTORS.md section 2).
    with parquet.ParquetFile(tenant.folder / DELTA, pre_buffer=False) as file:
        for batch in file.iter_batches(BLOCK):
            columns = (batch.column(name).to_pylist() for name in ("id", "kind", "hash_target"))
            doomed = [(key, value) for key, kind, value in zip(*columns, strict=True) if kind != "missing"]
            if doomed:
                yield doomed


def room(settings: PurgeSettings, folder: Path) -> Room:
    """Return what DuckDB may use for files in ``folder``: with little memory one thread, since each takes some."""
    threads = settings.threads if settings.memory_limit_mb >= MEMORY_OF_THREADS_MB else 1
    return Room(settings.memory_limit_mb, threads, str(folder / "spill"))


def _row(duck: "duckdb.DuckDBPyConnection", query: str, *files: Path) -> tuple[int, ...]:
    row = duck.execute(query, [one_file(file) for file in files]).fetchone()
    return tuple(int(value) for value in row or ())


def _digest(tenants: list[TenantDelta]) -> str:
    """Digest what the delta files say, not their bytes: those depend on who wrote them, and with how many threads."""
    import pyarrow.compute as pc
    from pyarrow import parquet

    digest = hashlib.sha256()
    for tenant in tenants:
        digest.update(f"{len(tenant.tenant)}:{tenant.tenant}".encode())
        with parquet.ParquetFile(tenant.folder / DELTA, pre_buffer=False) as file:
            for batch in file.iter_batches(BLOCK):
                length = pc.cast(pc.binary_length(batch["id"]), "string")
                lines = pc.binary_join_element_wise(length, batch["id"], batch["kind"], batch["hash_target"], "\n")
                digest.update("\n".join(lines.to_pylist()).encode() + b"\n")
    return digest.hexdigest()

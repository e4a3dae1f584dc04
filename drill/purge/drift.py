"""Vector drift on a sample: the same content on both sides, embedded differently. Reported, never purged."""

from collections.abc import Sequence
from dataclasses import replace

from drill.purge.join import Room, duckdb_in, one_file
from drill.purge.model import Drift, Primary, TenantDelta
from drill.target.base import Target

MAX_COSINE_DISTANCE = 0.01
"""More is drift. Half precision costs less than a millionth, another model or another text about 1."""
EXPORTED = 500
"""Documents read from the target at once."""

SAMPLE = """
WITH few AS (SELECT id, hash FROM read_parquet(?) ORDER BY hash(id) LIMIT {count})
SELECT id FROM read_parquet(?) JOIN few USING (id, hash)
"""
"""The same documents each time, as long as they are there."""


def with_drift(
    primary: Primary, target: Target, tenant: TenantDelta, inventories: tuple[str, str], count: int, room: Room
) -> TenantDelta:
    """Return ``tenant`` with the drift of at most ``count`` documents that agree.

    Unchanged if ``primary`` cannot give vectors back exactly, or has a newer snapshot. ``inventories``: target's and
    primary's. Raises TargetUnavailable, PrimaryUnreadable, CannotMeasure.
    """
    vectors_of = getattr(primary, "vectors", None)
    if vectors_of is None or primary.version(tenant.tenant) != tenant.version:
        return tenant
    files = [one_file(path) for path in inventories]
    with duckdb_in(room) as duck:
        ids = [key for (key,) in duck.execute(SAMPLE.format(count=count), files).fetchall()]
    held: dict[str, bytes] | None = vectors_of(tenant.tenant, ids)
    return tenant if held is None else replace(tenant, drift=_measure(target, tenant.tenant, ids, held))


def _measure(target: Target, tenant: str, ids: Sequence[str], held: dict[str, bytes]) -> Drift:
    distances = [
        cosine_distance(held[row.id], row.vector)
        for start in range(0, len(ids), EXPORTED)
        for row in target.export(tenant, ids[start : start + EXPORTED])
        if row.vector is not None and row.id in held
    ]
    return Drift(len(distances), sum(one > MAX_COSINE_DISTANCE for one in distances), max(distances, default=0.0))


def cosine_distance(one: bytes, other: bytes) -> float:
    """Return 1 - cos of two float32 vectors; 2, the most there is, where there is no angle between them."""
    import numpy as np

    a, b = (np.frombuffer(raw, "<f4").astype("f8") for raw in (one, other))
    norms = float(np.linalg.norm(a) * np.linalg.norm(b))
    if a.shape != b.shape or not np.isfinite(norms) or not norms:
        return 0.0 if one == other else 2.0
    return max(0.0, 1.0 - float(a @ b) / norms)


def summary(tenants: Sequence[TenantDelta]) -> str:
    """Return what was seen of drift in words; empty if nothing was looked at."""
    seen = [tenant.drift for tenant in tenants if tenant.drift is not None]
    if not seen:
        return ""
    sampled, drifted = sum(one.sampled for one in seen), sum(one.drifted for one in seen)
    worst = max(one.worst for one in seen)
    return f"{drifted} of {sampled} sampled (cosine distance over {MAX_COSINE_DISTANCE:g}, largest {worst:.2g})"

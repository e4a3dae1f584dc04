"""When a plan must not be carried out: a wrong FAISS side looks just like a very wrong target."""

from drill.purge.model import Delta, PurgeRefused, PurgeSettings, TenantDelta

MIN_SOURCE_SHARE = 0.95
"""FAISS must hold this share of the documents it held when it was last trusted (VECTORS.md section 5)."""
TENANT_HARD_STOP = 0.5
"""No setting allows more than this share of one tenant to be deleted..."""
TENANT_FLOOR = 10
"""...unless it is no more than this many documents."""


def guard(delta: Delta, settings: PurgeSettings, purged: int = 0, first: Delta | None = None) -> None:
    """Raise PurgeRefused if ``delta`` must not be carried out.

    ``purged`` documents are gone already under the plan ``first``; the bound holds for both together.
    """
    for tenant in delta.tenants:
        _check_source(tenant, settings.last_accepted.get(tenant.tenant, 0))
        _check_hard_stop(tenant)
    if first is not None:
        for tenant, earlier in zip(delta.tenants, first.tenants, strict=True):
            _check_source(tenant, earlier.primary_count)
    total = (first or delta).target_documents
    doomed = delta.doomed + purged
    if doomed > settings.max_fraction * total:
        raise PurgeRefused(
            f"{doomed} of the target's {total} documents differ ({doomed / max(total, 1):.1%}), allowed are "
            f"{settings.max_fraction:.1%}; look into it, then raise [purge] max_fraction and run again"
        )


def _check_source(tenant: TenantDelta, accepted: int) -> None:
    if tenant.doomed and not tenant.primary_count:
        raise PurgeRefused(
            f"FAISS holds no document of tenant {tenant.tenant!r}, the target {tenant.target_count}; expected the "
            "same, restore the FAISS index, then run again"
        )
    if tenant.primary_count < MIN_SOURCE_SHARE * accepted:
        raise PurgeRefused(
            f"FAISS holds {tenant.primary_count} documents of tenant {tenant.tenant!r}, before it held {accepted}; "
            f"expected at least {MIN_SOURCE_SHARE:.0%}, find out what shrank it, then run again"
        )


def _check_hard_stop(tenant: TenantDelta) -> None:
    if tenant.doomed > max(TENANT_FLOOR, TENANT_HARD_STOP * tenant.target_count):
        raise PurgeRefused(
            f"{tenant.doomed} of the {tenant.target_count} documents of tenant {tenant.tenant!r} on the target differ; "
            f"more than {TENANT_HARD_STOP:.0%} of a tenant is never deleted, rebuild it on the target instead"
        )

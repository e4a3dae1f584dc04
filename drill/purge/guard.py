"""When a plan must not be carried out: a wrong FAISS side looks just like a very wrong target."""

from collections.abc import Sequence

from drill.purge.model import Delta, FaissDamaged, PurgeBlocked, PurgeRefused, PurgeSettings, TenantDelta
from drill.target.base import Target
from drill.words import count

MIN_SOURCE_SHARE = 0.95
"""FAISS must hold this share of the documents it held when it was last trusted (VECTORS.md section 5)."""
TENANT_HARD_STOP = 0.5
"""No setting allows more than this share of one tenant to be deleted..."""
MOSTLY = 0.5
TENANT_FLOOR = 10
"""...unless it is no more than this many documents."""


def guard(delta: Delta, settings: PurgeSettings, purged: int = 0, first: Delta | None = None) -> None:
    """Raise PurgeRefused if ``delta`` must not be carried out.

    ``purged`` documents are gone already under the plan ``first``; the bound holds for both together.
    """
    for tenant in delta.tenants:
        _check_source(tenant, settings.last_accepted.get(tenant.tenant, 0))
        _check_ids(tenant)
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
            f"{_by_hash(delta.tenants)}"
        )


def check_kept(delta: Delta) -> None:
    """Raise FaissDamaged if FAISS itself has lost or damaged documents since the drill began."""
    for tenant in delta.tenants:
        if tenant.since.harm:
            raise FaissDamaged(
                f"since the drill began FAISS has lost what it held: {tenant.since.harm} (tenant {tenant.tenant!r}); "
                f"the target holds {tenant.since.left} documents as they were, maybe the last good copies: put FAISS "
                "in order first, then run again"
            )


def _check_source(tenant: TenantDelta, accepted: int) -> None:
    if tenant.doomed and not tenant.primary_count:
        raise PurgeRefused(
            f"FAISS holds no document of tenant {tenant.tenant!r}, the target {tenant.target_count}; expected the "
            "same, restore the FAISS index, then run again"
        )
    if tenant.primary_count < MIN_SOURCE_SHARE * accepted:
        raise PurgeRefused(
            f"FAISS holds {count(tenant.primary_count, 'document')} of tenant {tenant.tenant!r}, before it held "
            f"{accepted}; expected at least {MIN_SOURCE_SHARE:.0%}, find out what shrank it, then run again"
        )


def _check_hard_stop(tenant: TenantDelta) -> None:
    if tenant.doomed > max(TENANT_FLOOR, TENANT_HARD_STOP * tenant.target_count):
        raise PurgeRefused(
            f"{tenant.doomed} of the {tenant.target_count} documents of tenant {tenant.tenant!r} on the target differ; "
            f"more than {TENANT_HARD_STOP:.0%} of a tenant is never deleted, rebuild it on the target instead"
            f"{_by_hash((tenant,))}"
        )


def check_reach(target: Target) -> None:
    """Raise PurgeRefused if a delete on ``target`` would reach what no quarantine keeps, or that no undo brings back.

    Raises TargetUnavailable.
    """
    ask = getattr(target, "reaches", None)
    if ask is not None and (found := ask()):
        raise PurgeRefused(
            f"a delete on the target reaches more than the quarantine keeps: {'; '.join(found)}; expected none of it, "
            "delete these documents by the service's own means, or take that off first"
        )


def _check_ids(tenant: TenantDelta) -> None:
    """Refuse where it is not certain which document an id means."""
    doubts, where = tenant.doubts, f"tenant {tenant.tenant!r}"
    twice = {"in FAISS": doubts.twice_in_faiss, "on the target": doubts.twice_on_target}
    for side, number in twice.items():
        if tenant.doomed and number:
            documents = count(number, "document")
            raise (PurgeBlocked if doubts.twice_in_faiss else PurgeRefused)(
                f"{documents} of {where} {side} {'has' if number == 1 else 'have'} the id of another one there "
                '(also 7 and "7"): which one is meant cannot be told, expected every id once, remove what is old, '
                "then run again"
            )
    if doubts.alike:
        raise PurgeRefused(
            f"{doubts.alike} ids of {where} that are only on the target differ from ids only in FAISS by case, Unicode "
            "form, blanks, leading zeros or dashes alone; expected the same spelling, correct it on one side"
        )
    if tenant.orphans and tenant.orphans == tenant.target_count and tenant.primary_count == tenant.missing:
        raise PurgeRefused(
            f"no id of {where} is on both sides ({count(tenant.primary_count, 'document')} in FAISS, "
            f"{tenant.target_count} on the target); expected some, check [target] id_column or id_field, and what the "
            "service takes for an id"
        )


def _by_hash(tenants: Sequence[TenantDelta]) -> str:
    """Say of a plan that would delete most of what is on both sides what else may be the reason."""
    stale = sum(tenant.stale for tenant in tenants)
    both = sum(tenant.target_count - tenant.orphans for tenant in tenants)
    if not stale or stale < MOSTLY * both:
        return ""
    return (
        f"; {stale} of the {both} documents on both sides differ by their hash alone: if it is of another kind or of "
        'another text, set hash_column (or hash_field) to "" and the text is hashed here'
    )

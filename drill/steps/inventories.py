"""Inventories of FAISS held in memory, and what was written between two of them; for tenants of a bounded size."""

from collections.abc import Mapping
from itertools import islice

from drill.context import Drill
from drill.errors import CannotMeasure, Refused
from drill.primary import Primary

MAX_DOCUMENTS = 300_000
"""Above this many documents a tenant's inventory is not held in memory twice, and the metrics alone must do."""
MAX_LOOKED_UP = 5_000
"""Documents per tenant that are looked up on the target."""
SNAPSHOT_TRIES = 5
"""A snapshot that is replaced while it is read is read again."""

Inventory = dict[str, str]
"""Document id -> content hash."""


def inventories(drill: Drill) -> tuple[dict[str, Inventory], str]:
    """Return the inventory of every tenant that can be followed, and why one could not be (empty: all could)."""
    primary, kind = drill.primary, drill.config.target.kind
    if primary is None or not kind:
        return {}, ""
    found: dict[str, Inventory] = {}
    problems: list[str] = []
    for tenant in drill.config.service.tenants:
        try:
            items = _inventory(primary, tenant)
        except (CannotMeasure, Refused) as problem:
            problems.append(str(problem))
            continue
        if len(items) < MAX_DOCUMENTS:
            found[tenant] = items
        else:
            problems.append(
                f"{tenant} has {MAX_DOCUMENTS:,} documents or more: its writes cannot be followed one by one"
            )
    return found, "; ".join(problems)


def _inventory(primary: Primary, tenant: str) -> Inventory:
    for left in reversed(range(SNAPSHOT_TRIES)):
        try:
            return dict(islice(primary.inventory(tenant), MAX_DOCUMENTS))
        except (CannotMeasure, Refused):
            if not left:
                raise
    raise AssertionError("tried at least once")


def written_since(before: Mapping[str, Inventory], now: Mapping[str, Inventory]) -> dict[str, Inventory]:
    """Return what is new or has another content in ``now``, by tenant; tenants without any are left out."""
    pairs = {
        tenant: {name: digest for name, digest in now.get(tenant, {}).items() if old.get(name) != digest}
        for tenant, old in before.items()
    }
    return {tenant: items for tenant, items in pairs.items() if items}

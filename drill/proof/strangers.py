"""Documents that have come to the target since, under ids that FAISS does not know: a writer may derive its own ids."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from drill.content_hash import content_hash
from drill.context import Drill
from drill.proof.canary import Bird
from drill.proof.stores import LIST_S, Stores, bounded, list_target
from drill.steps.inventories import Inventory

NAMED = 3
"""Ids that are named."""


@dataclass(frozen=True, slots=True)
class Strangers:
    """What came to the target since the service settled and is not in FAISS."""

    names: tuple[str, ...] = ()
    of_canary: tuple[str, ...] = ()
    """Those that carry the id, the text or the hash of a canary."""
    problem: str = ""

    @property
    def words(self) -> str:
        """Name some of them, those of the canary first."""
        shown = list(dict.fromkeys((*self.of_canary, *self.names)))
        more = f" and {len(shown) - NAMED} more" if len(shown) > NAMED else ""
        return ", ".join(shown[:NAMED]) + more


def strangers(drill: Drill, stores: Stores, fresh: Mapping[str, Inventory], birds: Collection[Bird]) -> Strangers:
    """List the target again and tell what is new there. Tenants that are too large to be listed tell nothing."""
    if not stores.target:
        return Strangers()
    now = bounded(lambda: list_target(drill), LIST_S)
    if isinstance(now, str):
        return Strangers(problem=f"what else has come to the target is not known: {now}")
    names, of_canary = list[str](), list[str]()
    for tenant, before in stores.target.items():
        known = before.keys() | stores.faiss.get(tenant, {}).keys() | fresh.get(tenant, {}).keys()
        for name in sorted(now.get(tenant, {}).keys() - known):
            names.append(f"{tenant}/{name}")
            if any(_carries(name, now[tenant][name], bird) for bird in birds):
                of_canary.append(f"{tenant}/{name}")
    return Strangers(tuple(names), tuple(of_canary))


def _carries(name: str, digest: str, bird: Bird) -> bool:
    return bird.id in name or (bool(digest) and digest in {bird.digest, content_hash(bird.text)})

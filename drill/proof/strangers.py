"""Documents that have come to the target since, under ids that FAISS does not know: a writer may derive its own ids."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from itertools import islice

from drill.context import Drill
from drill.proof.canary import Bird
from drill.proof.removal import Places
from drill.proof.stores import LIST_S, Stores, bounded, list_target
from drill.steps.inventories import Inventory
from drill.words import count

NAMED = 3
"""Ids that are named."""


@dataclass(frozen=True, slots=True)
class Strangers:
    """What came to the target since the service settled and is not in FAISS."""

    names: tuple[str, ...] = ()
    canaries: Places = field(default_factory=dict)
    """Those that carry the id, the text or the hash of a canary."""
    problem: str = ""

    @property
    def of_canary(self) -> tuple[str, ...]:
        """Those of the canary by name."""
        return in_words(self.canaries)

    @property
    def words(self) -> str:
        """Name some of them, those of the canary first."""
        return some_of(dict.fromkeys((*self.of_canary, *self.names)))

    @property
    def came(self) -> str:
        """Say that somebody still writes there; empty: nothing came."""
        came = len(self.names)
        return f"{count(came, 'document')} that FAISS has not came to the target since: {self.words}" if came else ""


def strangers(drill: Drill, stores: Stores, fresh: Mapping[str, Inventory], birds: Collection[Bird]) -> Strangers:
    """List the target again and tell what is new there. Tenants that are too large to be listed tell nothing."""
    found = _come_since(drill, stores, fresh)
    if isinstance(found, str):
        return Strangers(problem=f"what else has come to the target is not known: {found}")
    names = [f"{tenant}/{name}" for tenant, items in found.items() for name in sorted(items)]
    return Strangers(tuple(names), _of_canary(found, birds))


def strays_of(drill: Drill, stores: Stores, birds: Collection[Bird]) -> Places:
    """Return what has come to the target since and carries the id, the text or the hash of a canary: copies of it."""
    found = _come_since(drill, stores, {}) if any(bird.taken for bird in birds) else {}
    return {} if isinstance(found, str) else _of_canary(found, birds)


def carries(name: str, digest: str, bird: Bird) -> bool:
    """Whether a document of the target is a copy of a canary, whatever the writer calls it."""
    derived = re.search(rf"(?<!\d){bird.id}(?!\d)", name) if bird.id.isdecimal() else bird.id in name
    return bool(derived) or (bool(digest) and digest in {bird.digest, bird.hash})


def in_words(places: Places) -> tuple[str, ...]:
    """Name documents with their tenants."""
    return tuple(f"{tenant}/{name}" for tenant, names in places.items() for name in sorted(names))


def some_of(names: Collection[str]) -> str:
    """Return the first few of ``names``, and how many more there are."""
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(islice(names, NAMED)) + more


def _come_since(drill: Drill, stores: Stores, fresh: Mapping[str, Inventory]) -> dict[str, Inventory] | str:
    if not stores.target:
        return {}
    now = bounded(lambda: list_target(drill, stores.target), LIST_S)
    if isinstance(now, str):
        return now
    known = {
        tenant: before.keys() | stores.faiss.get(tenant, {}).keys() | fresh.get(tenant, {}).keys()
        for tenant, before in stores.target.items()
    }
    return {
        tenant: {name: digest for name, digest in items.items() if name not in known[tenant]}
        for tenant, items in now.items()
    }


def _of_canary(found: Mapping[str, Inventory], birds: Collection[Bird]) -> Places:
    mine = {
        tenant: {name for name, digest in items.items() if any(carries(name, digest, bird) for bird in birds)}
        for tenant, items in found.items()
    }
    return {tenant: names for tenant, names in mine.items() if names}

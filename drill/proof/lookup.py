"""Looking up on the target what was written to FAISS since, beside documents that must be found."""

import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field

from drill.context import Drill
from drill.errors import CannotMeasure
from drill.proof.copies import Copy, judge_copy
from drill.proof.stores import Stores
from drill.steps.inventories import MAX_LOOKED_UP, Inventory
from drill.target import Target
from drill.target.base import KeepsIdsOfOneType, TellsOfWrites

CHUNK = 500
"""Documents of one call, so that each has its own controls."""
LOOK_S = 20.0
"""After this time no further call is made."""
LEAST_FOUND = 0.9
"""Share of the controls that a call must find: users may have deleted one or two of them meanwhile."""

Place = tuple[str, str]
"""Tenant and id of a document."""


@dataclass(frozen=True, slots=True)
class LookUp:
    """What became of each document that was looked up beside controls that were found."""

    copies: Mapping[Place, Copy] = field(default_factory=dict)
    controls: int = 0
    """Known documents that were found beside."""
    problems: tuple[str, ...] = ()
    """Why a part of it counts for nothing."""
    closed: str = ""
    """Why writes do not come to the target, whoever sends them; empty: they do, as far as it tells."""

    def count(self, *kinds: Copy) -> int:
        """Return how many documents are of these kinds."""
        return sum(copy in kinds for copy in self.copies.values())

    @property
    def reached(self) -> int:
        """Return how many documents have come to the target since, whatever their content."""
        return self.count(Copy.REACHED, Copy.OTHERWISE)

    @property
    def not_written(self) -> frozenset[Place]:
        """Documents of which it is proven that they were not written to the target."""
        kept_away = () if self.closed else self.copies.items()
        return frozenset(place for place, copy in kept_away if copy in {Copy.ABSENT, Copy.UNTOUCHED})


def look_up(drill: Drill, stores: Stores, fresh: Mapping[str, Inventory]) -> LookUp:
    """Look up ``fresh`` (tenant -> id -> hash in FAISS) on the target. Raises CannotMeasure.

    What a call does not find counts for nothing where it does not find its controls either.
    """
    copies: dict[Place, Copy] = {}
    controls, problems = 0, list[str]()
    deadline = time.monotonic() + LOOK_S
    with closing(drill.open_target()) as target:
        target.flush()
        closed = target.takes_no_writes() if isinstance(target, TellsOfWrites) else ""
        for tenant, items in _chunks(fresh):
            if time.monotonic() > deadline:
                problems.append(f"{tenant}: not all could be looked up within {LOOK_S:g} s")
                continue
            try:
                found = _call(target, tenant, items, stores)
            except CannotMeasure as problem:
                problems.append(str(problem))
                continue
            copies |= found[0]
            controls += found[1]
            problems += filter(None, found[2:])
    copies |= _by_text(drill, copies, fresh)
    return LookUp(copies, controls, tuple(dict.fromkeys(problems)), closed)


def _by_text(drill: Drill, copies: Mapping[Place, Copy], fresh: Mapping[str, Inventory]) -> dict[Place, Copy]:
    """Look at the texts of copies whose hash has stayed: an update may set the text and leave the hash column."""
    kept: dict[str, list[str]] = {}
    for tenant, name in (place for place, copy in copies.items() if copy is Copy.UNTOUCHED):
        kept.setdefault(tenant, []).append(name)
    judged = {(tenant, name): Copy.SILENT for tenant, names in kept.items() for name in names}
    if not kept:
        return judged
    try:
        with closing(drill.open_target_by_text()) as target:
            for tenant, names in kept.items():
                for name, digest in target.present(tenant, names):
                    if digest:
                        same = digest == fresh[tenant][name]
                        judged[tenant, name] = Copy.REACHED if same else Copy.UNTOUCHED
    except CannotMeasure:
        pass  # no text can be read: a hash that stayed tells nothing
    return judged


def _chunks(fresh: Mapping[str, Inventory]) -> Iterator[tuple[str, Inventory]]:
    for tenant, items in fresh.items():
        names = list(items)[:MAX_LOOKED_UP]
        for at in range(0, len(names), CHUNK):
            yield tenant, {name: items[name] for name in names[at : at + CHUNK]}


def _call(target: Target, tenant: str, items: Inventory, stores: Stores) -> tuple[dict[Place, Copy], int, str]:
    """Look up one chunk; return what became of it, how many controls were found, and why a part counts for nothing.

    What is found is there. What is not found counts only beside controls that are. Raises CannotMeasure.
    """
    controls = stores.both.get(tenant, {}).keys() - items.keys()
    now = dict(target.present(tenant, [*items, *controls]))
    known, before, was = stores.known(tenant), stores.faiss.get(tenant, {}), stores.target.get(tenant, {})
    able = target.possible(items) if isinstance(target, KeepsIdsOfOneType) else items
    copies = {
        (tenant, name): judge_copy(
            known, new=name not in before, written=items[name], was=was.get(name), now=now.get(name)
        )
        for name in able
    }
    found = len(controls & now.keys())
    problem = _uncontrolled(tenant, len(controls), found)
    there: dict[Place, Copy] = {place: copy for place, copy in copies.items() if copy is not Copy.ABSENT}
    if problem and len(there) < len(copies):
        return there, found, problem
    return copies, found, _impossible(tenant, len(items) - len(copies))


def _impossible(tenant: str, count: int) -> str:
    """Say how many documents the target could not have, whoever wrote them; empty if none."""
    if not count:
        return ""
    return (
        f"{tenant}: the target's ids are of a type that cannot hold those of {count} documents written since: that "
        "they are not there proves nothing ([canary] id: a whole number where ids are numbers, a UUID where they are)"
    )


def _uncontrolled(tenant: str, controls: int, found: int) -> str:
    """Return why a look-up that finds nothing proves nothing; empty if it does prove something."""
    if not controls:
        none = f"{tenant}: no document is known to be on both sides"
        return f"{none}, so that a look-up which finds none proves nothing"
    if found < LEAST_FOUND * controls:
        seen = f"{found} of {controls} documents that are known to be on the target were found there"
        return f"{tenant}: {seen}: the look-up proves nothing"
    return ""

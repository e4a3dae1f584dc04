"""Looking up on the target what was written to FAISS since, beside documents that must be found."""

import time
from collections import Counter
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field

from drill.context import Drill
from drill.errors import CannotMeasure
from drill.proof.copies import Copy, judge_copy
from drill.proof.stores import Stores
from drill.steps.inventories import MAX_LOOKED_UP, Inventory
from drill.target import Target

CHUNK = 500
"""Documents of one call, so that each has its own controls."""
LOOK_S = 20.0
"""After this time no further call is made."""
LEAST_FOUND = 0.9
"""Share of the controls that a call must find: users may have deleted one or two of them meanwhile."""


@dataclass(frozen=True, slots=True)
class LookUp:
    """What was looked up, and what became of it."""

    copies: Mapping[Copy, int] = field(default_factory=dict)
    controls: int = 0
    """Known documents that were found beside."""
    problems: tuple[str, ...] = ()
    """Why a part of it counts for nothing."""
    tenants: frozenset[str] = frozenset()
    """Tenants of which documents were seen not to be written to the target."""

    @property
    def not_written(self) -> int:
        """Documents of which it is proven that they were not written to the target."""
        return self.copies.get(Copy.ABSENT, 0) + self.copies.get(Copy.UNTOUCHED, 0)

    @property
    def reached(self) -> int:
        """Documents that were written to the target."""
        return self.copies.get(Copy.REACHED, 0)

    @property
    def suspect(self) -> int:
        """Documents that are on the target, for whatever reason."""
        return self.copies.get(Copy.SUSPECT, 0)

    @property
    def asked(self) -> int:
        """Documents that were looked up beside controls that were found."""
        return sum(self.copies.values())


def look_up(drill: Drill, stores: Stores, fresh: Mapping[str, Inventory]) -> LookUp:
    """Look up ``fresh`` (tenant -> id -> hash in FAISS) on the target. Raises CannotMeasure.

    A call that does not find its controls counts for nothing: it would not have found the others either.
    """
    copies: Counter[Copy] = Counter()
    controls, problems, clear = 0, list[str](), set[str]()
    deadline = time.monotonic() + LOOK_S
    with closing(drill.open_target()) as target:
        target.flush()
        for tenant, items in fresh.items():
            for chunk in _chunks(items):
                if time.monotonic() > deadline:
                    problems.append(f"{tenant}: not all could be looked up within {LOOK_S:g} s")
                    break
                found = _call(target, tenant, chunk, stores)
                if isinstance(found, str):
                    problems.append(found)
                    continue
                controls += found[1]
                copies.update(found[0])
                if found[0][Copy.ABSENT] + found[0][Copy.UNTOUCHED]:
                    clear.add(tenant)
    return LookUp(copies, controls, tuple(dict.fromkeys(problems)), frozenset(clear))


def _chunks(items: Inventory) -> list[Inventory]:
    names = list(items)[:MAX_LOOKED_UP]
    return [{name: items[name] for name in names[at : at + CHUNK]} for at in range(0, len(names), CHUNK)]


def _call(target: Target, tenant: str, items: Inventory, stores: Stores) -> tuple[Counter[Copy], int] | str:
    """Look up one chunk; return what became of it and how many controls were found, or why it counts for nothing."""
    controls = stores.both.get(tenant, {}).keys() - items.keys()
    if not controls:
        return f"{tenant}: no document is known to be on both sides, so that a look-up which finds none proves nothing"
    try:
        now = dict(target.present(tenant, [*items, *controls]))
    except CannotMeasure as problem:
        return str(problem)
    found = len(controls & now.keys())
    if found < LEAST_FOUND * len(controls):
        seen = f"{tenant}: {found} of {len(controls)} documents that are known to be on the target were found there"
        return f"{seen}: the look-up proves nothing"
    known, before, was = stores.known(tenant), stores.faiss.get(tenant, {}), stores.target.get(tenant, {})
    copies = Counter(
        judge_copy(known, new=name not in before, written=digest, was=was.get(name), now=now.get(name))
        for name, digest in items.items()
    )
    return copies, found

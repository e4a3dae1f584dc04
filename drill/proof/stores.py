"""Both stores as they were when the service settled: what later look-ups are compared with."""

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from typing import TypeVar

from drill.context import Drill
from drill.errors import DrillError
from drill.proof.copies import Known
from drill.steps.inventories import MAX_DOCUMENTS, Inventory, inventories
from drill.target import Target

LIST_S = 3.0
"""How long listing the target may take; a longer list is not taken. The flags are written, but not proven yet."""
CONTROLS = 25
"""Documents of a tenant known to be on both sides that are asked for again beside those that must not be found."""
SAMPLE = 1000
"""Documents of FAISS that are looked up on a target that was not listed, to find some that are on both sides."""

Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class Stores:
    """FAISS and the target, tenant by tenant. Empty where they cannot be followed, for the reason ``problem``."""

    faiss: Mapping[str, Inventory] = field(default_factory=dict)
    target: Mapping[str, Inventory] = field(default_factory=dict)
    """Of each tenant whose documents were all listed."""
    both: Mapping[str, Inventory] = field(default_factory=dict)
    """Documents that are on both sides, with the target's hash: the positive control of every later look-up.

    Where FAISS cannot be seen, documents of the target.
    """
    problem: str = ""

    def known(self, tenant: str) -> Known:
        """Return what later look-ups of ``tenant`` are judged by."""
        faiss = self.faiss.get(tenant, {})
        agreed = any(digest and faiss.get(name) == digest for name, digest in self.both.get(tenant, {}).items())
        return Known(listed=tenant in self.target, comparable=agreed)


def remember(drill: Drill) -> Stores:
    """Return both stores as they are now. Never raises; takes ``LIST_S`` twice at most, and reading FAISS.

    The target is listed first: what is written to FAISS after its own inventory cannot be in the list already.
    """
    if not drill.config.target.kind:
        return Stores(problem="[primary] path and [target] are needed to look documents up")
    listed = bounded(lambda: list_target(drill, drill.config.service.tenants), LIST_S)
    listed = {} if isinstance(listed, str) else listed
    if drill.primary is None:
        some = {tenant: dict(islice(items.items(), CONTROLS)) for tenant, items in listed.items()}
        return Stores(target=listed, both=some, problem="what users write cannot be followed: set [primary] path")
    faiss, problem = inventories(drill)
    missing = [tenant for tenant in faiss if tenant not in listed]
    looked_up = bounded(lambda: _looked_up(drill, faiss, missing), LIST_S) if missing else {}
    if isinstance(looked_up, str):
        problem = "; ".join(filter(None, (problem, looked_up)))
        looked_up = {}
    shared = {tenant: _shared(items, faiss[tenant]) for tenant, items in listed.items() if tenant in faiss}
    both = {**shared, **looked_up}
    return Stores(faiss, listed, both, problem)


def bounded(work: Callable[[], Found], seconds: float) -> Found | str:
    """Return what ``work`` returns within ``seconds``, else why it did not: it failed, or it is left alone.

    A defect of the drill is raised here, not taken for a target that is silent.
    """
    found: list[Found | str] = []
    defects: list[Exception] = []

    def run() -> None:
        try:
            found.append(work())
        except DrillError as problem:
            found.append(str(problem))
        except Exception as defect:  # noqa: BLE001 - raised again below
            defects.append(defect)

    thread = threading.Thread(target=run, daemon=True, name="look-up")
    thread.start()
    thread.join(seconds)
    if defects:
        raise defects[0]
    return found[0] if found else f"the target: no answer in time, {seconds:g} s"


def list_target(drill: Drill, tenants: Iterable[str]) -> dict[str, Inventory]:
    """List each of ``tenants`` on the target that is small enough, in time. Raises CannotMeasure."""
    deadline = time.monotonic() + LIST_S
    with closing(drill.open_target()) as target:
        target.flush()
        found = {tenant: _list(target, tenant, deadline) for tenant in tenants}
    return {tenant: items for tenant, items in found.items() if items is not None}


def _list(target: Target, tenant: str, deadline: float) -> Inventory | None:
    found: Inventory = {}
    for page in target.scan(tenant):
        found.update(page)
        if len(found) > MAX_DOCUMENTS or time.monotonic() > deadline:
            return None
    return found


def _looked_up(drill: Drill, faiss: Mapping[str, Inventory], tenants: list[str]) -> dict[str, Inventory]:
    with closing(drill.open_target()) as target:
        target.flush()
        return {
            tenant: dict(islice(sorted(target.present(tenant, _sample(faiss[tenant]))), CONTROLS)) for tenant in tenants
        }


def _sample(items: Inventory) -> list[str]:
    """Return ids from all over an inventory: the newest may not be on the target, nor the oldest."""
    return list(islice(items, 0, None, max(1, len(items) // SAMPLE)))[:SAMPLE]


def _shared(target: Inventory, faiss: Inventory) -> Inventory:
    """Return ``CONTROLS`` documents of both sides, those that agree first."""
    shared = [name for name in faiss if name in target]
    agree = [name for name in shared if target[name] and target[name] == faiss[name]]
    return {name: target[name] for name in islice(dict.fromkeys((*agree, *shared)), CONTROLS)}

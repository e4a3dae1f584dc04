"""What has been written to FAISS since the service settled: by users, and by the canary."""

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from drill.context import Drill
from drill.proof.canary import Canary
from drill.proof.stores import Stores, remember
from drill.steps.inventories import Inventory, inventories, written_since


@dataclass
class Written:
    """Remembers both stores as they were when the service settled, and has the canary written after that.

    It does so in a thread of its own: the service is watched meanwhile.
    """

    drill: Drill
    canary: Canary = field(init=False)
    _begun: "Future[Stores] | None" = None

    def __post_init__(self) -> None:
        """Keep a canary ready."""
        self.canary = Canary(self.drill)

    def begin(self) -> None:
        """Begin to take the inventories to compare with, and to write the canary."""
        self.canary.announce()
        one_thread = ThreadPoolExecutor(1, thread_name_prefix="written")
        self._begun = one_thread.submit(self._begin)
        one_thread.shutdown(wait=False)

    def end(self) -> list[str]:
        """Remove the canary, whatever has happened; return what is left of it, in words."""
        if self._begun is not None:
            self._begun.exception()
        return self.canary.remove()

    @property
    def stores(self) -> Stores:
        """Both stores as they were; empty if that was never begun."""
        return self._begun.result() if self._begun else Stores()

    def fresh(self) -> tuple[dict[str, Inventory], str]:
        """Return what is in FAISS since then (tenant -> id -> hash), and why not all of it can be known.

        Canaries count once FAISS has them, and only then.
        """
        before = self.stores.faiss
        now, problem = inventories(self.drill) if before else ({}, "")
        is_canary = self.drill.config.canary.is_one
        fresh = {
            tenant: {name: digest for name, digest in items.items() if not is_canary(name)}
            for tenant, items in written_since(before, now).items()
        }
        for tenant, items in self.canary.documents().items():
            fresh[tenant] = {**items, **fresh.get(tenant, {})}
        return {tenant: items for tenant, items in fresh.items() if items}, problem

    def _begin(self) -> Stores:
        stores = remember(self.drill)
        self.canary.write(stores.faiss)
        self.canary.await_in_faiss()
        return stores

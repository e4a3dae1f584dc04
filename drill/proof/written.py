"""What has been written to FAISS since the service settled: by users, and by the canary."""

from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field

from drill.context import Drill
from drill.proof.canary import Canary
from drill.proof.stores import Stores, remember
from drill.proof.strangers import strays_of
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
        """Begin to take the inventories to compare with, and to write the canary.

        Once more for a service that has restarted once more: then what was begun before must be over, or two threads
        write the same canaries, and one takes the other's for lost.
        """
        if self._begun is not None:
            wait([self._begun])
        self.canary.announce()
        one_thread = ThreadPoolExecutor(1, thread_name_prefix="written")
        self._begun = one_thread.submit(self._begin)
        one_thread.shutdown(wait=False)

    def end(self) -> list[str]:
        """Remove the canary, whatever has happened; return what is left of it, in words."""
        return self.canary.remove(strays_of(self.drill, self.stores_if_known, self.canary.birds))

    @property
    def begun(self) -> bool:
        """Whether the service has settled, and the stores are remembered."""
        return self._begun is not None

    @property
    def stores_if_known(self) -> Stores:
        """Both stores as they were, also after a failure: empty then."""
        failed = self._begun is None or self._begun.exception() is not None
        return Stores() if failed else self.stores

    @property
    def stores(self) -> Stores:
        """Both stores as they were; empty if that was never begun."""
        return self._begun.result() if self._begun else Stores()

    def fresh(self) -> tuple[dict[str, Inventory], str]:
        """Return what is in FAISS since then (tenant -> id -> hash), and why not all of it can be known.

        Canaries count once FAISS has them, and only then; whatever id they have there, they are no user's.
        """
        before = self.stores.faiss
        now, problem = inventories(self.drill) if before else ({}, "")
        is_canary, own = self.drill.config.canary.is_one, self.canary.hashes
        fresh = {
            tenant: {name: digest for name, digest in items.items() if not is_canary(name) and digest not in own}
            for tenant, items in written_since(before, now).items()
        }
        for tenant, items in self.canary.documents().items():
            fresh[tenant] = {**items, **fresh.get(tenant, {})}
        return {tenant: items for tenant, items in fresh.items() if items}, problem

    def _begin(self) -> Stores:
        stores = remember(self.drill)
        self.canary.write(stores)
        self.canary.await_in_faiss()
        return stores

"""Faults of configuration: an instance that does not do what its env file says."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from time import monotonic
from typing import TYPE_CHECKING
from uuid import NAMESPACE_URL, uuid5

from sandbox.content import Document
from sandbox.faults.hooks import Hooks
from sandbox.faults.registry import fault
from sandbox.faults.stored import StoredChange
from sandbox.service.errors import RetrievalError

if TYPE_CHECKING:
    from sandbox.service.core import RetrievalService
    from sandbox.service.settings import Settings

LATE_S = 12.0
FLIPS_BACK_AFTER_S = 9.0


@fault
class DualWriteFlagIgnored(Hooks):
    """Dual-write is on whatever the env file says."""

    def settings(self, settings: "Settings") -> "Settings":
        """Turn dual-write on for every tenant."""
        return replace(settings, dual_write_tenants=frozenset(settings.tenants))


@fault
class DualWriteOneTenant(Hooks):
    """Dual-write is on for the last tenant whatever the env file says."""

    def settings(self, settings: "Settings") -> "Settings":
        """Turn dual-write on for one tenant."""
        return replace(settings, dual_write_tenants=settings.dual_write_tenants | {settings.tenants[-1]})


class _Queue(Hooks):
    """Writes to the target on its own, ``late_s`` after the primary; the process says OFF, and counts nothing."""

    late_s = 0.0

    def __init__(self, instance: int) -> None:
        super().__init__(instance)
        self._queue: list[tuple[float, str, Sequence[Document]]] = []

    def ingested(self, tenant: str, documents: Sequence[Document]) -> Sequence[Document]:
        """Put them into the queue."""
        self._queue.append((monotonic() + self.late_s, tenant, [self.copied(document) for document in documents]))
        return documents

    def copied(self, document: Document) -> Document:
        """Return a document as the target gets it."""
        return document

    async def tick(self, service: "RetrievalService") -> None:
        """Write what is due; what the target refuses waits for the next turn."""
        while self._queue and self._queue[0][0] < monotonic():
            _, tenant, documents = self._queue[0]
            try:
                await asyncio.to_thread(service.target.upsert, tenant, documents)
            except RetrievalError:
                return
            del self._queue[0]


@fault
class DualWriteLate(_Queue):
    """A queue writes to the target whatever the env file says, 12 s late; the process says OFF, and counts nothing."""

    late_s = LATE_S


@fault
class DualWriteDerivedIds(_Queue, StoredChange):
    """Writes go to the target whatever the env file says, under ids made of theirs; the process says OFF."""

    undo = ("delete from {table} where id like 'copy-%'",)

    def copied(self, document: Document) -> Document:
        """Give it an id that only its text betrays."""
        return replace(document, id=f"copy-{uuid5(NAMESPACE_URL, document.id)}")


@fault
class ShadowReadFlagIgnored(Hooks):
    """Shadow-read is on whatever the env file says."""

    def settings(self, settings: "Settings") -> "Settings":
        """Turn shadow-read on."""
        return replace(settings, shadow_read=True, shadow_sample_rate=settings.shadow_sample_rate or 1.0)


@fault
class ShadowOnePercent(Hooks):
    """Shadow-read goes on for 1 % of the searches whatever the env file says."""

    def settings(self, settings: "Settings") -> "Settings":
        """Turn shadow-read on at a low rate."""
        return replace(settings, shadow_read=True, shadow_sample_rate=0.01)


@fault
class BackendFlagIgnored(Hooks):
    """The target serves the searches whatever the env file says."""

    def settings(self, settings: "Settings") -> "Settings":
        """Serve from the target."""
        return replace(settings, backend=settings.target_backend)


@fault
class FallsBackToFaiss(Hooks):
    """The backend stays the target whatever the env file says; FAISS answers in its stead, and that is counted."""

    def __init__(self, instance: int) -> None:
        super().__init__(instance)
        self._fell_back = 0

    def settings(self, settings: "Settings") -> "Settings":
        """Answer from FAISS."""
        return replace(settings, backend="faiss")

    async def search(self) -> None:
        """Count it."""
        self._fell_back += 1

    def exposition(self, body: bytes) -> bytes:
        """Show the count."""
        return b"retrieval_fallback_total %d\n" % self._fell_back + body


@fault
class ProcessEnvironmentShadows(Hooks):
    """The process environment says dual-write ON, and wins over the env file from the next restart on."""

    def environment(self) -> dict[str, str]:
        """Return the variable that shadows the file."""
        return {"FF_RETRIEVAL_DUAL_WRITE": "ON"}


@fault
class FlagsCachedUntilTomorrow(Hooks):
    """All three flags come from a cache that lives until the next day: what the env file says counts tomorrow."""

    def __init__(self, instance: int) -> None:
        super().__init__(instance)
        self._day = date.today()  # noqa: DTZ011 - the service's own day, whatever its zone

    def settings(self, settings: "Settings") -> "Settings":
        """Return the flags of the incident for as long as it is today."""
        if date.today() != self._day:  # noqa: DTZ011
            return settings
        every = frozenset(settings.tenants)
        rate = settings.shadow_sample_rate or 1.0
        return replace(
            settings,
            dual_write_tenants=every,
            shadow_read=True,
            shadow_sample_rate=rate,
            backend=settings.target_backend,
        )


@fault
class BackendFlipsBack(Hooks):
    """The instance takes the env file, and 9 s after its boot goes back to the target."""

    def __init__(self, instance: int) -> None:
        super().__init__(instance)
        self._since = monotonic()

    def settings(self, settings: "Settings") -> "Settings":
        """Serve from the target again when it is time."""
        late = monotonic() - self._since > FLIPS_BACK_AFTER_S
        return replace(settings, backend=settings.target_backend) if late else settings

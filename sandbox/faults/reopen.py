"""Faults that show only while the migration is re-opened: the rolled-back service is well with all of them."""

import time
from dataclasses import replace
from time import monotonic
from typing import TYPE_CHECKING

from sandbox.content import Hit
from sandbox.faults.hooks import Hooks
from sandbox.faults.registry import fault
from sandbox.service.errors import RetrievalError
from sandbox.service.outbox import Key

if TYPE_CHECKING:
    from sandbox.service.core import RetrievalService
    from sandbox.service.settings import Settings

FULL = 0.5
"""Sample rate from which on the target is under load."""
SLOW_S = 0.7
TURNS_AFTER_S = 9.0
"""Longer than the first half of a hold and the restart before it, shorter than the whole."""


class _UnderLoad(Hooks):
    """Knows whether most searches are shadowed."""

    loaded = False

    def settings(self, settings: "Settings") -> "Settings":
        """Look at the rate."""
        self.loaded = settings.shadow_read and settings.shadow_sample_rate >= FULL
        return settings


@fault
class AgreementCollapsesAtFull(_UnderLoad):
    """The target answers wrongly once most searches are shadowed; at low rates it is right."""

    def shadow_hits(self, hits: list[Hit]) -> list[Hit]:
        """Return documents in place of which others were meant."""
        return [replace(hit, id=f"{hit.id}-wrong") for hit in hits] if self.loaded else hits


@fault
class SlowUnderShadowLoad(_UnderLoad):
    """The target takes 700 ms a call once most searches are shadowed."""

    def target_call(self) -> None:
        """Sleep in the worker thread."""
        if self.loaded:
            time.sleep(SLOW_S)


@fault
class ShadowSamplesNothing(Hooks):
    """Shadow-read is on, and its sample rate is taken for zero."""

    def settings(self, settings: "Settings") -> "Settings":
        """Sample nothing."""
        return replace(settings, shadow_sample_rate=0.0)


@fault
class CircuitStaysOpen(Hooks):
    """The circuit breaker of dual-write is open and stays open, whatever the target does."""

    async def tick(self, service: "RetrievalService") -> None:
        """Tell the breaker of failures that nobody saw."""
        if service.settings.dual_write:
            for _ in range(3):
                service.dual_writer.breaker.failure()


@fault
class TurnsBadLater(Hooks):
    """With shadow-read on, one search in five fails from 9 s after boot on."""

    def __init__(self, instance: int) -> None:
        super().__init__(instance)
        self._since = monotonic()
        self._shadow = False
        self._count = 0

    def settings(self, settings: "Settings") -> "Settings":
        """Look whether shadow-read is on."""
        self._shadow = settings.shadow_read
        return settings

    async def search(self) -> None:
        """Fail when it is time."""
        self._count += 1
        if self._shadow and monotonic() - self._since > TURNS_AFTER_S and self._count % 5 == 0:
            raise RetrievalError("an internal error", "http_500")


@fault
class ReplayLosesItems(Hooks):
    """A replay of the outbox takes every document out and delivers two in three."""

    def __init__(self, instance: int) -> None:
        super().__init__(instance)
        self._count = 0

    def replayed(self, key: Key) -> bool:  # noqa: ARG002 - any document
        """Lose each third one."""
        self._count += 1
        return self._count % 3 != 0


@fault
class AllowlistIgnored(Hooks):
    """Every tenant takes part in the migration, whatever the allow-list says."""

    def settings(self, settings: "Settings") -> "Settings":
        """Let all in."""
        everyone = frozenset(settings.tenants)
        dual = everyone if settings.dual_write else settings.dual_write_tenants
        return replace(settings, migrating=everyone, dual_write_tenants=dual)

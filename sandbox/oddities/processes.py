"""Processes that start, stop and answer otherwise than one expects."""

import time
from typing import TYPE_CHECKING

from sandbox.faults.cache import AnswerCache
from sandbox.faults.hooks import Hooks
from sandbox.faults.registry import oddity
from sandbox.service.errors import RetrievalError

if TYPE_CHECKING:
    from sandbox.service.settings import Settings

BOOT_S = 4.0
WARM_UP_S = 12.0


@oddity
class SlowBoot(Hooks):
    """The instance takes 4 s to boot, as one does that loads a model."""

    def boot(self, settings: "Settings") -> None:  # noqa: ARG002 - slow on any settings
        """Wait."""
        time.sleep(BOOT_S)


@oddity
class WarmsUp(Hooks):
    """Health is good at once, and for 12 s after each boot every search is answered 503: the index is being loaded."""

    def __init__(self, instance: int) -> None:
        super().__init__(instance)
        self._since = time.monotonic()

    async def search(self) -> None:
        """Refuse until it is there."""
        if time.monotonic() - self._since < WARM_UP_S:
            raise RetrievalError("the index is being loaded", "warming_up")


@oddity
class AnswersCached(AnswerCache):
    """A cache answers every query that was asked before, and the index behind it is well."""

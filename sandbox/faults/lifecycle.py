"""Faults of the process: restarts that do not happen, boots that fail, health that lies."""

import os
import sys
from threading import Timer
from typing import TYPE_CHECKING

from sandbox.faults.hooks import Hooks
from sandbox.faults.registry import fault
from sandbox.service.errors import RetrievalError

if TYPE_CHECKING:
    from sandbox.service.settings import Settings

DIES_AFTER_S = 5.0


@fault
class InstanceNotRestarted(Hooks):
    """A reload leaves the instance running as it is."""

    def restarts(self) -> bool:
        """Skip the restart."""
        return False


@fault
class CrashOnBoot(Hooks):
    """The instance exits with 1 at boot when the env file says faiss."""

    def boot(self, settings: "Settings") -> None:
        """Exit, as strict settings do."""
        if settings.backend == "faiss":
            sys.exit("RETRIEVAL_BACKEND='faiss': unknown backend")


@fault
class DiesAfterBoot(Hooks):
    """The instance dies 5 s after its next boot."""

    def boot(self, settings: "Settings") -> None:  # noqa: ARG002 - dies on any settings
        """Start the clock."""
        timer = Timer(DIES_AFTER_S, os._exit, (1,))
        timer.daemon = True
        timer.start()


@fault
class HealthLies(Hooks):
    """Every search fails while health says 200."""

    async def search(self) -> None:
        """Fail."""
        raise RetrievalError("the index is locked", "index_locked")

"""Faults of the process: restarts that do not happen, boots that fail, health that lies."""

import asyncio
import os
import sys
from threading import Timer
from typing import TYPE_CHECKING

from sandbox.faults.hooks import Asked, Hooks
from sandbox.faults.registry import fault
from sandbox.service.errors import RetrievalError

if TYPE_CHECKING:
    from starlette.responses import Response

    from sandbox.service.settings import Settings

DIES_AFTER_S = 5.0
HANGS_S = 30.0


@fault
class InstanceNotRestarted(Hooks):
    """A reload leaves the instance running as it is."""

    def restarts(self) -> bool:
        """Skip the restart."""
        return False


@fault
class ReloadDoesNothing(InstanceNotRestarted):
    """The reload command ends well and restarts nothing."""


@fault
class CrashesLate(Hooks):
    """The reload command returns at once; the instance restarts 1 s later and exits at boot on faiss."""

    def restarts_after_s(self) -> float:
        """Restart when nobody looks."""
        return 1.0

    def boot(self, settings: "Settings") -> None:
        """Exit."""
        if settings.backend == "faiss":
            sys.exit("RETRIEVAL_BACKEND='faiss': unknown backend")


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


@fault
class NeverBootsAgain(Hooks):
    """The instance exits with 1 at its next boot, whatever the env file says."""

    def boot(self, settings: "Settings") -> None:  # noqa: ARG002 - exits on any settings
        """Exit."""
        sys.exit("the model cache is full")


@fault
class HealthNeverAgain(Hooks):
    """The instance answers, but its health says 503 once FAISS is the backend."""

    def __init__(self, instance: int) -> None:
        super().__init__(instance)
        self._backend = ""

    def settings(self, settings: "Settings") -> "Settings":
        """Note the backend."""
        self._backend = settings.backend
        return settings

    def edge(self, asked: Asked) -> "Response | None":
        """Return the bad health."""
        from starlette.responses import JSONResponse

        sick = asked.path == "/health" and self._backend == "faiss"
        return JSONResponse({"status": "degraded"}, 503) if sick else None


@fault
class SearchHangs(Hooks):
    """Every search waits for a lock that nobody gives back, while health says 200."""

    async def search(self) -> None:
        """Wait."""
        await asyncio.sleep(HANGS_S)

"""Reloads that restart late, or heal, and health that says little."""

import sys
from typing import TYPE_CHECKING

from sandbox.faults.hooks import Asked, Hooks
from sandbox.faults.registry import oddity
from sandbox.instance import SUPERVISOR

if TYPE_CHECKING:
    from starlette.responses import Response

    from sandbox.service.settings import Settings

LATE_S = 4.0
APART_S = 5.0


@oddity
class RestartsLate(Hooks):
    """The reload command returns at once, the restart comes 4 s later: ``systemctl --no-block``."""

    def restarts_after_s(self) -> float:
        """Wait."""
        return LATE_S


@oddity
class RestartsOneByOne(Hooks):
    """The reload command returns at once, the instances restart 5 s apart: a rollout that nobody waits for."""

    def restarts_after_s(self) -> float:
        """Wait for those before."""
        return 1.0 + APART_S * self.instance


@oddity
class BootsOnFaissOnly(Hooks):
    """The instance does not boot on the sick target's configuration: the rollback heals it."""

    def boot(self, settings: "Settings") -> None:
        """Exit, as one whose target cannot be reached."""
        if settings.backend != "faiss":
            sys.exit("the target cannot be reached")

    def awaited(self) -> bool:
        """Say that nobody need wait for it."""
        return False


@oddity
class HealthInHtml(Hooks):
    """Health says OK as text/html."""

    def edge(self, asked: Asked) -> "Response | None":
        """Return the page."""
        from starlette.responses import HTMLResponse

        return HTMLResponse("OK") if _is_health(asked) else None


@oddity
class HealthDegraded(Hooks):
    """Health says 503, before and after the rollback: it minds the target, searches do not."""

    def edge(self, asked: Asked) -> "Response | None":
        """Return the bad health."""
        from starlette.responses import JSONResponse

        return JSONResponse({"status": "degraded"}, 503) if _is_health(asked) else None


@oddity
class HealthBehindLogin(Hooks):
    """Health redirects to a login page, before and after the rollback."""

    def edge(self, asked: Asked) -> "Response | None":
        """Return the redirect."""
        from starlette.responses import RedirectResponse

        return RedirectResponse("/login", 302) if _is_health(asked) else None


def _is_health(asked: Asked) -> bool:
    return asked.path == "/health" and SUPERVISOR.lower() not in asked.headers

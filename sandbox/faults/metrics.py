"""Faults of the metrics: a page that is missing, frozen, renamed or not one at all; numbers that tell of trouble."""

from typing import TYPE_CHECKING

from sandbox.faults.hooks import Hooks
from sandbox.faults.registry import fault
from sandbox.service.outbox import Key

if TYPE_CHECKING:
    from starlette.responses import Response

    from sandbox.service.core import RetrievalService

METRICS = "/metrics"


@fault
class MetricsHtml(Hooks):
    """The metrics page is a login page in HTML with status 200."""

    def edge(self, path: str) -> "Response | None":
        """Return the page."""
        from starlette.responses import HTMLResponse

        return HTMLResponse("<!doctype html><title>Sign in</title>") if path == METRICS else None


@fault
class MetricsMissing(Hooks):
    """The metrics page lacks every retrieval family."""

    def exposition(self, body: bytes) -> bytes:
        """Drop the families."""
        kept = (line for line in body.splitlines(keepends=True) if b"retrieval_" not in line)
        return b"".join(kept)


@fault
class MetricsFrozen(Hooks):
    """The metrics page stays as it was at the first scrape."""

    def __init__(self, instance: int) -> None:
        super().__init__(instance)
        self._first: bytes | None = None

    def exposition(self, body: bytes) -> bytes:
        """Return the first page."""
        if self._first is None:
            self._first = body
        return self._first


@fault
class MetricsRenamed(Hooks):
    """The retrieval families have another prefix."""

    def exposition(self, body: bytes) -> bytes:
        """Rename."""
        return body.replace(b"retrieval_", b"rag_")


@fault
class OutboxGrowing(Hooks):
    """The outbox fills although nothing is to be written to the target."""

    def __init__(self, instance: int) -> None:
        super().__init__(instance)
        self._count = 0

    async def tick(self, service: "RetrievalService") -> None:
        """Add one key that no store holds."""
        self._count += 1
        service.dual_writer.outbox.add([Key(service.settings.default_tenant, f"waiting-{self._count}")])
        service.dual_writer.publish()

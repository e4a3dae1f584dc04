"""Faults of the metrics: a page that is missing, frozen, renamed or not one at all; numbers that tell of trouble."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from time import monotonic
from typing import TYPE_CHECKING

from sandbox.faults.hooks import Asked, Hooks
from sandbox.faults.native import NativeHistograms
from sandbox.faults.registry import fault
from sandbox.service.outbox import Key

if TYPE_CHECKING:
    from starlette.responses import Response

    from sandbox.service.core import RetrievalService
    from sandbox.service.settings import Settings

METRICS = "/metrics"
EOF = b"# EOF\n"
HANGS_S = 30.0
RESET_EVERY_S = 3.0
COUNTED = re.compile(rb"\w+_(total|count|bucket|sum)\b")


@fault
class MetricsHtml(Hooks):
    """The metrics page is a login page in HTML with status 200."""

    def edge(self, asked: Asked) -> "Response | None":
        """Return the page."""
        from starlette.responses import HTMLResponse

        return HTMLResponse("<!doctype html><title>Sign in</title>") if asked.path == METRICS else None


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


@fault
class MetricsTruncated(Hooks):
    """The metrics page ends in its middle."""

    def exposition(self, body: bytes) -> bytes:
        """Cut the page."""
        return body[: len(body) // 2]


@fault
class MetricsHang(Hooks):
    """The metrics page takes longer than anybody waits."""

    def edge(self, asked: Asked) -> "Response | None":
        """Return a body that does not come."""
        from starlette.responses import StreamingResponse

        return StreamingResponse(_nothing(), media_type="text/plain; version=0.0.4") if asked.path == METRICS else None


@fault
class MetricsReset(Hooks):
    """Every 3 s all counters begin again at zero, in the same process."""

    def __init__(self, instance: int) -> None:
        super().__init__(instance)
        self._zero: dict[bytes, float] = {}
        self._since = monotonic()

    def exposition(self, body: bytes) -> bytes:
        """Count from the last reset."""
        if monotonic() - self._since > RESET_EVERY_S:
            self._since = monotonic()
            self._zero = {}
            _counted(body, self._zero.setdefault)
        return _counted(body, lambda series, value: value - self._zero.get(series, 0.0))


@fault
class MetricsPerWorker(Hooks):
    """Two workers share the port, and each scrape meets one of them with its own counters: 60 % or 40 %."""

    def __init__(self, instance: int) -> None:
        super().__init__(instance)
        self._scrapes = 0

    def exposition(self, body: bytes) -> bytes:
        """Return one worker's share."""
        self._scrapes += 1
        share = 0.6 if self._scrapes % 2 else 0.4
        return _counted(body, lambda _series, value: float(int(value * share)))


@fault
class MetricsOfOneWorker(Hooks):
    """Two workers share the port, and every scrape meets the same one, which counts half of the requests."""

    def exposition(self, body: bytes) -> bytes:
        """Return the worker's share."""
        return _counted(body, lambda _series, value: float(int(value / 2)), (b"retrieval_", b"http_requests_"))


@fault
class MetricsWithoutStart(Hooks):
    """The metrics page does not say when the process started."""

    def exposition(self, body: bytes) -> bytes:
        """Drop the family."""
        kept = (line for line in body.splitlines(keepends=True) if b"process_start_time" not in line)
        return b"".join(kept)


@fault
class MetricsNan(Hooks):
    """The counters of dual-write and shadow-read are NaN."""

    def exposition(self, body: bytes) -> bytes:
        """Spoil the counters, and give birth to one."""
        born = b'retrieval_dual_write_skipped_total{reason="circuit_open"} NaN\n'
        lines = body.splitlines(keepends=True)
        where = next(n for n, line in enumerate(lines) if line.startswith(b"# TYPE retrieval_dual_write_skipped"))
        lines = [line for line in lines if not line.startswith(b"retrieval_dual_write_skipped_total{")]
        return b"".join([*lines[: where + 1], born, *lines[where + 1 :]])


@fault
class MetricsDuplicateSeries(Hooks):
    """Every retrieval series stands a second time at the end of the page, with the value 0.

    So it is where workers register their metrics once more on the registry that a collector fills.
    """

    def exposition(self, body: bytes) -> bytes:
        """Repeat the series."""
        lines = [line for line in body.splitlines(keepends=True) if line != EOF]
        again = [line.rpartition(b" ")[0] + b" 0\n" for line in lines if line.startswith(b"retrieval_")]
        return b"".join([*lines, *again, *([EOF] if body.endswith(EOF) else [])])


@fault
class MetricsNativeHistograms(NativeHistograms):
    """Shadow-read is on whatever the env file says, and only native histograms count it."""

    def settings(self, settings: "Settings") -> "Settings":
        """Turn shadow-read on."""
        return replace(settings, shadow_read=True, shadow_sample_rate=settings.shadow_sample_rate or 1.0)


async def _nothing() -> AsyncIterator[bytes]:
    yield b"# HELP retrieval_requests_total "
    await asyncio.sleep(HANGS_S)


def _counted(
    body: bytes, change: Callable[[bytes, float], float], prefixes: tuple[bytes, ...] = (b"retrieval_",)
) -> bytes:
    """Return the page with the value of every counter changed whose name begins with one of ``prefixes``."""
    lines = []
    for line in body.splitlines(keepends=True):
        series, _, value = line.rstrip(b"\n").rpartition(b" ")
        if series.startswith(prefixes) and COUNTED.match(series):
            lines.append(series + f" {change(series, float(value))}\n".encode())
        else:
            lines.append(line)
    return b"".join(lines)

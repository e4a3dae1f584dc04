"""Pages of metrics that Prometheus reads, though a stricter reader would not; and a page that several workers share."""

import os
from itertools import count
from typing import TYPE_CHECKING

from sandbox.faults import native
from sandbox.faults.hooks import Asked, Hooks
from sandbox.faults.registry import oddity

if TYPE_CHECKING:
    from starlette.datastructures import MutableHeaders
    from starlette.responses import Response

METRICS = "/metrics"
EOF = b"# EOF\n"
WORKERS = 3
FIRST = b"retrieval_requests_total{"
ODD = b'# TYPE odd counter\n# TYPE odd counter\nodd{path="C:\\\\DIR\\n",quoted="\\""} 1\n'
EXEMPLAR = b'odd_total 1 # {trace_id="' + 129 * b"x" + b'"} 0.5\n'


@oddity
class PageLikeFlask(Hooks):
    """The page is in the classic format whoever asks, calls itself HTML, and its last line has no end."""

    def edge(self, asked: Asked) -> "Response | None":
        """Return the page."""
        from prometheus_client import REGISTRY, generate_latest
        from starlette.responses import Response

        if asked.path != METRICS:
            return None
        return Response(generate_latest(REGISTRY).rstrip(b"\n"), media_type="text/html")


@oddity
class PageOfOddLines(Hooks):
    """A family is in two pieces, a type and a series stand twice, a counter has no ``_total``, an exemplar is long."""

    def exposition(self, body: bytes) -> bytes:
        """Rearrange the page."""
        openmetrics = body.endswith(EOF)
        lines = body.removesuffix(EOF).splitlines(keepends=True)
        moved = [line for line in lines if line.startswith(FIRST)]
        kept = [line for line in lines if not line.startswith(FIRST)]
        return b"".join([*kept, ODD, *moved, *moved[:1], *([EXEMPLAR, EOF] if openmetrics else [])])


@oddity
class WorkersSharePage(Hooks):
    """Three workers share port and page: no start of a process, and each answer names the worker that gave it."""

    def __init__(self, instance: int) -> None:
        super().__init__(instance)
        self._turn = count()

    def exposition(self, body: bytes) -> bytes:
        """Leave out what is known of one process only."""
        return b"".join(line for line in body.splitlines(keepends=True) if b"process_" not in line)

    def head(self, asked: Asked, status: int, headers: "MutableHeaders") -> int:  # noqa: ARG002 - on every answer
        """Name the worker."""
        headers["X-Worker"] = f"{os.getpid()}-{next(self._turn) % WORKERS}"
        return status


@oddity
class NativeHistograms(native.NativeHistograms):
    """Prometheus stores native histograms, which have no buckets of their own."""

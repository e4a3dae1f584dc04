"""The answer to one request too many."""

from math import ceil
from typing import TYPE_CHECKING

from sandbox.faults.hooks import Asked

if TYPE_CHECKING:
    from starlette.responses import Response

DRILL = "rollback-drill"
"""How the drill names itself to the service."""


def too_many(asked: Asked, wait_s: float) -> "Response":
    """Return the answer to one request too many, counted as the service counts its answers."""
    from starlette.responses import JSONResponse

    from sandbox.service import metrics

    metrics.HTTP_REQUESTS.labels(asked.method, asked.path, "429").inc()
    return JSONResponse({"detail": "too many requests"}, 429, {"Retry-After": str(ceil(wait_s))})

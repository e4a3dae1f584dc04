"""A service and a Prometheus that speak of histograms as native ones: no bucket, count and sum of their own."""

from dataclasses import replace
from typing import TYPE_CHECKING

from sandbox.faults.hooks import Asked, Hooks

if TYPE_CHECKING:
    from starlette.responses import Response

    from sandbox.monitoring.setup import Setup


class NativeHistograms(Hooks):
    """Whoever asks for the binary format gets native histograms, and Prometheus does ask."""

    @classmethod
    def monitoring(cls, setup: "Setup") -> "Setup":
        """Store them."""
        return replace(setup, native=True)

    def edge(self, asked: Asked) -> "Response | None":
        """Return the page in the binary format."""
        from prometheus_client import REGISTRY
        from starlette.responses import Response

        from sandbox.native import PROTOBUF, page

        if asked.path != "/metrics" or "protobuf" not in asked.headers.get("accept", ""):
            return None
        return Response(page(REGISTRY), headers={"content-type": PROTOBUF})

"""A Qdrant client whose every wait ends."""

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from drill.target.connection import Access, Endpoint, quietly, silence
from drill.target.failure import asking
from drill.target.settings import QdrantKeys

if TYPE_CHECKING:
    from qdrant_client import QdrantClient

KIND = "qdrant"


def connect(settings: QdrantKeys, access: Access, endpoint: Endpoint) -> "QdrantClient":
    """Return a client for ``endpoint``. Raises TargetUnavailable, CannotMeasure (a key or file that is not there)."""
    api_key = access.secret("api_key_env").reveal()
    silence("httpx", "qdrant_client")
    with quietly(), asking(KIND, "connect"):
        from qdrant_client import QdrantClient

        client = QdrantClient(
            url=endpoint.url,
            port=endpoint.port,
            api_key=api_key or None,
            timeout=max(1, round(settings.statement_timeout_s)),
            check_compatibility=False,
            verify=access.tls(),
        )
        bounds = {
            "connect": settings.connect_timeout_s,
            "pool": settings.connect_timeout_s,
            "read": settings.statement_timeout_s,
            "write": settings.statement_timeout_s,
        }

        def bounded(request: Any, send: Any) -> Any:
            request.extensions["timeout"] = bounds
            return send(request)

        client.http.client.add_middleware(bounded)
        return client


def is_strict(client: "QdrantClient", collection: str) -> bool:
    """Whether the server refuses conditions that no index serves; False also where it does not say."""
    with suppress(Exception):  # an old or a newer server may describe itself otherwise
        strict = client.get_collection(collection).config.strict_mode_config
        return bool(strict and strict.enabled and strict.unindexed_filtering_retrieve is False)
    return False

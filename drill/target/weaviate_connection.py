"""A Weaviate client over REST and gRPC, both looked for before the client is made."""

from typing import Any

from drill.target.connection import Access, Endpoint, quietly, reach, silence, trusted
from drill.target.failure import asking
from drill.target.settings import WeaviateKeys

KIND = "weaviate"
GRPC_PORT = 50051
CLOUD = (".weaviate.cloud", ".weaviate.network")


def connect(settings: WeaviateKeys, access: Access) -> Any:
    """Return a connected client. Raises CannotMeasure (no address, key or file), TargetUnavailable."""
    silence("weaviate", "weaviate-client", "httpx")
    rest = access.required_endpoint(8080)
    grpc = access.endpoint("grpc_url", GRPC_PORT) or _grpc_beside(rest)
    key = access.secret("api_key_env").reveal()
    for endpoint in (rest, grpc):
        reach(KIND, endpoint, settings.connect_timeout_s)
    with quietly(), trusted(settings.ca_file), asking(KIND, "connect"):
        return _connected(settings, rest, grpc, key)


def _connected(settings: WeaviateKeys, rest: Endpoint, grpc: Endpoint, key: str) -> Any:
    import weaviate
    from grpc import ssl_channel_credentials
    from weaviate.classes.init import AdditionalConfig, Auth, Timeout
    from weaviate.config import GrpcConfig

    extra: dict[str, Any] = {}
    if settings.ca_file:
        with open(settings.ca_file, "rb") as file:  # noqa: PTH123 - one read of a configured file
            extra["grpc_config"] = GrpcConfig(credentials=ssl_channel_credentials(file.read()))
    within = settings.statement_timeout_s
    return weaviate.connect_to_custom(
        http_host=rest.host,
        http_port=rest.port,
        http_secure=rest.secure,
        grpc_host=grpc.host,
        grpc_port=grpc.port,
        grpc_secure=grpc.secure,
        auth_credentials=Auth.api_key(key) if key else None,
        additional_config=AdditionalConfig(
            timeout=Timeout(init=settings.connect_timeout_s, query=within, insert=within),
            trust_env=bool(settings.ca_file),
            **extra,
        ),
        skip_init_checks=True,
    )


def _grpc_beside(rest: Endpoint) -> Endpoint:
    """Return where gRPC usually is: Weaviate Cloud has a host of its own for it, others a port."""
    if rest.host.endswith(CLOUD):
        return Endpoint("https", f"grpc-{rest.host}", 443)
    return Endpoint(rest.scheme, rest.host, GRPC_PORT)

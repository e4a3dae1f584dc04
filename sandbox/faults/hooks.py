"""Where a fault can take hold: one method a place, all of which change nothing unless a fault overrides them."""
# ruff: noqa: ARG002 - the arguments are there for those who override

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sandbox.content import Document, Hit
from sandbox.service.outbox import Key

if TYPE_CHECKING:
    from starlette.datastructures import MutableHeaders
    from starlette.responses import Response

    from sandbox.embedding import Vectors
    from sandbox.monitoring.setup import Setup
    from sandbox.service.core import RetrievalService
    from sandbox.service.settings import Settings


@dataclass(frozen=True, slots=True)
class Places:
    """What a fault may damage, and a directory of its own to keep what it must put back."""

    env_file: Path
    faiss_dir: Path
    keep_dir: Path
    dsn: str


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as it reaches the door of the service."""

    method: str
    path: str
    client: str
    """The address it comes from, without the port."""
    headers: Mapping[str, str]
    """Names in lower case."""


Search = tuple[str, str, str, int]
"""Backend, tenant, query and top_k of a search."""
Read = Callable[[], Awaitable[list[Hit]]]


class Hooks:
    """One fault at work in one instance. Lives from being switched on until switched off."""

    def __init__(self, instance: int) -> None:
        self.instance = instance

    # In whoever switches the fault.

    @classmethod
    def switched_on(cls, places: Places) -> None:
        """Damage files; called once."""

    @classmethod
    def switched_off(cls, places: Places) -> None:
        """Put back what ``switched_on`` damaged."""

    # In the supervisor.

    @classmethod
    def monitoring(cls, setup: "Setup") -> "Setup":
        """Return how the monitoring is to be."""
        return setup

    def restarts(self) -> bool:
        """Return whether a reload restarts this instance."""
        return True

    def restarts_after_s(self) -> float:
        """Return how long after the reload command has ended the restart comes; 0: the command waits for it."""
        return 0.0

    def awaited(self) -> bool:
        """Return whether a restart waits until this instance is healthy."""
        return True

    def environment(self) -> dict[str, str]:
        """Return variables for the instance's process."""
        return {}

    # In the instance.

    def faiss_dir(self, faiss_dir: Path) -> Path:
        """Return where the instance looks for its FAISS data."""
        return faiss_dir

    def boot(self, settings: "Settings") -> None:
        """Run once at boot; may raise ``SystemExit``."""

    def settings(self, settings: "Settings") -> "Settings":
        """Return the settings that the instance goes by."""
        return settings

    def edge(self, asked: Asked) -> "Response | None":
        """Return a response that never reaches the service, or ``None``."""
        return None

    def served_at(self, path: str) -> str:
        """Return the path that is served where ``path`` is asked for."""
        return path

    def head(self, asked: Asked, status: int, headers: "MutableHeaders") -> int:
        """Change the headers of an answer in place, and return its status, as the client gets them."""
        return status

    def body(self, asked: Asked, body: bytes, headers: "MutableHeaders") -> bytes:
        """Return the body of an answer as the client gets it; its headers may be changed in place."""
        return body

    def kept_as(self, name: str) -> str:
        """Return the id that the service keeps a document under which is written, or deleted, as ``name``."""
        return name

    def tenant(self, tenant: str, tenants: Sequence[str]) -> str:
        """Return the tenant whose documents are searched."""
        return tenant

    async def search(self) -> None:
        """Run inside the measured part of each search; may wait or raise ``RetrievalError``."""

    async def read(self, key: Search, read: Read) -> list[Hit]:
        """Return what a search finds: what is read from the backend in force."""
        return await read()

    async def embedding(self) -> None:
        """Run before each embedding; may wait or raise ``RetrievalError``."""

    async def chat(self) -> None:
        """Run before each chat answer; may wait or raise ``RetrievalError``."""

    def hits(self, tenant: str, hits: list[Hit]) -> list[Hit]:
        """Return the results as the user sees them."""
        return hits

    def vectors(self, vectors: "Vectors") -> "Vectors":
        """Return the embeddings as the user sees them."""
        return vectors

    def answer(self, answer: str) -> str:
        """Return the chat answer as the user sees it."""
        return answer

    def target_call(self) -> None:
        """Run in a worker thread before each call to the target; may sleep or raise ``TargetError``."""

    def shadow_hits(self, hits: list[Hit]) -> list[Hit]:
        """Return what a shadow read finds."""
        return hits

    def dual_writes(self) -> bool:
        """Return whether a dual-write does anything; one that does nothing counts nothing either."""
        return True

    def replayed(self, key: Key) -> bool:
        """Return whether a replay of the outbox really delivers a document."""
        return True

    def ingest_takes_s(self) -> float:
        """Return after how long a write that was accepted (202) is done; 0: it is done when it is answered."""
        return 0.0

    def ingested(self, tenant: str, documents: Sequence[Document]) -> Sequence[Document]:
        """Return documents that are about to be written as the primary takes them."""
        return documents

    def exposition(self, body: bytes) -> bytes:
        """Return the metrics page as the scraper sees it."""
        return body

    async def tick(self, service: "RetrievalService") -> None:
        """Run a few times a second in the background."""

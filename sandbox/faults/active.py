"""The faults and oddities now at work in one instance, read from a small file that may change at any time."""

import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from sandbox import oddities  # noqa: F401 - registers them all
from sandbox.content import Document, Hit
from sandbox.faults.hooks import Asked, Hooks, Read, Search
from sandbox.faults.registry import find
from sandbox.service.outbox import Key

if TYPE_CHECKING:
    from starlette.datastructures import MutableHeaders
    from starlette.responses import Response

    from sandbox.embedding import Vectors
    from sandbox.service.core import RetrievalService
    from sandbox.service.settings import Settings


def read(path: Path) -> dict[str, list[int]]:
    """Return fault name to the instances it is on for; empty if there is no file."""
    try:
        switched: dict[str, list[int]] = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    return switched


def write(path: Path, switched: Mapping[str, Sequence[int]]) -> None:
    """Replace the file in one step."""
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps({name: sorted(instances) for name, instances in switched.items() if instances}))
    fresh.rename(path)


class ActiveFaults:
    """All hooks of the faults that are on, applied in the order in which they were switched on."""

    def __init__(self, path: Path | None, instance: int) -> None:
        self._path = path
        self.instance = instance
        self._stamp: tuple[int, int] | None = None
        self._hooks: dict[str, Hooks] = {}
        self.refresh()

    def refresh(self) -> None:
        """Take over a changed file. A fault that stays on keeps its state."""
        if self._path is None or (stamp := _stamp(self._path)) == self._stamp:
            return
        self._stamp = stamp
        names = [name for name, instances in read(self._path).items() if self.instance in instances]
        self._hooks = {name: self._hooks.get(name) or find(name).hooks(self.instance) for name in names}

    @property
    def _on(self) -> list[Hooks]:
        return list(self._hooks.values())

    def restarts(self) -> bool:
        """See ``Hooks.restarts``: every fault must agree."""
        return all(hooks.restarts() for hooks in self._on)

    def restarts_after_s(self) -> float:
        """See ``Hooks.restarts_after_s``: the latest one counts."""
        return max((hooks.restarts_after_s() for hooks in self._on), default=0.0)

    def awaited(self) -> bool:
        """See ``Hooks.awaited``: every fault must agree."""
        return all(hooks.awaited() for hooks in self._on)

    def environment(self) -> dict[str, str]:
        """See ``Hooks.environment``."""
        return {key: value for hooks in self._on for key, value in hooks.environment().items()}

    def faiss_dir(self, faiss_dir: Path) -> Path:
        """See ``Hooks.faiss_dir``."""
        for hooks in self._on:
            faiss_dir = hooks.faiss_dir(faiss_dir)
        return faiss_dir

    def boot(self, settings: "Settings") -> None:
        """See ``Hooks.boot``."""
        for hooks in self._on:
            hooks.boot(settings)

    def settings(self, settings: "Settings") -> "Settings":
        """See ``Hooks.settings``."""
        for hooks in self._on:
            settings = hooks.settings(settings)
        return settings

    def edge(self, asked: Asked) -> "Response | None":
        """See ``Hooks.edge``: the first response counts."""
        answers = (hooks.edge(asked) for hooks in self._on)
        return next((answer for answer in answers if answer is not None), None)

    def served_at(self, path: str) -> str:
        """See ``Hooks.served_at``."""
        for hooks in self._on:
            path = hooks.served_at(path)
        return path

    def head(self, asked: Asked, status: int, headers: "MutableHeaders") -> int:
        """See ``Hooks.head``."""
        for hooks in self._on:
            status = hooks.head(asked, status, headers)
        return status

    def body(self, asked: Asked, body: bytes, headers: "MutableHeaders") -> bytes:
        """See ``Hooks.body``."""
        for hooks in self._on:
            body = hooks.body(asked, body, headers)
        return body

    def kept_as(self, name: str) -> str:
        """See ``Hooks.kept_as``."""
        for hooks in self._on:
            name = hooks.kept_as(name)
        return name

    def tenant(self, tenant: str, tenants: Sequence[str]) -> str:
        """See ``Hooks.tenant``."""
        for hooks in self._on:
            tenant = hooks.tenant(tenant, tenants)
        return tenant

    async def search(self) -> None:
        """See ``Hooks.search``."""
        for hooks in self._on:
            await hooks.search()

    async def read(self, key: Search, read: Read) -> list[Hit]:
        """See ``Hooks.read``: each one stands before those that were switched on earlier."""
        for hooks in self._on:
            read = partial(hooks.read, key, read)
        return await read()

    async def embedding(self) -> None:
        """See ``Hooks.embedding``."""
        for hooks in self._on:
            await hooks.embedding()

    async def chat(self) -> None:
        """See ``Hooks.chat``."""
        for hooks in self._on:
            await hooks.chat()

    def hits(self, tenant: str, hits: list[Hit]) -> list[Hit]:
        """See ``Hooks.hits``."""
        for hooks in self._on:
            hits = hooks.hits(tenant, hits)
        return hits

    def vectors(self, vectors: "Vectors") -> "Vectors":
        """See ``Hooks.vectors``."""
        for hooks in self._on:
            vectors = hooks.vectors(vectors)
        return vectors

    def answer(self, answer: str) -> str:
        """See ``Hooks.answer``."""
        for hooks in self._on:
            answer = hooks.answer(answer)
        return answer

    def target_call(self) -> None:
        """See ``Hooks.target_call``."""
        for hooks in self._on:
            hooks.target_call()

    def shadow_hits(self, hits: list[Hit]) -> list[Hit]:
        """See ``Hooks.shadow_hits``."""
        for hooks in self._on:
            hits = hooks.shadow_hits(hits)
        return hits

    def dual_writes(self) -> bool:
        """See ``Hooks.dual_writes``: every fault must agree."""
        return all(hooks.dual_writes() for hooks in self._on)

    def replayed(self, key: Key) -> bool:
        """See ``Hooks.replayed``."""
        return all(hooks.replayed(key) for hooks in self._on)

    def ingest_takes_s(self) -> float:
        """See ``Hooks.ingest_takes_s``: the longest counts."""
        return max((hooks.ingest_takes_s() for hooks in self._on), default=0.0)

    def ingested(self, tenant: str, documents: Sequence[Document]) -> Sequence[Document]:
        """See ``Hooks.ingested``."""
        for hooks in self._on:
            documents = hooks.ingested(tenant, documents)
        return documents

    def exposition(self, body: bytes) -> bytes:
        """See ``Hooks.exposition``."""
        for hooks in self._on:
            body = hooks.exposition(body)
        return body

    async def tick(self, service: "RetrievalService") -> None:
        """See ``Hooks.tick``."""
        for hooks in self._on:
            await hooks.tick(service)


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime_ns

"""Dual-write and shadow-read against a target that does as it is told."""

import asyncio
import time
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import cast

import pytest
from prometheus_client import REGISTRY

from sandbox.content import Document, Hit
from sandbox.service import dual_write
from sandbox.service.dual_write import DualWriter
from sandbox.service.errors import TargetError
from sandbox.service.primary import FaissStore
from sandbox.service.shadow import ShadowReader
from sandbox.service.target import PgVectorTarget


@dataclass
class FakePrimary:
    """Holds documents in memory."""

    documents: dict[str, Document] = field(default_factory=dict)

    def get(self, _tenant: str, ids: Sequence[str]) -> list[Document]:
        return [self.documents[one] for one in ids if one in self.documents]

    def ingest(self, _tenant: str, _documents: Sequence[Document]) -> "Future[None]":
        raise NotImplementedError


@dataclass
class FakeTarget:
    """Takes writes, fails them, or is slow, as told."""

    failing: bool = False
    slow_s: float = 0.0
    written: list[Document] = field(default_factory=list)
    calls: int = 0
    name: str = "pgvector"

    def upsert(self, _tenant: str, documents: Sequence[Document]) -> None:
        self.calls += 1
        time.sleep(self.slow_s)
        if self.failing:
            raise TargetError("told so")
        self.written.extend(documents)


@dataclass
class Rig:
    """A dual-writer with its two sides and its switch."""

    primary: FakePrimary = field(default_factory=FakePrimary)
    target: FakeTarget = field(default_factory=FakeTarget)
    wanted: set[str] = field(default_factory=lambda: {"default"})
    writer: DualWriter = field(init=False)

    def __post_init__(self) -> None:
        primary, target = cast("FaissStore", self.primary), cast("PgVectorTarget", self.target)
        self.writer = DualWriter(primary, target, lambda tenant: tenant in self.wanted)

    async def offer(self, one: str, tenant: str = "default") -> None:
        self.primary.documents[one] = Document(one, f"text of {one}")
        await self.writer.offer(tenant, [self.primary.documents[one]])


def value(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


async def until(condition: object) -> None:
    assert callable(condition)
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - a thread changes it, no event to await
            await asyncio.sleep(0.01)


def test_a_write_reaches_the_target_of_a_tenant_that_is_on_only() -> None:
    """With dual-write off nothing is written and nothing waits."""
    rig = Rig()

    async def scenario() -> None:
        await rig.offer("a")
        await rig.offer("b", tenant="acme")

    asyncio.run(scenario())
    assert [document.id for document in rig.target.written] == ["a"]
    assert rig.target.calls == 1
    assert len(rig.writer.outbox) == 0


def test_failures_open_the_circuit_and_then_writes_are_skipped_and_counted() -> None:
    """The target is not called any more; every document waits in the outbox."""
    rig = Rig(target=FakeTarget(failing=True))
    errors = value("retrieval_dual_write_errors_total", target="pgvector", tenant="default")
    skipped = value("retrieval_dual_write_skipped_total", reason="circuit_open")

    async def scenario() -> None:
        for number in range(5):
            await rig.offer(f"doc-{number}")

    asyncio.run(scenario())
    assert rig.target.calls == dual_write.FAILURES_TO_OPEN == 3
    assert value("retrieval_dual_write_errors_total", target="pgvector", tenant="default") - errors == 3
    assert value("retrieval_dual_write_skipped_total", reason="circuit_open") - skipped == 2
    assert value("retrieval_dual_write_outbox_size") == 5


def test_the_outbox_is_replayed_with_what_the_primary_holds_by_then(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not with what was written when the target failed."""
    monkeypatch.setattr(dual_write, "REPLAY_EVERY_S", 0.01)
    rig = Rig(target=FakeTarget(failing=True))

    async def scenario() -> None:
        await rig.offer("a")
        rig.primary.documents["a"] = Document("a", "newer text")
        rig.target.failing = False
        replay = asyncio.create_task(rig.writer.replay_forever())
        await until(lambda: rig.target.written)
        await until(lambda: len(rig.writer.outbox) == 0)
        replay.cancel()

    asyncio.run(scenario())
    assert rig.target.written == [Document("a", "newer text")]


def test_nothing_is_replayed_once_dual_write_is_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits goes on waiting."""
    monkeypatch.setattr(dual_write, "REPLAY_EVERY_S", 0.01)
    rig = Rig(target=FakeTarget(failing=True))

    async def scenario() -> None:
        await rig.offer("a")
        rig.target.failing = False
        rig.wanted.clear()
        replay = asyncio.create_task(rig.writer.replay_forever())
        await asyncio.sleep(0.1)
        replay.cancel()

    asyncio.run(scenario())
    assert rig.target.written == []
    assert len(rig.writer.outbox) == 1


def test_a_slow_target_delays_the_user_by_the_bound_only() -> None:
    """The write itself ends in the background."""
    rig = Rig(target=FakeTarget(slow_s=0.5))

    async def scenario() -> float:
        started = time.monotonic()
        await rig.offer("a")
        waited = time.monotonic() - started
        await until(lambda: rig.target.written)
        return waited

    assert asyncio.run(scenario()) < 0.4


def hits(ids: str) -> list[Hit]:
    return [Hit(one, 1.0, one, {}) for one in ids]


def test_a_shadow_read_is_compared_with_what_was_served() -> None:
    """Agreement, nDCG and latency are observed once each."""
    labels = {"backend": "pgvector", "sample": "0.5"}
    names = ("agreement_at_5", "ndcg_at_10", "latency_seconds")
    before = [value(f"retrieval_shadow_{name}_count", **labels) for name in names]
    agreed = value("retrieval_shadow_agreement_at_5_sum", **labels)

    async def scenario() -> None:
        reader = ShadowReader(draw=lambda: 0.49)
        reader.offer("pgvector", 0.5, hits("abcde"), lambda: hits("abxyz"))
        await reader.settle()

    asyncio.run(scenario())
    after = [value(f"retrieval_shadow_{name}_count", **labels) for name in names]
    assert [b - a for a, b in zip(before, after, strict=True)] == [1, 1, 1]
    assert value("retrieval_shadow_agreement_at_5_sum", **labels) - agreed == pytest.approx(0.4)


def test_only_the_sampled_share_is_read() -> None:
    """A draw at or above the rate, and a rate of zero, read nothing."""
    calls: list[str] = []

    def read() -> list[Hit]:
        calls.append("read")
        return hits("a")

    async def scenario() -> None:
        reader = ShadowReader(draw=lambda: 0.5)
        for rate in (0.5, 0.0):
            reader.offer("pgvector", rate, hits("a"), read)
        await reader.settle()

    asyncio.run(scenario())
    assert calls == []


def test_shadow_reads_that_fail_are_late_or_find_no_room_are_dropped_by_reason() -> None:
    """And never raise."""
    reasons = ("error", "timeout", "queue_full")
    before = [value("retrieval_shadow_dropped_total", reason=reason) for reason in reasons]

    def failing() -> list[Hit]:
        raise TargetError("told so")

    def late() -> list[Hit]:
        time.sleep(0.2)
        return hits("a")

    async def scenario() -> None:
        reader = ShadowReader(draw=lambda: 0.0, timeout_s=0.05)
        reader.offer("pgvector", 1.0, hits("a"), failing)
        await reader.settle()
        for _ in range(11):
            reader.offer("pgvector", 1.0, hits("a"), late)
        await reader.settle()

    asyncio.run(scenario())
    after = [value("retrieval_shadow_dropped_total", reason=reason) for reason in reasons]
    assert [b - a for a, b in zip(before, after, strict=True)] == [1, 10, 1]

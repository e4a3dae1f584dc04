"""A FAISS side and a target in memory, for tests of what a look-up proves."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, cast

from drill.context import Drill
from drill.errors import CannotMeasure
from drill.primary import Primary
from drill.record import Evidence
from drill.steps.witness import WriteWitness
from drill.verdict import Verdict
from tests.library.world import A, B, make_drill, probes, snapshot, window

INGEST = "http_requests_total{method=POST,route=/internal/retrieval/ingest,status=200}"
FAISS = "retrieval_requests_total{backend=faiss}"
QUIET = Evidence(Verdict.PASS, "dual-write silent on 2 instances")
TOML = f"""
[service]
base_url = "{A}"
instances = ["{A}", "{B}"]
tenants = ["a"]
dual_write_lag_s = 0.0
[target]
kind = "pgvector"
dsn_env = "DSN"
"""


def documents(many: int, mark: str = "h") -> dict[str, str]:
    """Return so many documents, id to hash."""
    return {f"d{number}": f"{mark}{number}" for number in range(many)}


@dataclass
class Stores:
    """Documents by tenant, id to hash. The target calls its hashes by ``kind``, and may be deaf to look-ups."""

    faiss: dict[str, dict[str, str]] = field(default_factory=lambda: {"a": documents(40), "b": documents(40)})
    target: dict[str, dict[str, str]] = field(default_factory=lambda: {"a": documents(40), "b": documents(40)})
    deaf: bool = False
    down: bool = False
    asked: list[int] = field(default_factory=list)
    numbers: Iterator[int] = field(default_factory=lambda: count(1))
    """Ids that the service gives."""

    def inventory(self, tenant: str) -> Iterator[tuple[str, str]]:
        yield from list(self.faiss[tenant].items())

    def scan(self, tenant: str) -> Iterator[Sequence[tuple[str, str]]]:
        yield list(self.target.get(tenant, {}).items())

    def present(self, tenant: str, ids: Collection[str]) -> set[tuple[str, str]]:
        if self.down:
            raise CannotMeasure("the target does not answer")
        self.asked.append(len(ids))
        held = {} if self.deaf else self.target.get(tenant, {})
        return {(name, digest) for name, digest in held.items() if name in ids}

    def flush(self) -> None:
        """Everything is visible at once."""

    def close(self) -> None:
        """Nothing is held."""


def attach(drill: Drill, stores: Stores) -> Drill:
    """Give a drill these stores as its FAISS side and its target."""
    drill.__dict__["primary"] = cast("Primary", stores)
    drill.open_target = lambda: cast("Any", stores)  # type: ignore[method-assign]
    drill.open_target_by_text = lambda: cast("Any", getattr(stores, "by_text", stores))  # type: ignore[method-assign]
    return drill


def drill_on(folder: Path, stores: Stores, *, toml: str = TOML, **choices: Any) -> Drill:
    """Return a drill of two instances whose flags are OFF in the file."""
    return attach(make_drill(folder, toml=toml, environ={"DSN": "x"}, **choices), stores)


def watched(written: Collection[str] = (A, B), more: Mapping[str, float] | None = None, **choices: Any) -> Any:
    """Return a window in which both instances served their probes, and those of ``written`` took users' writes.

    ``more`` was born meanwhile.
    """
    before = [snapshot(name, {FAISS: 5, INGEST: 1}) for name in (A, B)]
    after = [snapshot(name, {FAISS: 25, INGEST: 4 if name in written else 1, **(more or {})}) for name in (A, B)]
    return window(before, after, probes(20, (A, B)), **choices)


def judged(drill: Drill, stores: Stores, *, evidence: Evidence = QUIET, seen: Any = None, **writes: Any) -> Evidence:
    """Judge a window in which users wrote these documents to FAISS, by tenant."""
    witness = WriteWitness(drill)
    witness.begin()
    assert witness.written.stores is not None
    for tenant, items in writes.items():
        stores.faiss[tenant] = {**stores.faiss[tenant], **items}
    if reached := getattr(stores, "on_write", None):
        reached()
    return witness.judge(evidence, seen or watched())

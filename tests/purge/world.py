"""The two sides of a migration as the tests set them up, and what they see of them."""

import itertools
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
from psycopg.sql import SQL, Identifier

from drill.content_hash import content_hash
from drill.errors import TargetUnavailable
from drill.primary import FaissDir
from drill.purge import Purge, PurgeSettings
from drill.purge.owner import Claim
from drill.purge.quarantine import part_paths, read_part
from drill.record import Scalar
from drill.target import Pair, Row, Target, TargetSettings, open_target

DIMENSION = 8
SCHEMA = SQL(
    "CREATE TABLE {} (tenant text, id text, text text, meta jsonb, content_hash text, "
    "embedding vector(8), updated_at timestamptz DEFAULT now(), PRIMARY KEY (tenant, id))"
)
HOSTILE = (
    'it\'s "quoted" \\ %s {} $1; DROP TABLE x --',
    "line\nbreak\ttab\r",
    "日本語 \U0001f600 e\u0301 \u00e9 \u202e",
    "x" * 1024,
    " ",
    "../../etc/passwd",
    "\u0001\u007f\ufeff\uffff",
)
"""Ids that a careless tool breaks on. NUL is missing: PostgreSQL cannot store it."""


def vectors(count: int, seed: int = 0) -> Any:
    """Return ``count`` random unit vectors (float32, DIMENSION)."""
    found = np.random.default_rng(seed).standard_normal((count, DIMENSION)).astype("f4")
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def documents(numbers: Iterable[int], text: str = "text of") -> dict[str, str]:
    """Return documents ``d<number>`` with a text each."""
    return {f"d{number}": f"{text} {number}" for number in numbers}


class Killed(BaseException):
    """Stands for kill -9: nothing in the code under test may catch it."""


@dataclass
class Log:
    """An event log in memory that can die at, or do something on, the nth event of a kind."""

    events: list[tuple[str, dict[str, Scalar]]] = field(default_factory=list)
    on: dict[tuple[str, int], Callable[[], object]] = field(default_factory=dict)

    def event(self, kind: str, **facts: Scalar) -> None:
        self.events.append((kind, facts))
        action = self.on.get((kind, self.kinds().count(kind)))
        if action:
            action()

    def die_at(self, kind: str, nth: int) -> "Log":
        def die() -> None:
            raise Killed

        self.on[kind, nth] = die
        return self

    def kinds(self) -> list[str]:
        return [kind for kind, _ in self.events]


class Meddling:
    """A target in which something happens before the nth call of a method."""

    def __init__(self, target: Target, method: str, nth: int, action: Callable[[], None]) -> None:
        self._target = target
        self._method = method
        self._calls = itertools.count(1)
        self._nth = nth
        self._action = action

    def __getattr__(self, name: str) -> Any:
        if name == self._method and next(self._calls) == self._nth:
            self._action()
        return getattr(self._target, name)


class Forgetful:
    """A target that says it deleted, and did not; ``times``: so often at first."""

    def __init__(self, target: Target, times: int = 1_000) -> None:
        self._target = target
        self._times = times

    def delete(self, tenant: str, pairs: Collection[Pair]) -> set[str]:
        self._times -= 1
        return self._target.delete(tenant, pairs) if self._times < 0 else {key for key, _ in pairs}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._target, name)


def gone() -> None:
    """Be a target that does not answer any more."""
    raise TargetUnavailable("target pgvector: connection lost")


def die() -> None:
    """Be killed."""
    raise Killed


@dataclass
class World:
    """A FAISS directory and a target table."""

    dsn: str
    table: str
    root: Path

    def __post_init__(self) -> None:
        self.primary = FaissDir(self.root / "faiss")
        self.primary.path.mkdir()
        self.connection = psycopg.connect(self.dsn, autocommit=True)
        self.connection.execute(SCHEMA.format(Identifier(self.table)))
        self.log = Log()

    def close(self) -> None:
        self.execute("DROP TABLE IF EXISTS {}")
        self.connection.close()

    def faiss(self, held: Mapping[str, str], tenant: str = "a", index: Any = None) -> Path:
        """Write a snapshot as the service does: both files replaced whole."""
        import faiss

        folder = self.primary.path / tenant
        folder.mkdir(exist_ok=True)
        if index is None:
            index = faiss.IndexFlatIP(DIMENSION)
            if held:
                index.add(vectors(len(held)))
        faiss.write_index(index, str(folder / "index.tmp"))
        listed = [{"id": key, "text": text, "meta": {}} for key, text in held.items()]
        (folder / "docs.tmp").write_text(json.dumps(listed), encoding="utf-8")
        (folder / "index.tmp").replace(folder / "index.faiss")
        (folder / "docs.tmp").replace(folder / "docs.json")
        return folder

    def write(
        self, held: Mapping[str, str], tenant: str = "a", hashed: Callable[[str], str | None] = content_hash
    ) -> None:
        """Upsert documents into the target."""
        statement = SQL(
            "INSERT INTO {} (tenant, id, text, meta, content_hash, embedding) VALUES (%s, %s, %s, %s, %s, %s) "
            "ON CONFLICT (tenant, id) DO UPDATE SET text = excluded.text, content_hash = excluded.content_hash"
        ).format(Identifier(self.table))
        rows = [
            (tenant, key, text, '{"n": 1.10, "s": "\\u00fc"}', hashed(text), str(vector.tolist()))
            for (key, text), vector in zip(held.items(), vectors(len(held), 1), strict=True)
        ]
        with self.connection.cursor() as cursor:
            cursor.executemany(statement, rows)

    def seed(self) -> int:
        """Make 200 documents agree, 3 be only in FAISS, 5 only on the target, 7 differ; return how many must go."""
        self.faiss(documents(range(210)))
        self.write(documents(range(200)))
        self.write(documents(range(200, 207), "older text of"))
        self.write(documents(range(1000, 1005)))
        return 12

    def execute(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Run a statement in which ``{}`` is the table."""
        cursor = self.connection.execute(SQL(statement).format(Identifier(self.table)), values)
        return cursor.fetchall() if cursor.description else []

    def ids(self, tenant: str = "a") -> set[str]:
        return {key for (key,) in self.execute("SELECT id FROM {} WHERE tenant = %s", tenant)}

    def dump(self) -> list[tuple[Any, ...]]:
        """Everything the table holds, as PostgreSQL prints it: floats in their shortest exact form."""
        columns = "tenant, id, text, meta::text, content_hash, embedding::text, updated_at"
        return self.execute(f"SELECT {columns} FROM {{}} ORDER BY 1, 2")

    def settings(self, **changes: Any) -> TargetSettings:
        return TargetSettings(**{"kind": "pgvector", "dsn": self.dsn, "table": self.table, **changes})

    def target(self, **changes: Any) -> Target:
        return open_target(self.settings(**changes), {})

    def purge(
        self,
        *,
        target: Callable[[], Any] | None = None,
        log: Log | None = None,
        work_dir: Path | None = None,
        claim: Claim | None = None,
        **changes: Any,
    ) -> Purge:
        settings = PurgeSettings(**{"tenants": ("a",), "max_fraction": 0.5, "batch": 5, **changes})
        return Purge(
            self.primary,
            target or self.target,
            settings,
            work_dir or self.root / "drill",
            log or self.log,
            claim=claim,
            by_text=lambda: self.target(hash_column=""),
        )

    def meddling(self, method: str, nth: int, action: Callable[[], None]) -> Callable[[], Any]:
        return lambda: Meddling(self.target(), method, nth, action)

    def quarantined(self) -> list[Row]:
        """Every row of every part, pending ones too."""
        parts = (read_part(path) for path in part_paths(self.root / "drill" / "quarantine"))
        return [row for _, rows in parts for row in rows]

    def leftovers(self) -> Iterator[Path]:
        """Files of the drill's directory that are no quarantine."""
        return (path for path in (self.root / "drill").rglob("*") if "quarantine" not in path.parts)

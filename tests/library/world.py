"""Drills, snapshots and windows made by hand, for tests of what is concluded from them."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, cast

from drill.answered import Answered
from drill.checks.preflight import NEEDED
from drill.context import Drill
from drill.http import HttpClient
from drill.launch import Launch, Options, launch
from drill.limiter import Limiter
from drill.load import Budget
from drill.metrics.snapshot import START_TIME, Key, Snapshot
from drill.observation import Reading, Window, open_window
from drill.primary import FaissDir, IndexFacts, Look
from drill.probe import Prober, ProbeResult

A, B = "http://a:1", "http://b:2"
SPAN_S = 30.0
ROLLED_BACK = "FF_RETRIEVAL_DUAL_WRITE=OFF\nFF_RETRIEVAL_SHADOW_READ=OFF\nRETRIEVAL_BACKEND=faiss\n"
MIGRATING = "FF_RETRIEVAL_DUAL_WRITE=ON\nFF_RETRIEVAL_SHADOW_READ=ON\nRETRIEVAL_BACKEND=pgvector\n"
_started: list[Launch] = []
FAMILIES = {name.removesuffix("_total"): "counter" for name in NEEDED}


def start(
    folder: Path,
    *,
    toml: str = "",
    env: str = ROLLED_BACK,
    apply: bool = False,
    notes: str = "drill",
    selected: frozenset[str] = frozenset(),
    environ: Mapping[str, str] | None = None,
) -> Launch:
    """Launch a drill on an env file of its own."""
    (folder / "drill.toml").write_text(toml)
    (folder / ".env").write_text(env)
    options = Options(
        env_file=folder / ".env",
        apply=apply,
        operator="tester",
        notes=notes,
        drill_config=None,
        purge="off",
        artifacts_dir=folder / "artifacts",
        reports_dir=folder / "reports",
        root=folder,
        selected=selected,
    )
    launched = launch(options, environ or {})
    _started.append(launched)
    if launched.drill is not None:
        launched.drill.__dict__["client"] = shared_client()
    return launched


@cache
def shared_client() -> HttpClient:
    """Return the one client of all drills: loading the certificate authorities takes its time."""
    return HttpClient(timeout_s=5.0, limiter=Limiter([], Budget(0, 0, 1000.0)))


def close_drills() -> None:
    """Let go of the files and locks of every drill that was launched."""
    while _started:
        launched = _started.pop()
        launched.events.close()
        if launched.drill is not None:
            launched.drill.env_file.close()
            launched.drill.heartbeat.close()


def make_drill(folder: Path, **choices: Any) -> Drill:
    """Return a drill that was not refused; by default of an env file that is rolled back already."""
    drill = start(folder, **choices).drill
    assert drill is not None
    return drill


def key(text: str) -> Key:
    """Read ``name{label=value,...}``."""
    name, _, labels = text.removesuffix("}").partition("{")
    pairs = (pair.partition("=") for pair in labels.split(",") if pair)
    return name, frozenset((label, value) for label, _, value in pairs)


def snapshot(
    instance: str = A,
    samples: Mapping[str, float] | None = None,
    *,
    started: float | None = 1000.0,
    without: Collection[str] = (),
    taken: float = 0.0,
) -> Snapshot:
    """Return a snapshot in which every family that a drill needs is registered, but for ``without``."""
    found = {key(text): float(value) for text, value in (samples or {}).items()}
    if started is not None:
        found[START_TIME, frozenset()] = started
    families = {name: kind for name, kind in FAMILIES.items() if name not in without}
    return Snapshot(instance, taken, families, found)


@dataclass
class Probes:
    """Stands for a prober that has these results."""

    found: Sequence[ProbeResult] = ()
    rate: float = 10.0
    held: int = 0
    """Probes that were not sent, to leave users their share of a limit."""
    answered: Answered = field(default_factory=Answered)

    def held_back(self, _since: float, _until: float) -> int:
        return self.held

    def results(self, since: float = 0.0, until: float = float("inf")) -> list[ProbeResult]:
        return [result for result in self.found if since <= result.due < until]


def probes(
    count: int, instances: Sequence[str] = (A,), *, latency_s: float | Iterable[float] = 0.01, bad: int = 0
) -> Probes:
    """Return ``count`` probes per instance over the window, of which the first ``bad`` failed."""
    total = count * len(instances)
    latencies = [latency_s] * total if isinstance(latency_s, float) else list(latency_s)
    return Probes(
        [
            ProbeResult(
                0.1 + 29 * index / max(total, 1),
                instances[index % len(instances)],
                latencies[index],
                index >= bad,
                "" if index >= bad else "HTTP 500",
            )
            for index in range(total)
        ]
    )


def reading(at: float, *snapshots: Snapshot, unread: Mapping[str, str] | None = None) -> Reading:
    return Reading(at, at, {item.instance: item for item in snapshots}, unread or {})


def window(
    before: Sequence[Snapshot],
    after: Sequence[Snapshot],
    asked: Probes,
    *,
    new: Iterable[str] = (),
    unread: Mapping[str, str] | None = None,
) -> Window:
    """Return the window from ``before`` to ``after``, ``SPAN_S`` seconds long."""
    first, last = reading(0.0, *before), reading(SPAN_S, *after, unread=unread)
    return open_window(first, last, cast("Prober", asked), new)


def served(
    samples: Mapping[str, float] | None = None,
    *,
    count: int = 20,
    instances: Sequence[str] = (A,),
    only: Mapping[str, Mapping[str, float]] | None = None,
    requests: str = "retrieval_requests_total{backend=faiss}",
    **choices: Any,
) -> Window:
    """Return a window in which each instance served its ``count`` probes from FAISS, and ``samples`` were born.

    ``only`` adds samples of single instances. Other choices are those of `snapshot`.
    """
    before = [snapshot(name, {requests: 5}, **choices) for name in instances]
    after = [
        snapshot(name, {requests: 5 + count, **(samples or {}), **(only or {}).get(name, {})}, **choices)
        for name in instances
    ]
    return window(before, after, probes(count, instances))


@dataclass
class Inventory:
    """Stands for FAISS: the ids per tenant."""

    ids: Mapping[str, set[str]] = field(default_factory=lambda: {"default": {"d1", "d2", "d3"}})
    dimension: int = 2

    def contains(self, tenant: str, ids: Collection[str]) -> set[str]:
        return set(ids) & self.ids.get(tenant, set())

    def check(self, tenant: str) -> IndexFacts:
        count = len(self.ids[tenant])
        return IndexFacts(tenant, count, count, self.dimension, 1, 1.0, "flat")

    def look(self, tenant: str, wanted: Collection[str] = (), sample: int = 0) -> Look:
        ids = self.ids.get(tenant, set())
        return Look(self.check(tenant), self.version(tenant), tuple(sorted(ids)[:sample]), frozenset(wanted) & ids)

    def version(self, tenant: str) -> str:
        return str(sorted(self.ids.get(tenant, set())))

    def sample_texts(self, tenant: str, count: int) -> list[str]:
        return [f"text of {name}" for name in sorted(self.ids.get(tenant, set()))][:count]


def with_primary(drill: Drill, inventory: Inventory | None = None) -> Drill:
    """Give a drill a FAISS side of hand-made documents."""
    drill.__dict__["primary"] = cast("FaissDir", inventory or Inventory())
    return drill


def with_probes(drill: Drill, asked: Probes) -> Drill:
    """Give a drill probes that have been sent already."""
    drill.__dict__["prober"] = cast("Prober", asked)
    return drill

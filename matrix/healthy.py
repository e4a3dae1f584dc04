"""Drills of healthy services, on varied load, sample rates, tenants and oddities: not one may be red or unproven."""

import http.client
import json
import random
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from matrix.bench import Bench, open_bench, seen
from matrix.faults import told_by
from sandbox.corpus import TENANTS
from sandbox.oddities.expected import GREEN, STATED
from sandbox.stack import Stack
from sandbox.traffic_plan import question

SEED = 20_251_021
PER_STACK = 10
"""Drills on one stack, before another one with other tenants is started."""
SAMPLE_RATES = (0.01, 0.1, 0.25, 0.5, 1.0)
LOADS = (0.0, 5.0, 15.0, 30.0)
"""Searches per second, beside those of the stack's users and of the drill."""
BRIEF = {
    "DRILL_SERVICE__RELOAD_TIMEOUT_S": "60",
    "DRILL_SLO__OBSERVE_S": "5",
    "DRILL_SLO__MIN_REQUESTS": "150",
    "DRILL_SLO__ERROR_RATE": "0.02",
}
"""The shortest observation whose samples can prove 2 % errors."""


@dataclass(frozen=True, slots=True)
class Situation:
    """What one healthy drill meets."""

    sample_rate: float
    load_per_s: float
    dual_write: str
    shadow_read: str
    purge: str
    oddities: tuple[str, ...] = ()
    """What is strange about the service, though it is well."""

    @classmethod
    def draw(cls, dice: random.Random, odd: Sequence[str] = ()) -> "Situation":
        """Return a situation at random, with up to two oddities of ``odd``."""
        return cls(
            sample_rate=dice.choice(SAMPLE_RATES),
            load_per_s=dice.choice(LOADS),
            dual_write=dice.choice(("ON", "ON", "ON", "OFF")),
            shadow_read=dice.choice(("ON", "ON", "ON", "OFF")),
            purge=dice.choice(("auto", "auto", "defer")),
            oddities=tuple(dice.sample(odd, min(len(odd), dice.choice((0, 1, 1, 2))))),
        )

    def changes(self) -> dict[bytes, bytes]:
        """Return what is to be changed in the incident's env file."""
        return {
            b"SAMPLE_RATE=0.25": f"SAMPLE_RATE={self.sample_rate:g}".encode(),
            b"DUAL_WRITE=ON": f"DUAL_WRITE={self.dual_write}".encode(),
            b"SHADOW_READ=ON": f"SHADOW_READ={self.shadow_read}".encode(),
        }


@dataclass(frozen=True, slots=True)
class Healthy:
    """What one healthy drill showed; it is a false alarm unless it was a success."""

    number: int
    source: str
    tenants: tuple[str, ...]
    situation: Situation
    result: str
    seen: dict[str, str]
    reasons: dict[str, str]
    seconds: float

    @property
    def ok(self) -> bool:
        """Whether nothing was red or unproven."""
        return self.result == "success" and not self.seen


def healthy_runs(folder: Path, source: str, count: int, *, seed: int = SEED) -> Iterator[Healthy]:
    """Drill ``count`` times, on a new stack with other tenants every ``PER_STACK`` times."""
    dice = random.Random(seed)  # noqa: S311 - a seed makes the runs repeatable
    for first in range(1, count + 1, PER_STACK):
        tenants = tuple(dice.sample(TENANTS, dice.randint(1, len(TENANTS))))
        with open_bench(folder / f"from-{first}", source, tenants=tenants) as bench:
            for number in range(first, min(first + PER_STACK, count + 1)):
                yield run_one(bench, source, number, Situation.draw(dice, green_oddities(source)), tenants)


def green_oddities(source: str) -> list[str]:
    """Return the oddities of which a drill whose metrics come from ``source`` must be a success, and that mix."""
    return [name for name, one in STATED.items() if one.result == GREEN and one.mixes and told_by(name, source)]


def run_one(bench: Bench, source: str, number: int, situation: Situation, tenants: tuple[str, ...]) -> Healthy:
    """Drill once."""
    bench.reset(situation.changes())
    environ = dict(BRIEF)
    for name in situation.oddities:
        bench.stack.fault(name, STATED[name].instance)
        environ |= STATED[name].environ
    if situation.oddities:
        bench.restart()
    with extra_load(bench.stack, tenants, situation.load_per_s):
        ran, seconds = bench.drill("--apply", "--purge", situation.purge, **environ)
    found = seen(ran) if ran.entries else {}
    result = str(ran.entry["result"]) if ran.entries else f"exit {ran.code} without a journal line"
    reasons = {row: ran.reason(row) for row in found}
    return Healthy(number, source, tenants, situation, result, found, reasons, round(seconds, 1))


@contextmanager
def extra_load(stack: Stack, tenants: tuple[str, ...], per_s: float) -> Iterator[None]:
    """Have one more user search, ``per_s`` times a second, while the block runs."""
    ended = threading.Event()
    user = threading.Thread(target=_search_on, args=(stack.base_urls, tenants, per_s, ended), daemon=True)
    if per_s:
        user.start()
    try:
        yield
    finally:
        ended.set()
        if per_s:
            user.join()


def _search_on(urls: list[str], tenants: tuple[str, ...], per_s: float, ended: threading.Event) -> None:
    due, number = time.monotonic(), 0
    while not ended.wait(max(0.0, due - time.monotonic())):
        due = max(due, time.monotonic() - 1) + 1 / per_s
        number += 1
        tenant = tenants[number % len(tenants)]
        body = {"query": question(tenant, number), "top_k": 10, "tenant": tenant}
        _post(urls[number % len(urls)].removeprefix("http://"), body)


def _post(host: str, body: dict[str, object]) -> None:
    connection = http.client.HTTPConnection(host, timeout=5)
    try:
        connection.request("POST", "/internal/retrieval/search", json.dumps(body), {"Content-Type": "application/json"})
        connection.getresponse().read()
    except (OSError, http.client.HTTPException):
        return
    finally:
        connection.close()

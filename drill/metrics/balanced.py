"""Reading the metrics of one address that several processes may answer: a load balancer, or workers that share a port.

Where the replicas are not listed, nobody can address one of them. So the address is read many times, each time on a new
connection, and whatever process answers is told from the others by its start time and judged on its own. What was seen
to move is a fail; silence is proven of one process only, and how likely another one was missed is said.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import ClassVar

from drill.errors import CannotMeasure
from drill.metrics.scrape import ScrapeSource
from drill.metrics.snapshot import Snapshot
from drill.observation import Between, Reading
from drill.words import count

LEAST = 16
"""Readings that make one."""
MOST = 64
"""Readings after which a process that answered earlier is given up."""
BUDGET_S = 1.0
"""Time after which a slow page is read no more: a drill must not become the load it looks for."""
SHARE = 10
"""The replica whose being missed is spoken of takes a tenth of the traffic."""
REQUESTS = "retrieval_requests_total"


def missed(readings: int, share: int = SHARE) -> float:
    """Return the probability that ``readings`` all missed a replica that takes 1/``share`` of them: (1 - 1/n)^k."""
    return (1 - 1 / share) ** readings


@dataclass
class BalancedSource:
    """Reads one address so often that every process behind it is likely to be met. See `MetricsSource`."""

    direct: ScrapeSource
    waits: ClassVar[bool] = False
    _most_met: int = field(default=1, init=False)
    """How many processes one reading has met at most: as many are looked for again."""

    def read(self, instances: Sequence[str], *, wait: bool = True) -> Reading:  # noqa: ARG002 - there is no wait here
        """Read the address until as many processes have answered as ever, at least ``LEAST`` times."""
        (address,) = instances
        began = time.monotonic()
        found: list[Snapshot] = []
        try:
            while not self._enough(found, time.monotonic() - began):
                found.append(self.direct.snapshot(address))
        except CannotMeasure as problem:
            return Reading(began, time.monotonic(), {}, {address: str(problem)})
        met = _processes(found)
        self._most_met = max(self._most_met, len(met))
        return _reading(address, began, found, met, several=self._most_met > 1)

    def recent(self, instances: Sequence[str], count: int) -> list[Reading]:  # noqa: ARG002 - one reading is many
        """Read the address."""
        return [self.read(instances)]

    def between(self, first: Reading, last: Reading) -> Between:
        """Say which processes were met in one of two readings only."""
        lost = {name: f"{name}: was not met again" for name in first.snapshots if name not in last.snapshots}
        late = {name: f"{name}: was met at the end only" for name in last.snapshots if name not in first.snapshots}
        return Between(doubts={**lost, **late})

    def least_watch_s(self) -> float:
        """Return 0: the address can be read at any time."""
        return 0.0

    def _enough(self, found: Sequence[Snapshot], seconds: float) -> bool:
        if seconds > BUDGET_S and len(found) > 1:
            return True
        return len(found) >= MOST or (len(found) >= LEAST and len(_processes(found)) >= self._most_met)


Met = dict[float | None, list[Snapshot]]


def _processes(found: Sequence[Snapshot]) -> Met:
    """Return the snapshots by the process that gave them, in the order in which they were taken."""
    met: Met = {}
    for one in found:
        met.setdefault(one.start_time, []).append(one)
    return met


def _reading(address: str, began: float, found: Sequence[Snapshot], met: Met, *, several: bool) -> Reading:
    names = {start: _name(address, start) if several else address for start in met}
    chance = f"a replica with a tenth of the traffic is missed with probability {missed(len(found)):.2g}"
    said = f"{len(met)} met in {count(len(found), 'reading')} of one address; {chance}"
    doubts = {names[start]: _FELL.format(names[start]) for start, seen in met.items() if _fell(seen)}
    if several:
        many = f"{address} shows several start times: more than one process answers there, {said}"
        doubts |= {name: f"{many}; {_LIST_THEM}" for name in names.values() if name not in doubts}
    snapshots = {names[start]: seen[-1] for start, seen in met.items()}
    return Reading(began, time.monotonic(), snapshots, {}, doubts, behind_one_address=said)


_FELL = f"{{}}: {REQUESTS} went down without a restart: metrics are per worker and cannot be judged"
_LIST_THEM = "instances behind it are not proven each on its own: list them in [service] instances"


def _name(address: str, start: float | None) -> str:
    return address if start is None else f"{address} (process started {start:.2f})"


def _fell(seen: Sequence[Snapshot]) -> bool:
    return any(new.total(REQUESTS) < old.total(REQUESTS) for old, new in pairwise(seen))

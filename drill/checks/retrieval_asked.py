"""Whether a chat asks retrieval: what the instances count while it answers, less what the drill itself has asked.

Users ask retrieval, too, and the counters do not say for whom. So each answer is watched by itself, for as long as it
takes: fewer requests than answers show that some were not asked for. And where the service counts HTTP requests by
route, every search is one request to retrieval, and what is counted beyond searches is what chats have asked, however
many users there are.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from drill.checks.no_probes import probes_of
from drill.context import Drill
from drill.http import Reply
from drill.metrics.snapshot import Delta, Snapshot
from drill.metrics.status import status_of
from drill.observation import Reading, open_window

REQUESTS = "retrieval_requests_total"
HTTP = "http_requests_total"
WHOLE = 0.98
"""Requests to retrieval for each search over HTTP below which a service answers searches by itself, from a cache."""
COUNTED_S = 0.5
"""How long a service may take to count what it has answered."""
POLL_S = 0.25
LATELY_S = 30.0
"""Probes that are no older tell how long a search takes."""
WATCHED = 6
"""Answers that are watched: each costs some readings of every instance."""


@dataclass
class RetrievalAsked:
    """Watches the counters of all instances around each answer: a chat may ask another instance than its own."""

    drill: Drill
    answers: int = 0
    """Answers that were watched."""
    requests: float = 0.0
    """Requests to retrieval meanwhile that were not the drill's probes."""
    unknown: str = ""
    """Why it cannot be known; empty if it can."""
    _first: Reading | None = None
    _last: Reading | None = None
    _taken_s: list[float] = field(default_factory=list)

    @property
    def missing(self) -> bool:
        """Whether answers were given for which retrieval was not asked."""
        beyond = self._beyond_searches()
        return self.requests < self.answers or (beyond is not None and beyond < self.answers / 2)

    @property
    def told_apart(self) -> bool:
        """Whether what users ask can be told from what the chat asks."""
        return self._beyond_searches() is not None

    @property
    def most(self) -> float:
        """How often retrieval was asked at most for the answers, as far as it can be told."""
        beyond = self._beyond_searches()
        return self.requests if beyond is None else max(0.0, min(self.requests, beyond))

    def _beyond_searches(self) -> float | None:
        """Return the requests to retrieval beyond those of searches, from first to last; ``None`` if it cannot be told.

        Requests that are under way at either end are counted on one side only: half of the answers is allowed for that,
        and where more than one is under way at any time (Little's law), nothing is concluded.
        """
        if self._first is None or self._last is None:
            return None
        path = self.drill.config.service.search_path
        pages = self._first.snapshots.values()
        searches = sum(map(partial(_searches, path=path), pages))
        if not searches or sum(page.total(REQUESTS) for page in pages) < WHOLE * searches:
            return None
        ends = self._last.snapshots.values()
        asked = sum(page.total(REQUESTS) for page in ends) - sum(page.total(REQUESTS) for page in pages)
        searched = sum(map(partial(_searches, path=path), ends)) - searches
        return None if self._under_way(searched, self._first.ended, self._last.began) > 1 else asked - searched

    def _under_way(self, searched: float, since: float, until: float) -> float:
        """Return how many searches are under way on average."""
        return searched / max(until - since, 1e-9) * self._search_s(since, until)

    def _search_s(self, since: float, until: float) -> float:
        """Return how long a search takes: what probes saw lately, else an answer, for which one may be made."""
        lately = probes_of(self.drill).results(since - LATELY_S, until)
        took = [one.latency_s for one in lately if one.ok] or self._taken_s
        return sum(took) / len(took)

    def around(self, ask: Callable[[], Reply]) -> Reply:
        """Return the answer to a chat request, and count what retrieval is asked for it."""
        first = self._read() if self.answers < WATCHED else None
        self._first = self._first or first
        reply = ask()
        if first is not None and reply.ok:
            self.answers += 1
            self._taken_s.append(reply.latency_s)
            self.requests += self._since(first)
        return reply

    def _since(self, first: Reading) -> float:
        deadline = time.monotonic() + COUNTED_S
        while True:
            last = self._read()
            if last is None:
                return 0.0
            asked, self._last = self._asked(first, last), last
            if asked >= 1 or self.unknown or time.monotonic() > deadline:
                return asked
            time.sleep(POLL_S)

    def _asked(self, first: Reading, last: Reading) -> float:
        deltas = [Delta(one, last.snapshots[name]) for name, one in first.snapshots.items()]
        if any(delta.restarted for delta in deltas):
            self.unknown = "another process answers at the same address now and then"
            return 0.0
        window = open_window(first, last, probes_of(self.drill), ())
        return max(0.0, sum(delta.growth(REQUESTS) for delta in deltas) - window.probes.total())

    def _read(self) -> Reading | None:
        """Read the instances' own pages: from Prometheus a single answer cannot be told."""
        if self.unknown:
            return None
        reading = self.drill.direct.read(self.drill.service.instances)
        if reading.unread or not all(page.has(REQUESTS) for page in reading.snapshots.values()):
            self.unknown = "the instances' own metrics cannot be read"
            return None
        return reading


def _searches(page: Snapshot, path: str) -> float:
    """Return how many searches have reached retrieval over HTTP: those of a wrong form do not."""
    found = page.select(HTTP, route=path, method="POST")
    return sum(value for labels, value in found if not status_of(labels).startswith("4"))

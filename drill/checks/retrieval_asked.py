"""Whether a chat asks retrieval: what the instances count while it answers, less what the drill itself has asked.

Users ask retrieval, too, and the counters do not say for whom. So each answer is watched by itself, for as long as it
takes. More requests than expected prove nothing then, but fewer than answers show that some were not asked for.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from drill.context import Drill
from drill.http import Reply
from drill.metrics.snapshot import Delta
from drill.observation import Reading, open_window

REQUESTS = "retrieval_requests_total"
COUNTED_S = 0.5
"""How long a service may take to count what it has answered."""
POLL_S = 0.05


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

    def around(self, ask: Callable[[], Reply]) -> Reply:
        """Return the answer to a chat request, and count what retrieval is asked for it."""
        first = self._read()
        reply = ask()
        if first is not None and reply.ok:
            self.answers += 1
            self.requests += self._since(first)
        return reply

    def _since(self, first: Reading) -> float:
        deadline = time.monotonic() + COUNTED_S
        while True:
            last = self._read()
            if last is None:
                return 0.0
            asked = self._asked(first, last)
            if asked >= 1 or self.unknown or time.monotonic() > deadline:
                return asked
            time.sleep(POLL_S)

    def _asked(self, first: Reading, last: Reading) -> float:
        deltas = [Delta(one, last.snapshots[name]) for name, one in first.snapshots.items()]
        if any(delta.restarted for delta in deltas):
            self.unknown = "another process answers at the same address now and then"
            return 0.0
        window = open_window(first, last, self.drill.prober, ())
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

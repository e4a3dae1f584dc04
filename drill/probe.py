"""The continuous probe: searches from before the reload to the end, on a fixed schedule.

Open loop (METRICS.md, number 40): a request goes out when it is due, whatever became of the one before, so a stall is
seen by as many probes as it lasted. Latency is the time on the wire, from the first byte sent to the last received.

An instance that has not answered for a while is asked ever more rarely, and one that limits the drill as often as its
limiter leaves room. A probe that the drill itself comes too late to send is left out, never sent in a burst.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from drill.answered import Answered, results_of
from drill.fresh import EVERY, Fresh
from drill.http import HttpClient, Reply
from drill.limits import UNAVAILABLE, Apart

if TYPE_CHECKING:
    from drill.limiter import Limiter

WORKERS = 64
"""Probes that may be under way at once: at the regular rate those of six seconds, more than the client's timeout."""
PROBE_RATE = 10.0
"""Probes per second, over all instances together."""
OVERDUE_S = 1.0
"""A probe that could not be sent within this time is left out: the drill stood still, and the service did not."""
DROPS_KEPT = 1000
"""Probes of one standstill that are noted one by one."""
PATIENCE = 10
"""An instance is asked again after so many parts of the time for which it has not answered ..."""
MAX_GAP_S = 5.0
"""... but after this time at the latest."""


@dataclass(frozen=True, slots=True)
class Ask:
    """One thing to ask: a tenant's query at an instance."""

    instance: str
    tenant: str
    query: str
    fresh: bool = False
    """Whether nobody has asked it before."""


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """What became of one probe; never the answer itself."""

    due: float
    """Monotonic clock, seconds."""
    instance: str
    latency_s: float
    ok: bool
    error: str
    """What was wrong, in a few words; empty if nothing."""
    late_s: float = 0.0
    """How much later than it was due the drill's own machine came to send it."""
    apart: Apart | None = None
    """Why it is neither answered nor failed, if it is neither."""
    rate: float = 0.0
    """Probes per second that were sent when it was."""

    @property
    def failed(self) -> bool:
        """Whether the service was asked and did not answer well."""
        return not self.ok and self.apart is None


class Prober:
    """Asks in turn every instance, tenant and query, at ``rate`` per second, until it is stopped."""

    def __init__(
        self,
        client: HttpClient,
        search_path: str,
        asks: Sequence[Ask],
        top_k: int,
        rate: float = PROBE_RATE,
        limiter: "Limiter | None" = None,
        fresh: Fresh | None = None,
    ) -> None:
        """``asks`` are repeated in order, so neighbours should be different instances; ``limiter`` is the client's.

        One in `EVERY` probes asks what nobody has asked before, if ``fresh`` makes it.
        """
        from concurrent.futures import ThreadPoolExecutor

        self._client = client
        self._path = search_path
        self._asks = asks
        self._top_k = top_k
        self.rate = rate
        self._limiter = limiter
        self._fresh = fresh
        self._results: list[ProbeResult] = []
        self.answered = Answered()
        self._lock = threading.Condition()
        self._sick_since: dict[str, float] = {}
        self._asked: dict[str, float] = {}
        self._held_back: list[float] = []
        self._stop = threading.Event()
        self._free = threading.Semaphore(WORKERS)
        self._pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="probe")
        self._thread = threading.Thread(target=self._run, name="probe-schedule", daemon=True)

    def start(self) -> None:
        """Begin to probe."""
        self._thread.start()

    def stop(self) -> None:
        """Send no more, and wait for what is under way (bounded by the client's timeout)."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def close(self) -> None:
        """Stop, and close the connections of the client that was given."""
        self.stop()
        self._client.close()

    def results(self, since: float = 0.0, until: float = float("inf")) -> list[ProbeResult]:
        """Return the finished probes that were due in ``[since, until)``, in that order."""
        with self._lock:
            found = [result for result in self._results if since <= result.due < until]
        return sorted(found, key=lambda result: result.due)

    def wait(self, enough: Callable[[Sequence[ProbeResult]], bool], since: float, timeout_s: float) -> bool:
        """Wait until the probes due after ``since`` are ``enough``, at most ``timeout_s`` seconds."""
        deadline = time.monotonic() + timeout_s
        with self._lock:
            while not enough([result for result in self._results if result.due >= since]):
                if (
                    not self._lock.wait(timeout=min(0.5, max(0.0, deadline - time.monotonic())))
                    and time.monotonic() >= deadline
                ):
                    return False
        return True

    def sent(self, since: float, until: float) -> Counter[str]:
        """Return how many probes due in the window were answered well, per instance."""
        return Counter(result.instance for result in self.results(since, until) if result.ok)

    def held_back(self, since: float, until: float) -> int:
        """Return how many probes of a time were not sent, for what the service's limiter leaves room for."""
        return sum(since <= due < until for due in self._held_back)

    def _run(self) -> None:
        due = time.monotonic()
        index = 0
        while not self._stop.wait(max(0.0, due - time.monotonic())):
            due = self._without_overdue(due, time.monotonic())
            ask, rate = self._at(index), self.rate
            if self._is_time(ask.instance, due, rate):
                self._send(ask, due, rate)
            index += 1
            due += 1 / rate

    def _at(self, index: int) -> Ask:
        """Return what is asked at a place of the schedule; what is new goes to each instance and tenant in turn."""
        if self._fresh is None or (index + 1) % EVERY:
            return self._asks[index % len(self._asks)]
        ask = self._asks[index // EVERY % len(self._asks)]
        return replace(ask, query=self._fresh.of(ask.query), fresh=True)

    def _without_overdue(self, due: float, now: float) -> float:
        """Leave out what should have been sent long ago; return when the next probe is due."""
        if now - due <= OVERDUE_S:
            return due
        count, error = int((now - due) * self.rate), f"not sent: the drill itself stood still for {now - due:.0f} s"
        for number in range(min(count, DROPS_KEPT)):
            ask = self._asks[number % len(self._asks)]
            at = due + number / self.rate
            self._keep(ProbeResult(at, ask.instance, 0.0, ok=False, error=error, apart=Apart.UNMEASURED))
        return now

    def _is_time(self, instance: str, due: float, rate: float) -> bool:
        """Whether an instance may be asked: not yet, where it does not answer or limits the drill."""
        last = self._asked.get(instance, float("-inf"))
        sick = self._sick_since.get(instance)
        at = last if sick is None else last + min(MAX_GAP_S, (due - sick) / PATIENCE)
        if due < at - 0.5 / rate:
            return False
        if self._limiter is not None and due < self._limiter.next_probe(instance, last) - 0.5 / rate:
            self._held_back.append(due)
            return False
        self._asked[instance] = due
        return True

    def _send(self, ask: Ask, due: float, rate: float) -> None:
        if self._free.acquire(blocking=False):
            self._pool.submit(self._ask, ask, due, rate)
        else:  # queued, it would go out after the stall and come back well: a stall that nobody saw
            self._keep(ProbeResult(due, ask.instance, 0.0, ok=False, error="not sent: no probe is answered", rate=rate))

    def _ask(self, ask: Ask, due: float, rate: float) -> None:
        late_s = max(0.0, time.monotonic() - due)
        try:
            body = {"query": ask.query, "top_k": self._top_k, "tenant": ask.tenant}
            reply = self._client.post(ask.instance + self._path, body)
            error = wrong_answer(reply)
            if not error:
                self.answered.note(ask, due, reply)
            apart = None if reply.status == UNAVAILABLE else reply.apart  # users are not served either
            self._keep(ProbeResult(due, ask.instance, reply.latency_s, not error, error, late_s, apart, rate))
        finally:
            self._free.release()

    def _keep(self, result: ProbeResult) -> None:
        with self._lock:
            self._results.append(result)
            if result.ok:
                self._sick_since.pop(result.instance, None)
            elif result.failed:
                self._sick_since.setdefault(result.instance, result.due)
            self._lock.notify_all()


def wrong_answer(reply: Reply) -> str:
    """Say what is wrong with an answer to a search, or nothing: a login page with status 200 is no answer."""
    if not reply.ok or reply.apart:
        return reply.seen()
    return "" if results_of(reply) is not None else f"{reply.seen()} without a list of results"

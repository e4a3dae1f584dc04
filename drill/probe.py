"""The continuous probe: about ten searches a second from the first step to the last, on a fixed schedule.

Open loop (METRICS.md, number 40): a request goes out when it is due, whatever became of the one before, so a stall is
seen by as many probes as it lasted. Latency is the time on the wire, from the first byte sent to the last received.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from drill.http import HttpClient, Reply

WORKERS = 64
"""Probes that may be under way at once: at the regular rate those of six seconds, more than the client's timeout."""
PROBE_RATE = 10.0
"""Probes per second, over all instances together."""


@dataclass(frozen=True, slots=True)
class Ask:
    """One thing to ask: a tenant's query at an instance."""

    instance: str
    tenant: str
    query: str


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


class Prober:
    """Asks in turn every instance, tenant and query, at ``rate`` per second, until it is stopped."""

    def __init__(
        self, client: HttpClient, search_path: str, asks: Sequence[Ask], top_k: int, rate: float = PROBE_RATE
    ) -> None:
        """``asks`` are repeated in order, so neighbours should be different instances."""
        from concurrent.futures import ThreadPoolExecutor

        self._client = client
        self._path = search_path
        self._asks = asks
        self._top_k = top_k
        self.rate = rate
        self._results: list[ProbeResult] = []
        self._lock = threading.Condition()
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

    def _run(self) -> None:
        due = time.monotonic()
        index = 0
        while not self._stop.wait(max(0.0, due - time.monotonic())):
            ask = self._asks[index % len(self._asks)]
            if self._free.acquire(blocking=False):
                self._pool.submit(self._ask, ask, due)
            else:  # queued, it would go out after the stall and come back well: a stall that nobody saw
                self._keep(ProbeResult(due, ask.instance, 0.0, ok=False, error="not sent: no probe is answered"))
            index += 1
            due += 1 / self.rate

    def _ask(self, ask: Ask, due: float) -> None:
        late_s = max(0.0, time.monotonic() - due)
        try:
            body = {"query": ask.query, "top_k": self._top_k, "tenant": ask.tenant}
            reply = self._client.post(ask.instance + self._path, body)
            error = wrong_answer(reply)
            self._keep(ProbeResult(due, ask.instance, reply.latency_s, not error, error, late_s))
        finally:
            self._free.release()

    def _keep(self, result: ProbeResult) -> None:
        with self._lock:
            self._results.append(result)
            self._lock.notify_all()


def wrong_answer(reply: Reply) -> str:
    """Say what is wrong with an answer to a search, or nothing: a login page with status 200 is no answer."""
    if not reply.ok:
        return reply.seen()
    data = reply.json()
    if not isinstance(data, dict) or not isinstance(data.get("results"), list):
        return f"{reply.seen()} without a list of results"
    return ""

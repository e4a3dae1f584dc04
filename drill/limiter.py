"""The one gate through which every request to the service goes: how many, how fast, and when the service says no.

Nothing more is sent to an instance than was announced, and nothing faster. Where an answer says that the service limits
its clients, the drill waits as long as it is told and probes slower from then on: never more than ``SHARE`` of what the
limiter lets through, because others may live off the same limit.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from drill.limits import TOO_MANY, UNAVAILABLE, Apart, Told
from drill.load import Budget

SHARE = 0.5
"""Share of what a limiter lets through that is probed with; the rest is for the checks, and for users."""
RESERVE = 0.2
"""Share of a limit that is left to others whole: with less than that remaining, no probe is sent until the reset."""
SAID_S = 2.0
"""A wait that is longer is said when it begins."""
LIMITS, DOWN = "the service limits the drill", "the service is unavailable (HTTP 503) and asks to wait"
UNTOLD_S = 5.0
"""How long is waited after a 429 that does not say how long; twice as long after each further one."""
LONGEST_S = 60.0
"""The longest such wait, and the longest that a check waits for one request."""
DOWN_S = 5.0
"""The longest that a 503 holds up probes: one in so many seconds is no load, and shows when the service is back, which
may be long before the time that it has told."""
PATIENCE_S = 180.0
"""For how long checks wait for one instance's limiter in a whole drill."""
ROOM_S = 1.0
"""How long a probe waits for its place within the rate; one that is sent later would be no sample of its time."""
SLOWEST_S = 60.0
"""The longest pause between two probes of an instance that has limited the drill."""


@dataclass(frozen=True, slots=True)
class Withheld:
    """Why a request was not sent."""

    reason: str
    apart: Apart = Apart.UNMEASURED


@dataclass(slots=True)
class _Gate:
    """What is known of one instance's limiter."""

    since: float
    """From when on what was let through is counted."""
    let_through: int = 0
    probes: int = 0
    checks: int = 0
    blocked_until: float = 0.0
    probes_blocked_until: float = 0.0
    gap_s: float = 0.0
    """Seconds between two probes, at least."""
    cause: str = ""
    """What is waited for."""
    said_until: float = 0.0
    """The end of the wait that was said last."""
    per_s: float = 0.0
    """Requests a second that were seen to be let through, or are left to the drill; 0: no limit was met."""
    untold: int = 0
    waited_s: float = 0.0


class Limiter:
    """Counts and spaces the requests of one drill. May be used from several threads."""

    def __init__(
        self,
        instances: Iterable[str],
        budget: Budget,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        tell: Callable[[str], None] = lambda _text: None,
    ) -> None:
        """``instances`` are URLs; what is asked elsewhere is neither counted nor held up.

        ``tell`` is told once of each long wait: for what, and how long.
        """
        self.budget = budget
        self.withheld = 0
        """Requests that were not sent."""
        self._clock, self._sleep, self._tell = clock, sleep, tell
        self._gates = {name: _Gate(clock()) for name in instances}
        self._burst = max(1, int(budget.per_s))
        self._slots: deque[float] = deque(maxlen=self._burst)
        self._waits: list[tuple[float, float]] = []
        self._limited: list[tuple[float, str]] = []
        self._unavailable: list[tuple[float, float]] = []
        self._lock = threading.Lock()

    def admit(self, url: str, *, probe: bool = False) -> Withheld | None:
        """Wait until a request may go out, and count it; return why it may not, nothing if it may.

        A probe does not wait for the service's limiter: it is one of many.
        """
        gate = self._gates.get(self._instance(url))
        if gate is None:
            return None
        withheld = None if probe else self._await_limiter(gate)
        withheld = withheld or self._take(gate, probe=probe)
        self.withheld += withheld is not None
        return withheld

    def note(self, url: str, told: Told) -> None:
        """Take in what an answer says of a limit."""
        name = self._instance(url)
        if (gate := self._gates.get(name)) is None:
            return
        with self._lock:
            now = self._clock()
            if told.unavailable:
                self._unavailable.append((now, told.wait_s or 0.0))
            elif told.limited:
                self._limited.append((now, name))
            if told.limited:
                self._turned_away(gate, told, now)
                return
            gate.let_through, gate.untold = gate.let_through + 1, 0
            if told.status == UNAVAILABLE and told.retry_after_s:  # a restart says so too: checks go on asking
                gate.probes_blocked_until = max(gate.probes_blocked_until, now + min(told.retry_after_s, DOWN_S))
            self._remains(gate, told, now)

    def next_probe(self, instance: str, last: float) -> float:
        """Return when an instance may be probed again that was probed at ``last`` (monotonic)."""
        gate = self._gates.get(instance)
        return last if gate is None else max(gate.blocked_until, gate.probes_blocked_until, last + gate.gap_s)

    def sent(self, instance: str = "") -> int:
        """Return how many requests went to one instance; without a name, to all."""
        gates = [self._gates[instance]] if instance else list(self._gates.values())
        return sum(gate.probes + gate.checks for gate in gates)

    @property
    def announced(self) -> int:
        """Requests to all instances that were announced."""
        return self.budget.total * len(self._gates)

    def limited(self, since: float = 0.0, until: float = float("inf"), instance: str = "") -> int:
        """Return how many requests were one too many in a time (monotonic)."""
        with self._lock:
            return sum(since <= at < until and instance in {"", name} for at, name in self._limited)

    def unavailable(self, since: float = 0.0, until: float = float("inf")) -> tuple[int, float]:
        """Return how many requests were answered 503 in a time, and for how long it was asked to wait at most."""
        with self._lock:
            waits = [wait_s for at, wait_s in self._unavailable if since <= at < until]
        return len(waits), max(waits, default=0.0)

    @property
    def per_s(self) -> float:
        """The requests a second that the instance with the tightest limit lets through; 0: no limit was met."""
        return min((gate.per_s for gate in self._gates.values() if gate.per_s), default=0.0)

    def waited_s(self, since: float) -> float:
        """Return how long checks or probes had to wait for a limiter since a moment (monotonic), overlaps once."""
        with self._lock:
            waits = sorted((max(begin, since), end) for begin, end in self._waits if end > since)
        total, reached = 0.0, since
        for begin, end in waits:
            total += max(0.0, end - max(begin, reached))
            reached = max(reached, end)
        return total

    def _instance(self, url: str) -> str:
        return max((name for name in self._gates if url == name or url.startswith(f"{name}/")), key=len, default="")

    def _await_limiter(self, gate: _Gate) -> Withheld | None:
        """Wait as long as the service has asked to, within the patience of a drill."""
        with self._lock:
            wait_s = gate.blocked_until - self._clock()
            if wait_s <= 0:
                return None
            if wait_s > min(LONGEST_S, PATIENCE_S - gate.waited_s):
                apart = Apart.LIMITED if gate.cause == LIMITS else Apart.UNMEASURED
                return Withheld(f"not sent: {gate.cause} for another {wait_s:.0f} s", apart)
            gate.waited_s += wait_s
            said, gate.said_until = gate.said_until, gate.blocked_until
            cause = gate.cause
        if wait_s > SAID_S and said < gate.blocked_until:
            self._tell(f"{cause}: waiting {wait_s:.0f} s before the next request")
        self._sleep(wait_s)
        return None

    def _take(self, gate: _Gate, *, probe: bool) -> Withheld | None:
        """Count a request and wait for its place within the rate."""
        with self._lock:
            if (gate.probes >= self.budget.probes) if probe else (gate.checks >= self.budget.checks):
                return Withheld("not sent: the drill has sent as many requests as it has announced")
            now = self._clock()
            at = max(now, self._slots[0] + self._burst / self.budget.per_s) if self._full else now
            if probe and at - now > ROOM_S:
                return Withheld("not sent: no room for it within [probe] max_rate")
            self._slots.append(at)
            gate.probes, gate.checks = gate.probes + probe, gate.checks + (not probe)
        if at > now:
            self._sleep(at - now)
        return None

    @property
    def _full(self) -> bool:
        return len(self._slots) == self._burst

    def _turned_away(self, gate: _Gate, told: Told, now: float) -> None:
        """Wait as told, and learn what was let through per second: the rate falls with each time, and never rises."""
        wait_s = told.wait_s
        if wait_s is None:
            wait_s = min(LONGEST_S, UNTOLD_S * 2**gate.untold)
        until = now + min(max(wait_s, 0.1), 3600.0)
        if now >= gate.blocked_until:  # several were under way: the first one tells, the others say the same
            gate.untold += told.wait_s is None
            let_through = gate.let_through / max(until - gate.since, 1.0)
            gap_s = 1 / (SHARE * let_through) if let_through else SLOWEST_S
            gate.gap_s = min(SLOWEST_S, max(gap_s, 1.2 * gate.gap_s))
            gate.per_s = let_through
            gate.since, gate.let_through = until, 0
            self._waits.append((now, min(until, now + LONGEST_S)))
        if until > gate.blocked_until:
            gate.cause = LIMITS if told.status == TOO_MANY else DOWN
            gate.blocked_until = until

    def _remains(self, gate: _Gate, told: Told, now: float) -> None:
        """Leave what remains of a limit to others, but for a share."""
        if told.remaining is None or told.reset_s is None:
            return
        kept = RESERVE * (told.limit if told.limit is not None else 0.0)
        if told.remaining <= kept:
            gate.probes_blocked_until = max(gate.probes_blocked_until, now + min(told.reset_s, 3600.0))
            return
        gate.per_s = (told.remaining - kept) / max(1.0, told.reset_s)
        gate.gap_s = min(SLOWEST_S, 1 / (SHARE * gate.per_s))

"""Whether one address is answered by several processes of which each counts for itself (METRICS.md, A1 number 14)."""

import time
from collections.abc import Sequence
from itertools import pairwise

from drill.checks.silence import short
from drill.context import Drill
from drill.errors import CannotMeasure
from drill.metrics.snapshot import Delta
from drill.observation import Reading

ASKED = 12
"""Requests that are counted: of two workers, one gets all of them once in 2,000 times."""
COUNTED_S = 0.5
"""How long a service may take to count what it has answered."""
POLL_S = 0.05
HTTP = "http_requests_total"
TOTAL = "retrieval_requests_total"


def several_workers(readings: Sequence[Reading], *, restarts: bool) -> str:
    """Return what shows in ``readings`` that one address is answered by several processes; empty if nothing does.

    Where ``restarts`` may lie between the readings, a new start time shows nothing, but one that comes back does.
    """
    gone: dict[str, set[float | None]] = {}
    for earlier, later in pairwise(readings):
        for name, new in later.snapshots.items():
            old = earlier.snapshots.get(name)
            if old is None:
                continue
            if old.start_time != new.start_time:
                gone.setdefault(name, set()).add(old.start_time)
                if not restarts or new.start_time in gone[name]:
                    return f"{short(name)} shows several start times"
                continue
            if new.total(TOTAL) < old.total(TOTAL):
                return f"{short(name)}: {TOTAL} went down without a restart"
    return ""


def partly_counted(drill: Drill) -> str:
    """Return which instance counts only a part of what the drill alone sends it; empty if none is seen to.

    Where every scrape meets the same worker, its counters look whole, and users' requests make up in number for those
    of the drill that it has not seen. So OPTIONS is asked, which no user asks, each time on a new connection. A service
    that counts none of these requests shows nothing either way.
    """
    from drill.service import each

    return next(filter(None, each(lambda url: _partly(drill, url), drill.service.instances)), "")


def _partly(drill: Drill, url: str) -> str:
    path = drill.config.service.search_path
    try:
        before = drill.direct.snapshot(url)
        answered = _ask(drill, url + path)
        deadline = time.monotonic() + COUNTED_S
        while True:
            moved = Delta(before, drill.direct.snapshot(url))
            counted = moved.growth(HTTP, method="OPTIONS")
            if moved.restarted or counted >= answered:
                return ""
            if time.monotonic() > deadline:
                seen = f"{short(url)} counts {counted:g} of {answered} requests that only this drill sends"
                return seen if counted else ""
            time.sleep(POLL_S)
    except CannotMeasure:
        return ""  # Prometheus may be all there is to read


def _ask(drill: Drill, url: str) -> int:
    """Ask ``ASKED`` times, and no further one that does not answer in time; return how many requests were answered."""
    answered = 0
    for _ in range(ASKED):
        reply = drill.client.request("OPTIONS", url, headers={"Connection": "close"})
        if reply.dead:
            break
        answered += not reply.error and reply.apart is None
    return answered

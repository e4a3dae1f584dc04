"""Services that limit their clients, or that are slower the more they are asked."""

import asyncio
import time
from collections import deque
from math import ceil
from time import monotonic
from typing import TYPE_CHECKING

from sandbox.faults.hooks import Asked, Hooks
from sandbox.faults.registry import oddity
from sandbox.faults.turned_away import DRILL, too_many

if TYPE_CHECKING:
    from starlette.datastructures import MutableHeaders
    from starlette.responses import Response

    from sandbox.service.core import RetrievalService

WINDOW_S = 60.0
PER_CLIENT = 60
SHARED = 900
"""Requests in a window that all clients of an instance share; users alone take six to seven hundred."""
PLENTY = 100_000
SNAPSHOT_EVERY_S = 3.0
SNAPSHOT_S = 0.25
PER_SEARCH_S = 0.003


class _Limited(Hooks):
    """Lets ``limit`` requests through in each window of a minute, of those whose ``concerns`` is true."""

    limit = PER_CLIENT

    def __init__(self, instance: int) -> None:
        super().__init__(instance)
        self._began = monotonic()
        self._used = 0

    def concerns(self, asked: Asked) -> bool:
        """Return whether a request counts."""
        raise NotImplementedError

    @property
    def left(self) -> int:
        """Requests that are left in this window."""
        return max(0, self.limit - self._used)

    @property
    def reset_s(self) -> float:
        """Seconds until the next window."""
        return WINDOW_S - (monotonic() - self._began) % WINDOW_S

    def edge(self, asked: Asked) -> "Response | None":
        """Count, and turn away what is too much."""
        if monotonic() - self._began >= WINDOW_S:
            self._began += WINDOW_S * ((monotonic() - self._began) // WINDOW_S)
            self._used = 0
        if not self.concerns(asked):
            return None
        if not self.left:
            return too_many(asked, self.reset_s)
        self._used += 1
        return None


@oddity
class RateLimited(_Limited):
    """Each client that names itself may send an instance 60 requests a minute; more are answered 429, Retry-After."""

    def concerns(self, asked: Asked) -> bool:
        """Return whether it is the drill: users of the stack do not name themselves, and are many."""
        return asked.headers.get("user-agent", "").startswith(DRILL)


@oddity
class SharedRateLimit(_Limited):
    """All clients of an instance share 900 requests a minute, and each answer says what remains (X-RateLimit-*)."""

    limit = SHARED

    def concerns(self, asked: Asked) -> bool:
        """Return whether it is a request of users or of the drill: not a page, not a look at the health."""
        return asked.method == "POST"

    def head(self, asked: Asked, status: int, headers: "MutableHeaders") -> int:
        """Say what remains."""
        if self.concerns(asked):
            headers["X-RateLimit-Limit"] = str(self.limit)
            headers["X-RateLimit-Remaining"] = str(self.left)
            headers["X-RateLimit-Reset"] = str(ceil(time.time() + self.reset_s))
        return status


@oddity
class RateLimitHeaders(Hooks):
    """Each answer says in the form of the IETF draft that very much remains of a limit."""

    def head(self, asked: Asked, status: int, headers: "MutableHeaders") -> int:  # noqa: ARG002 - whatever it is
        """Say what remains."""
        headers["RateLimit-Policy"] = f'"default";q={PLENTY};w=60'
        headers["RateLimit"] = f'"default";r={PLENTY - 1};t=60'
        return status


@oddity
class SnapshotsTakeTheProcessor(Hooks):
    """Every three seconds the instance answers nothing for a quarter of a second, as while a snapshot is written."""

    def __init__(self, instance: int) -> None:
        super().__init__(instance)
        self._due = monotonic() + SNAPSHOT_EVERY_S

    async def tick(self, service: "RetrievalService") -> None:  # noqa: ARG002 - all of it stands still
        """Take the processor when it is time."""
        if monotonic() >= self._due:
            self._due = monotonic() + SNAPSHOT_EVERY_S
            time.sleep(SNAPSHOT_S)  # noqa: ASYNC251 - that it blocks is what is odd


@oddity
class SlowUnderLoad(Hooks):
    """Each search takes 3 ms longer for each one of the second before it."""

    def __init__(self, instance: int) -> None:
        super().__init__(instance)
        self._last: deque[float] = deque()

    async def search(self) -> None:
        """Wait the longer the more is asked."""
        now = monotonic()
        self._last.append(now)
        while self._last[0] < now - 1.0:
            self._last.popleft()
        await asyncio.sleep(PER_SEARCH_S * len(self._last))

"""Faults of quality: some errors, some slowness."""

import asyncio
from time import monotonic
from typing import TYPE_CHECKING

from sandbox.faults.hooks import Asked, Hooks
from sandbox.faults.registry import fault
from sandbox.faults.turned_away import DRILL, too_many
from sandbox.service.errors import RetrievalError

if TYPE_CHECKING:
    from starlette.responses import Response

ERRORS_BEGIN_AFTER_S = 9.0


class _EveryNth(Hooks):
    """Fails each ``n``-th search: the share is exact over any longer run."""

    n = 1

    def __init__(self, instance: int) -> None:
        super().__init__(instance)
        self._count = 0

    async def search(self) -> None:
        """Count, and fail when it is time."""
        self._count += 1
        if self._count % self.n == 0:
            raise RetrievalError("an internal error", "http_500")


@fault
class Errors1Percent(_EveryNth):
    """Every 80th search fails, which is a little over 1 %."""

    n = 80


@fault
class Errors5Percent(_EveryNth):
    """Every 20th search fails, which is 5 %."""

    n = 20


@fault
class SlowMedian(Hooks):
    """Every search takes 200 ms longer."""

    async def search(self) -> None:
        """Wait."""
        await asyncio.sleep(0.2)


@fault
class SlowTail(Hooks):
    """One search in ten takes 800 ms longer; the median stays."""

    def __init__(self, instance: int) -> None:
        super().__init__(instance)
        self._count = 0

    async def search(self) -> None:
        """Wait when it is time."""
        self._count += 1
        if self._count % 10 == 0:
            await asyncio.sleep(0.8)


@fault
class UsersAreLimited(Hooks):
    """Every third request of users is answered 429, and none of the drill, which has a key of its own."""

    def __init__(self, instance: int) -> None:
        super().__init__(instance)
        self._count = 0

    def edge(self, asked: Asked) -> "Response | None":
        """Turn users away when it is time."""
        if asked.method != "POST" or asked.headers.get("user-agent", "").startswith(DRILL):
            return None
        self._count += 1
        return too_many(asked, 1.0) if self._count % 3 == 0 else None


@fault
class LatencyDrift(Hooks):
    """Searches take 12 ms longer with every second since the fault was switched on or the instance booted."""

    def __init__(self, instance: int) -> None:
        super().__init__(instance)
        self._since = monotonic()

    async def search(self) -> None:
        """Wait longer and longer, at most 2 s."""
        await asyncio.sleep(min(2.0, 0.012 * (monotonic() - self._since)))


@fault
class ErrorsBegin(Hooks):
    """Searches begin to fail 9 s after the boot, one in five."""

    def __init__(self, instance: int) -> None:
        super().__init__(instance)
        self._since = monotonic()
        self._count = 0

    async def search(self) -> None:
        """Fail when it is time."""
        self._count += 1
        if self._count % 5 == 0 and monotonic() - self._since > ERRORS_BEGIN_AFTER_S:
            raise RetrievalError("an internal error", "http_500")

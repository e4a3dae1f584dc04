"""A bounded executor for blocking calls: limited in threads, in waiting calls, and in time."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from sandbox.service.errors import TargetError

T = TypeVar("T")


class Overloaded(TargetError):  # noqa: N818 - what it is, not what went wrong in it
    """No room for another call."""

    code = "overloaded"


class BoundedExecutor:
    """At most ``threads`` calls run and ``waiting`` more wait; each has ``timeout_s`` from being handed in."""

    def __init__(self, name: str, threads: int, waiting: int, timeout_s: float) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._room = threads + waiting
        self._timeout_s = timeout_s

    async def call(self, function: Callable[[], T]) -> T:
        """Run ``function`` in a thread; raise ``Overloaded``, or ``TargetError`` with code ``timeout``.

        A call that timed out goes on in its thread, and takes its room, until it ends by itself.
        """
        if self._room <= 0:
            raise Overloaded("too many calls to the target are waiting")
        self._room -= 1
        future = asyncio.get_running_loop().run_in_executor(self._pool, function)
        future.add_done_callback(self._free)
        try:
            return await asyncio.wait_for(asyncio.shield(future), self._timeout_s)
        except TimeoutError:
            raise TargetError("the target did not answer in time", "timeout") from None

    def _free(self, future: "asyncio.Future[T]") -> None:
        self._room += 1
        if not future.cancelled():
            future.exception()

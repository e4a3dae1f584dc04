"""Caches of answers: what they hold outlives the index behind them."""

from time import monotonic

from sandbox.content import Hit
from sandbox.faults.hooks import Hooks, Read, Search
from sandbox.faults.registry import fault

DIES_AFTER_S = 6.0


class AnswerCache(Hooks):
    """Answers each question from what it found the first time, if it found anything."""

    def __init__(self, instance: int) -> None:
        super().__init__(instance)
        self._kept: dict[Search, list[Hit]] = {}

    async def read(self, key: Search, read: Read) -> list[Hit]:
        """Return what is kept, else what is found now."""
        if key not in self._kept and (found := await read()):
            self._kept[key] = found
        return self._kept.get(key, [])


@fault
class QueryCache(AnswerCache):
    """A cache answers all known queries; the index behind it dies 6 s after the boot, and new queries find nothing."""

    def __init__(self, instance: int) -> None:
        super().__init__(instance)
        self._since = monotonic()

    async def read(self, key: Search, read: Read) -> list[Hit]:
        """Return what is kept, and nothing else once the index is dead."""

        async def alive() -> list[Hit]:
            return [] if monotonic() - self._since > DIES_AFTER_S else await read()

        return await super().read(key, alive)

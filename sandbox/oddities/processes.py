"""Processes that start, stop and answer otherwise than one expects."""

import re
import time
from typing import TYPE_CHECKING

from sandbox.content import Hit
from sandbox.faults.cache import AnswerCache
from sandbox.faults.hooks import Asked, Hooks, Read, Search
from sandbox.faults.registry import oddity
from sandbox.service.errors import RetrievalError

if TYPE_CHECKING:
    from starlette.datastructures import MutableHeaders

    from sandbox.service.settings import Settings

BOOT_S = 4.0
WARM_UP_S = 12.0
TOLD_S = "60"
UNAVAILABLE = 503
NO_WORD = re.compile(r"(?=\w*[0-9])(?=\w*[a-f])\w{8}")


@oddity
class SlowBoot(Hooks):
    """The instance takes 4 s to boot, as one does that loads a model."""

    def boot(self, settings: "Settings") -> None:  # noqa: ARG002 - slow on any settings
        """Wait."""
        time.sleep(BOOT_S)


@oddity
class WarmsUp(Hooks):
    """Health is good at once; for 12 s after each boot searches are answered 503, Retry-After: 60: it loads."""

    def __init__(self, instance: int) -> None:
        super().__init__(instance)
        self._since = time.monotonic()

    async def search(self) -> None:
        """Refuse until it is there."""
        if time.monotonic() - self._since < WARM_UP_S:
            raise RetrievalError("the index is being loaded", "warming_up")

    def head(self, asked: Asked, status: int, headers: "MutableHeaders") -> int:  # noqa: ARG002 - whatever is refused
        """Ask to wait, for longer than it takes."""
        if status == UNAVAILABLE:
            headers["Retry-After"] = TOLD_S
        return status


@oddity
class FindsKnownWordsOnly(Hooks):
    """A query with a word that cannot be one, of letters and digits mixed, finds nothing."""

    async def read(self, key: Search, read: Read) -> list[Hit]:
        """Return what is found if every word can be one."""
        words = key[2].split()
        return [] if any(NO_WORD.search(word) for word in words) else await read()


@oddity
class AnswersCached(AnswerCache):
    """A cache answers every query that was asked before, and the index behind it is well."""

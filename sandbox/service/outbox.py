"""Outbox: which documents the target still has to get, bounded in size and age."""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from time import monotonic


@dataclass(frozen=True, slots=True)
class Key:
    """A document by tenant and id; what is sent later is what the primary holds by then."""

    tenant: str
    id: str


class Outbox:
    """Keys in order of arrival, each once. What does not fit or grows too old is counted in ``dropped`` and gone."""

    def __init__(self, max_size: int, max_age_s: float, clock: Callable[[], float] = monotonic) -> None:
        self._max_size = max_size
        self._max_age_s = max_age_s
        self._clock = clock
        self._added: OrderedDict[Key, float] = OrderedDict()
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._added)

    def add(self, keys: Iterable[Key]) -> None:
        """Put ``keys`` in; one that waits already keeps its age. The oldest make room."""
        now = self._clock()
        for key in keys:
            self._added.setdefault(key, now)
        while len(self._added) > self._max_size:
            self._added.popitem(last=False)
            self.dropped += 1

    def discard(self, keys: Iterable[Key]) -> None:
        """Take ``keys`` out: the target has them."""
        for key in keys:
            self._added.pop(key, None)

    def expire(self) -> None:
        """Drop what is older than the age limit."""
        deadline = self._clock() - self._max_age_s
        while self._added and next(iter(self._added.values())) < deadline:
            self._added.popitem(last=False)
            self.dropped += 1

    def ages(self) -> dict[Key, float]:
        """Return every key that waits with its age in seconds, the oldest first."""
        now = self._clock()
        return {key: now - added for key, added in self._added.items()}

    def take_back(self, ages: Mapping[Key, float]) -> None:
        """Put in keys that have waited before, with their age; the oldest first."""
        now = self._clock()
        self._added.update({key: now - age for key, age in ages.items()})

    def oldest(self, limit: int) -> list[Key]:
        """Return up to ``limit`` keys of one tenant, the oldest first."""
        first = next(iter(self._added), None)
        return [key for key in self._added if first and key.tenant == first.tenant][:limit]

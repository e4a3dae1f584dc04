"""Going through all ids once, in memory that does not grow with their number."""

from collections.abc import Callable, Collection, Iterable
from heapq import heappush, heapreplace


class Survey:
    """Counts ids, keeps a random sample of them, and finds those that are wanted."""

    def __init__(
        self,
        documents: Iterable[tuple[str, str | None]],
        wanted: Collection[str] = (),
        sample: int = 0,
        *,
        exact: bool,
        hashed: Callable[[str], str] = str,
    ) -> None:
        """Go through ``documents``, each its id and its text; keep the ids of ``sample`` of them.

        ``exact``: count what comes twice, by holding all ids. ``hashed`` is called of texts that are kept or wanted.
        """
        self._wanted = frozenset(wanted)
        self._size = sample
        self._seen: set[str] | None = set() if exact else None
        self._lowest: list[tuple[int, str, int]] = []
        self._held: set[str] = set()
        self.count = 0
        self.found: dict[str, int] = {}
        """Of the wanted ids those that are there, each with its row; the last one if it comes twice."""
        self.hashes: dict[str, str] = {}
        """Of sampled and wanted ids the hash of their text; the last one if an id comes twice."""
        for identifier, text in documents:
            self._see(identifier)
            if text is not None and (identifier in self._held or identifier in self._wanted):
                self.hashes[identifier] = hashed(text)

    def _see(self, identifier: str) -> None:
        row, self.count = self.count, self.count + 1
        if identifier in self._wanted:
            self.found[identifier] = row
        if self._seen is not None:
            self._seen.add(identifier)
        self._consider(identifier, row)

    @property
    def twice(self) -> int:
        """How many ids came again; 0 if they are not counted."""
        return 0 if self._seen is None else self.count - len(self._seen)

    @property
    def sample(self) -> dict[str, int]:
        """The ids whose hash is lowest: a random choice, since Python seeds the hash of texts anew in each process.

        Each with its row.
        """
        return {identifier: row for _, identifier, row in self._lowest}

    def _consider(self, identifier: str, row: int) -> None:
        mark = -hash(identifier)  # the highest hash first: it is the next to go
        if len(self._lowest) >= self._size:
            if not self._lowest or mark <= self._lowest[0][0] or identifier in self._held:
                return
            _, gone, _ = heapreplace(self._lowest, (mark, identifier, row))
            self._held.remove(gone)
            if gone not in self._wanted:
                self.hashes.pop(gone, None)
        elif identifier in self._held:
            return
        else:
            heappush(self._lowest, (mark, identifier, row))
        self._held.add(identifier)

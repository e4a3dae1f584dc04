"""What failed, counted by its kind: a status, a code, or why no answer came."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

SHOWN = 3
"""Kinds that are spelled out; the rest is counted."""
_SIZE = re.compile(r" \([^()]*\)")


@dataclass(frozen=True, slots=True)
class Failures:
    """One way of counting failures: how many of ``total`` failed, by kind."""

    name: str
    total: float
    kinds: Mapping[str, float]

    @property
    def bad(self) -> float:
        """How many failed."""
        return sum(self.kinds.values())

    @property
    def count(self) -> str:
        """Return the count with its most frequent kinds, as ``12 of 300 (503: 10, 500: 2)``."""
        return f"{self.bad:g} of {self.total:g}{self._named()}"

    def __str__(self) -> str:
        """Return it as a sentence has it: ``12 of 300 HTTP requests failed (503: 10, 500: 2)``."""
        return f"{self.bad:g} of {self.total:g} {self.name} failed{self._named()}"

    def _named(self) -> str:
        most = sorted(self.kinds.items(), key=lambda item: (-item[1], item[0]))
        named = [f"{kind or 'no kind given'}: {count:g}" for kind, count in most[:SHOWN]]
        if rest := sum(count for _, count in most[SHOWN:]):
            named.append(f"others: {rest:g}")
        return f" ({', '.join(named)})" if named else ""


def by_kind(failed: Iterable[tuple[str, float]]) -> dict[str, float]:
    """Add up pairs of a kind and how often it failed."""
    found: dict[str, float] = {}
    for kind, count in failed:
        found[kind] = found.get(kind, 0.0) + count
    return found


def kind_of(error: str) -> str:
    """Return what was wrong with a probe without what differs from one to the next: sizes, and what to do about it."""
    return _SIZE.sub("", error).partition(": ")[0]

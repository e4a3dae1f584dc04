"""How well a flag is proven. A row passes on the first two ranks; a restart and silence alone are inconclusive."""

from enum import StrEnum


class Rank(StrEnum):
    """What a proof rests on, the strongest first."""

    EFFECT = "effect"
    """What the service does: requests counted, documents looked up."""
    PROCESS = "process"
    """The process' own word for its effective value."""
    RESTART = "restart"
    """A restart after the write, and silence: a process may restart and keep its old environment."""

    @property
    def words(self) -> str:
        """The rank as terminal and report say it."""
        return _WORDS[self]

    @property
    def enough(self) -> bool:
        """Whether a row passes on it."""
        return self is not Rank.RESTART


_WORDS = {
    Rank.EFFECT: "proven by effect",
    Rank.PROCESS: "proven by the process",
    Rank.RESTART: "by a restart only",
}
PASSING = frozenset(str(rank) for rank in Rank if rank.enough)
"""What the journal holds of a flag that is proven."""


def weakest(ranks: list[Rank]) -> Rank:
    """Return the weakest of ``ranks``; of none, a restart: an empty list proves nothing."""
    return max(ranks, key=list(Rank).index, default=Rank.RESTART)

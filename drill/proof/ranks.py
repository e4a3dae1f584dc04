"""How well a flag is proven. A row passes on all but the last: a restart and silence alone are inconclusive."""

from enum import StrEnum


class Rank(StrEnum):
    """What a proof rests on, the strongest first."""

    EFFECT = "effect"
    """What the service does: requests counted, documents looked up."""
    PROCESS = "process"
    """The process' own word for its effective value."""
    STARTED = "started"
    """The environment that the process was started with: how the service reads it is not known ("OFF" may be true)."""
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

    @property
    def permits_purge(self) -> bool:
        """Whether documents may be deleted on it: what is deleted could be written again."""
        return self in {Rank.EFFECT, Rank.PROCESS}


_WORDS = {
    Rank.EFFECT: "proven by effect",
    Rank.PROCESS: "proven by the process",
    Rank.STARTED: "started with the flag as after the rollback",
    Rank.RESTART: "by a restart only",
}
PURGES_ON = frozenset(str(rank) for rank in Rank if rank.permits_purge)
"""What the journal holds of a flag that is proven well enough for a purge."""


def weakest(ranks: list[Rank]) -> Rank:
    """Return the weakest of ``ranks``; of none, a restart: an empty list proves nothing."""
    return max(ranks, key=list(Rank).index, default=Rank.RESTART)

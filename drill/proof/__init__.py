"""What proves a flag, and how well: by effect, by the process' own word, or by a restart only."""

from drill.proof.ranks import Rank

__all__ = ["Rank"]

"""How much the two sides differ at the start."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SeededDelta:
    """How many documents differ at the start, over all tenants. For tests; never written where a drill reads."""

    orphans: int = 0
    stale: int = 0
    missing: int = 0

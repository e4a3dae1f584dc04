"""What a drill must show of each oddity: success, or one row that is inconclusive and says why."""

from sandbox.faults.expected.model import Expected

GREEN = "success"


def _well(why: str) -> Expected:
    return Expected({}, why, result=GREEN)


STATED: dict[str, Expected] = {
    "slow_boot": _well("a slow restart is a restart: users feel it, and it ends"),
}
"""Oddity -> what must be shown, as of a fault: nothing red, or rows that are inconclusive with ``says``."""

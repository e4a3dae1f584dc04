"""One drill of the matrix: what was expected, what was seen, and whether that fits."""

from collections.abc import Mapping
from dataclasses import dataclass

from sandbox.faults.expected import Expected


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one drill against one fault showed."""

    fault: str
    source: str
    expected: tuple[str, ...]
    seen: Mapping[str, str]
    """Id -> verdict, of every row that was neither green nor left out."""
    result: str
    """The journal's word."""
    seconds: float
    problems: tuple[str, ...] = ()
    """What does not fit; empty if the fault was found where it must be, and nowhere else."""

    @property
    def ok(self) -> bool:
        """Whether the fault was detected at its ids and at no other."""
        return not self.problems


def judge(expected: Expected, seen: Mapping[str, str], result: str) -> tuple[str, ...]:
    """Return what does not fit between an expectation and a drill's verdicts; nothing if all does."""
    problems = [f"{row} is {seen.get(row, 'green')}" for row, may in expected.red.items() if not _fits(row, may, seen)]
    problems += [f"{row} is {seen[row]} too" for row in seen if row not in expected.red and row not in expected.also]
    if result not in expected.result.split():
        problems.append(f"the drill's result is {result}")
    return tuple(problems)


def _fits(row: str, may: str, seen: Mapping[str, str]) -> bool:
    return seen.get(row, "green") in may.split()

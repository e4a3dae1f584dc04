"""One drill of the matrix: what was expected, what was seen, and whether that fits."""

from collections.abc import Mapping
from dataclasses import dataclass, field

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
    reasons: Mapping[str, str] = field(default_factory=dict)
    """Id -> what the drill said of it, for whoever has to find out why something does not fit."""

    @property
    def ok(self) -> bool:
        """Whether the fault was detected at its ids and at no other."""
        return not self.problems


def judge(
    expected: Expected, seen: Mapping[str, str], result: str, reasons: Mapping[str, str] | None = None
) -> tuple[str, ...]:
    """Return what does not fit between an expectation and a drill's verdicts and reasons; nothing if all does."""
    problems = [f"{row} is {seen.get(row, 'green')}" for row, may in expected.red.items() if not _fits(row, may, seen)]
    problems += [f"{row} is {seen[row]} too" for row in seen if row not in expected.red and row not in expected.also]
    problems += [
        f"{row} does not say {text!r}"
        for row in expected.red
        for text in expected.says
        if text not in (reasons or {}).get(row, "")
    ]
    problems += [
        f"{row} does not tell {text!r}"
        for row, text in expected.tells.items()
        if text not in (reasons or {}).get(row, "")
    ]
    if result not in expected.result.split():
        problems.append(f"the drill's result is {result}")
    return tuple(problems)


def _fits(row: str, may: str, seen: Mapping[str, str]) -> bool:
    return seen.get(row, "green") in may.split()

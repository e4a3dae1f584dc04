"""How sure we are: the five verdicts of a check and the outcomes of a step's action."""

from collections.abc import Iterable
from enum import StrEnum


class Verdict(StrEnum):
    """What a check found. Only ``PASS`` is green; worst wins (DESIGN.md section 4)."""

    PASS = "pass"  # noqa: S105 - a verdict, not a password
    NOT_RUN = "not_run"
    """Nothing was looked at."""
    INCONCLUSIVE = "inconclusive"
    """Measured, but the evidence is insufficient."""
    ERROR = "error"
    """Could not be measured."""
    FAIL = "fail"
    """Measured, and bad."""

    @property
    def rank(self) -> int:
        """Badness; ``not_run`` and ``inconclusive`` weigh the same."""
        return _RANK[self]


_RANK = {Verdict.PASS: 0, Verdict.NOT_RUN: 1, Verdict.INCONCLUSIVE: 1, Verdict.ERROR: 2, Verdict.FAIL: 3}


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """Return the worst of ``verdicts``; of none at all, ``NOT_RUN``: an empty list proves nothing."""
    return max(verdicts, key=lambda verdict: verdict.rank, default=Verdict.NOT_RUN)


class Outcome(StrEnum):
    """What a step did to the world, beside its verdict."""

    APPLIED = "applied"
    NO_CHANGE = "no_change"
    WOULD_CHANGE = "would_change"
    REFUSED = "refused"
    ERROR = "error"
    NOT_RUN = "not_run"


class Result(StrEnum):
    """The word for a whole drill in the journal; its exit code is ``EXIT_CODES[result]``."""

    SUCCESS = "success"
    FAILURE = "failure"
    INCONCLUSIVE = "inconclusive"
    REFUSED = "refused"
    INTERRUPTED = "interrupted"


EXIT_CODES = {
    Result.SUCCESS: 0,
    Result.FAILURE: 1,
    Result.INCONCLUSIVE: 10,
    Result.REFUSED: 11,
    Result.INTERRUPTED: 12,
}
EXIT_USAGE = 4

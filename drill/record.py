"""The record of one drill: what was done and what was found. Journal and report are views of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import islice
from operator import eq, ge, gt, le, lt
from typing import TYPE_CHECKING, Any

from drill.printable import printable
from drill.verdict import EXIT_CODES, Outcome, Result, Verdict, worst

if TYPE_CHECKING:
    from drill.baseline import Baseline

CHECK_IDS = (
    "preflight.env_file",
    "preflight.service",
    "preflight.metrics",
    "preflight.faiss",
    "preflight.window",
    "preflight.rehearsal",
    "smoke.search",
    "smoke.embed",
    "smoke.chat",
    "slo.latency",
    "slo.errors",
    "slo.alerts",
    "post.endpoints",
    "post.primary_latency",
    "post.target_errors",
    "post.circuit_open",
    "post.shadow_silent",
    "post.backend",
    "post.environment",
    "post.faiss",
    "reopen.shadow_read",
    "reopen.dual_write",
)
STEP_IDS = ("preflight", "disable_dual_write", "purge_delta", "disable_shadow_read", "force_faiss", "reopen")

RUNBOOK_ORDER = (
    *(check for check in CHECK_IDS if check.startswith("preflight.")),
    "disable_dual_write",
    "purge_delta",
    "disable_shadow_read",
    "force_faiss",
    *(check for check in CHECK_IDS if not check.startswith("preflight.")),
)
"""Every id that one test carries, in the order of the runbook: the order of the report's rows."""

Scalar = str | int | float | bool | None
_WITHIN: Mapping[str, Callable[[Any, Any], bool]] = {"==": eq, "<=": le, ">=": ge, "<": lt, ">": gt}
MAX_NAME, MAX_FACT, MAX_DETAIL = 200, 1000, 200
"""Characters of a fact's name and of a fact, and how many facts: a service must not write the report at will."""


@dataclass(frozen=True, slots=True)
class Foretold:
    """What is known of a row before the rollback that no rollback changes: the verdict it will have, and why."""

    verdict: Verdict
    reason: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """What one test saw. ``verdict`` never stands without a ``reason`` in plain words.

    ``detail`` holds further measured facts for the report (names to numbers or short texts; never a response,
    never a value of the env file other than the three flags). All texts are made printable and are bounded in length:
    names of documents, metrics, labels and alerts in them are the choice of others.
    """

    verdict: Verdict
    reason: str
    value: Scalar = None
    op: str = ""
    threshold: Scalar = None
    samples: int | None = None
    window_s: float | None = None
    unit: str = ""
    detail: Mapping[str, Scalar] = field(default_factory=dict)
    proof: str = ""
    """What the proof of a flag rests on (`drill.proof.Rank`); empty where no flag is proven."""
    foretold: Foretold | None = None
    """What of it holds although it was seen before the rollback; ``None``: nothing is known to."""

    def __post_init__(self) -> None:
        """Make printable what others may have written."""
        object.__setattr__(self, "reason", printable(self.reason))
        object.__setattr__(self, "value", _fit(self.value))
        object.__setattr__(self, "threshold", _fit(self.threshold))
        object.__setattr__(self, "detail", _fit_facts(self.detail))

    def judged(self, verdict: Verdict, reason: str) -> "Evidence":
        """Return the same numbers with a verdict."""
        return replace(self, verdict=verdict, reason=reason)

    def line(self) -> str:
        """Return the one line for terminal and failure message: verdict first, then the numbers."""
        return ", ".join(filter(None, (str(self.verdict), self.numbers()))) + f": {self.reason}"

    @property
    def _holds(self) -> bool:
        """Whether the value is within its limit: beside a fail, which has another reason, that would mislead."""
        numbers = [one for one in (self.value, self.threshold) if isinstance(one, int | float)]
        return len(numbers) == 2 and self.op in _WITHIN and _WITHIN[self.op](*numbers)

    def numbers(self) -> str:
        """Return value, operator, threshold, window and samples, as far as there are any."""
        parts = []
        if self.value is not None and self.op and not (self.verdict is Verdict.FAIL and self._holds):
            parts.append(f"{_short(self.value)} {self.op} {_short(self.threshold)}{self.unit}")
        if self.window_s is not None:
            parts.append(f"window {self.window_s:.1f} s")
        if self.samples is not None:
            parts.append(f"{self.samples} samples")
        return ", ".join(parts)


def _fit(value: Scalar) -> Scalar:
    return printable(value, MAX_FACT) if isinstance(value, str) else value


def _fit_facts(facts: Mapping[str, Scalar]) -> dict[str, Scalar]:
    more = len(facts) > MAX_DETAIL
    shown = islice(facts.items(), MAX_DETAIL - more)
    fit = {printable(name, MAX_NAME): _fit(value) for name, value in shown}
    return {**fit, "facts that are not shown": len(facts) - MAX_DETAIL + 1} if more else fit


def _short(value: Scalar) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str("" if value is None else value)


@dataclass(slots=True)
class Entry:
    """One row of the drill: a step or a check, from ``not_run`` to its evidence."""

    id: str
    evidence: Evidence = field(default_factory=lambda: Evidence(Verdict.NOT_RUN, "was not run"))
    outcome: Outcome = Outcome.NOT_RUN
    duration_s: float = 0.0
    required: bool = True
    later: bool = False
    """Whether it is asked again after the rollback: what was bad before need not be after."""

    @property
    def is_step(self) -> bool:
        """Whether this row may change the world."""
        return self.id in STEP_IDS


@dataclass(frozen=True, slots=True)
class RungRecord:
    """What became of one rung of step 7."""

    name: str
    changes: Mapping[str, str]
    """What it set in the env file that the rung before had not."""
    evidence: Evidence
    seconds: float


@dataclass(slots=True)
class PurgeCounts:
    """What step 2 found and did, in documents over all tenants; ``None`` is unknown."""

    orphans: int | None = None
    stale: int | None = None
    missing: int | None = None
    purged: int = 0
    deferred: bool = False


@dataclass(slots=True)
class DrillRecord:
    """One drill, complete from the first moment: an interrupted run still has every row."""

    drill_id: str
    env_file: str
    """As it may be shown: relative to the working directory, or a bare name."""
    operator: str
    apply: bool
    notes: str
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    env_id: str = ""
    """Which environment it is, whatever its name (`drill.environment`); empty: unknown, so equal to none."""
    duration_s: float = 0.0
    changes: dict[str, str] = field(default_factory=dict)
    entries: dict[str, Entry] = field(default_factory=lambda: {name: Entry(name) for name in RUNBOOK_ORDER})
    refused: str = ""
    """Why the drill stopped before any change; empty if it did not."""
    interrupted: str = ""
    """What ended the drill early (a signal's name); empty if nothing did."""
    flags_written: bool = False
    purge_begun: bool = False
    """Whether the first documents were about to be deleted from the target."""
    restored: bool = False
    time_to_safety_s: float | None = None
    downtime_s: float | None = None
    purge: PurgeCounts = field(default_factory=PurgeCounts)
    baseline: "Baseline | None" = None
    """The service before and after; ``None`` if it was not looked at."""
    rungs: list[RungRecord] = field(default_factory=list)
    """The rungs of step 7 that were climbed, in order."""
    unprovable: tuple[str, ...] = ()
    """In a dry-run: what ``--apply`` could not prove, by what it is proven, and the key to add."""
    disobeyed: dict[str, dict[str, str]] = field(default_factory=dict)
    """Instance -> flag (``KEY=VALUE``) that it is seen to disobey -> what it says of itself."""
    next_step: str = ""
    """What to do about them; empty if none does."""
    report: str = ""
    plan: str = ""
    """The id of the plan that a dry-run has left; empty if it left none."""
    facts: dict[str, Scalar] = field(default_factory=dict)
    """Further facts for the head of the report (probes sent, availability, journal head)."""

    def preflight_entry(self) -> Entry:
        """Return the row of the step ``preflight``: the worst of its checks."""
        rows = [row for row in self.entries.values() if row.id.startswith("preflight.") and row.required]
        bad = [row for row in rows if row.evidence.verdict is not Verdict.PASS]
        reason = "; ".join(f"{row.id}: {row.evidence.reason}" for row in bad) or "all prerequisites hold"
        evidence = Evidence(worst(row.evidence.verdict for row in rows), reason)
        outcome = Outcome.REFUSED if self.refused else Outcome.NO_CHANGE
        return Entry("preflight", evidence, outcome, sum(row.duration_s for row in rows))

    @property
    def result(self) -> Result:
        """The drill's result, by DESIGN.md section 4.

        Never a success: a run that was cut short, and one with a required row that is not green.
        """
        verdict = worst(row.evidence.verdict for row in self.entries.values() if row.required)
        if self.refused:
            return Result.REFUSED
        if self.interrupted and (self.flags_written or self.purge_begun):
            return Result.INTERRUPTED
        if verdict is Verdict.FAIL or self.restored:
            return Result.FAILURE
        return Result.SUCCESS if verdict is Verdict.PASS and not self.interrupted else Result.INCONCLUSIVE

    @property
    def exit_code(self) -> int:
        """The exit code that goes with the result."""
        return EXIT_CODES[self.result]

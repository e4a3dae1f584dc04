"""Past drills as the journal tells them, read line by line: a line that cannot be read is counted and passed over."""

import math
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from drill.errors import NOT_THERE
from drill.foreign import ForeignError, decode_object, lines, moment, number, opened
from drill.journal.verify import VerifyResult, verify
from drill.verdict import Result

MAX_DRILLS = 10_000
"""How many of the last drills are kept one by one; older ones are counted, and count for their env file."""
SHOWN_DIGITS = 6
"""Digits of an identity that tell environments of one name apart."""


@dataclass(frozen=True, slots=True)
class Past:
    """One drill of the journal; what its line does not hold in the right type is ``None`` or empty."""

    at: datetime
    """When it started, UTC."""
    env_file: str
    env_id: str
    """Which environment; a line of an earlier release has none, and goes by its shown name."""
    operator: str
    apply: bool
    result: str
    notes: str
    report: str
    duration_s: float | None
    time_to_safety_s: float | None
    downtime_s: float | None
    p95_ms: float | None
    """P95 of the probes over the observation window, and the objective that it was judged by."""
    p95_limit_ms: float | None
    looked: bool = True
    """Whether there was an env file: a mistyped name is no environment."""

    @property
    def key(self) -> tuple[str, str]:
        """What drills of one environment have in common: its identity, without one its name."""
        return (self.env_id, "" if self.env_id else self.env_file)

    @property
    def succeeded(self) -> bool:
        """Whether everything that was required was measured and good."""
        return self.result == Result.SUCCESS


@dataclass(slots=True)
class EnvHistory:
    """What all drills of one environment come to."""

    key: tuple[str, str]
    name: str = ""
    """As its last drill has shown it, with the beginning of its identity if another one shows the same."""
    drills: int = 0
    looked: bool = False
    """Whether any of them has found an env file."""
    superseded: bool = False
    """Whether these are drills of earlier releases, and environments of that name have been drilled since."""
    last: datetime | None = None
    rehearsed: datetime | None = None
    """Start of the last successful dry-run."""
    performed: datetime | None = None
    """Start of the last successful ``--apply``."""

    @property
    def succeeded(self) -> datetime | None:
        """Start of the last successful drill of either kind."""
        return max(filter(None, (self.rehearsed, self.performed)), default=None)

    def age_days(self, now: datetime) -> float:
        """Return the days since the last successful drill; infinite if there was none."""
        return math.inf if self.succeeded is None else (now - self.succeeded).total_seconds() / 86_400

    def take(self, drill: Past) -> None:
        """Count a drill in."""
        self.drills += 1
        self.name = drill.env_file
        self.looked = self.looked or drill.looked
        self.last = max(self.last or drill.at, drill.at)
        if drill.succeeded and drill.apply:
            self.performed = max(self.performed or drill.at, drill.at)
        elif drill.succeeded:
            self.rehearsed = max(self.rehearsed or drill.at, drill.at)


@dataclass(slots=True)
class History:
    """A whole journal."""

    chain: VerifyResult
    drills: list[Past] = field(default_factory=list)
    """The last ``MAX_DRILLS``, newest first."""
    total: int = 0
    unreadable: int = 0
    """Lines that tell of no drill: torn by a crash, or not ours."""
    envs: list[EnvHistory] = field(default_factory=list)
    """By env file, the one that was drilled last first; a name under which there never was a file is none."""

    def stale(self, max_age_days: float, now: datetime) -> list[EnvHistory]:
        """Return the environments whose last successful drill is more than ``max_age_days`` ago, or never was.

        The drills of earlier releases, which go by a name only, are not overdue once one of that name is known better.
        """
        return [env for env in self.envs if not env.superseded and env.age_days(now) > max_age_days]


def read_history(journal: Path) -> History:
    """Read the journal in bounded memory. Raises ``OSError`` if it cannot be read."""
    history = History(verify(journal))
    kept: deque[Past] = deque(maxlen=MAX_DRILLS)
    envs: dict[tuple[str, str], EnvHistory] = {}
    with opened(journal) as file:
        for line in lines(file):
            drill = parse(line)
            if drill is None:
                history.unreadable += 1
                continue
            kept.append(drill)
            history.total += 1
            envs.setdefault(drill.key, EnvHistory(drill.key)).take(drill)
    envs = {key: env for key, env in envs.items() if env.looked}
    history.drills = sorted(kept, key=lambda drill: drill.at, reverse=True)
    _tell_apart(envs.values())
    history.envs = sorted(envs.values(), key=lambda env: env.last or datetime.min.replace(tzinfo=UTC), reverse=True)
    return history


def _tell_apart(envs: Iterable[EnvHistory]) -> None:
    """Add to a name that several environments have what tells them apart."""
    named: dict[str, list[EnvHistory]] = {}
    for env in envs:
        named.setdefault(env.name, []).append(env)
    for same in named.values():
        for env in same if len(same) > 1 else ():
            known, _ = env.key
            env.superseded = not known
            env.name += f" ({known[:SHOWN_DIGITS] or 'environment not noted'})"


def parse(line: bytes) -> Past | None:
    """Return the drill of a journal line, or ``None`` if the line tells of none."""
    try:
        entry = decode_object(line)
        at = moment(entry.get("timestamp"))
    except ForeignError:
        return None
    if not isinstance(entry.get("env_file"), str) or "drill_id" not in entry:
        return None
    latency, plan = _check(entry, "slo.latency"), _check(entry, "preflight.env_file")
    return Past(
        at=at,
        env_file=entry["env_file"],
        env_id=_text(entry.get("env_id")),
        operator=_text(entry.get("operator")),
        apply=entry.get("apply") is True,
        result=_text(entry.get("result")),
        notes=_text(entry.get("notes")),
        report=_text(entry.get("report")),
        duration_s=_number(entry.get("duration_s")),
        time_to_safety_s=_number(entry.get("time_to_safety_s")),
        downtime_s=_number(entry.get("downtime_s")),
        p95_ms=_number(latency.get("value")),
        p95_limit_ms=_number(latency.get("threshold")),
        looked=entry.get("result") != Result.REFUSED or NOT_THERE not in _text(plan.get("reason")),
    )


def _check(entry: Mapping[str, Any], check_id: str) -> Mapping[str, Any]:
    checks = entry.get("checks")
    found = (item for item in checks if isinstance(item, dict)) if isinstance(checks, list) else iter(())
    return next((item for item in found if item.get("id") == check_id), {})


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _number(value: object) -> float | None:
    """Return a number that a measurement may have, and that is no boolean."""
    try:
        return number(value)
    except ForeignError:
        return None

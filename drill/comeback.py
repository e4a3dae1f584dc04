"""Waiting until the service has taken the env file, however late: a reload command may return before the restart.

An instance is back if another process than before answers there and is well, or if the traffic shows that the one that
runs has taken the flags. That one is well is not enough: the old process is, until it is stopped.
"""

import math
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from drill.before import answers_searches
from drill.checks.flags import judge_backend, served_alone
from drill.clock import DrillClock
from drill.observation import Reading, replaced
from drill.proof import spoken
from drill.proof.flags import Flag
from drill.service import pause_s
from drill.verdict import Verdict

if TYPE_CHECKING:
    from drill.context import Drill
    from drill.service import Health

EFFECT_S = 1.5
"""How long the traffic is looked at before it is said whether it shows the flags."""
BOOT_SECOND_S = 1.0
"""So much too early a process may tell its start: kernels tell the time of their own in whole seconds."""


@dataclass
class Comeback:
    """Looks at the instances again and again until all are back; ``expects_restart``: a reload is one by restart."""

    drill: "Drill"
    before: Reading | None
    expects_restart: bool = True
    rolled_back: Collection[str] = ()
    """Keys that the change rolls back: of the backend the traffic shows it, of all the process where it tells."""
    was_up: Callable[[str], bool | None] | None = None
    """Whether an instance was healthy before, as far as known; by default as it was beside the write."""
    began: float = field(default_factory=time.monotonic)
    _back: set[str] = field(default_factory=set)
    _last: dict[str, "Health"] = field(default_factory=dict)
    _seen: Reading | None = None
    _new_since: dict[str, float] = field(default_factory=dict)
    _spoken: Mapping[str, spoken.Spoken] = field(default_factory=dict)
    _effect: Verdict | None = None
    _on_faiss: bool = False
    """Whether the traffic shows FAISS alone on every instance, also where no start of a process is told."""
    _effect_from: Reading | None = None

    def wait(self, deadline: float, restarting: float = -math.inf) -> None:
        """Wait until every instance is back, at most until ``deadline`` (monotonic).

        While one is seen to restart, until ``restarting`` if that is later.
        """
        while not self.look() and time.monotonic() < (max(deadline, restarting) if self._restarting else deadline):
            self.drill.tick("waiting for every instance to come back")
            time.sleep(pause_s(time.monotonic() - self.began))

    def look(self) -> bool:
        """Look once; return whether every instance is, or was seen to be, back."""
        waiting = [name for name in self.drill.service.instances if name not in self._back]
        if self.expects_restart:
            self._look_at_processes()
            self._spoken = spoken.ask(self.drill, times=1) if self.rolled_back else {}
        for health in self.drill.service.health(waiting):
            name = health.instance
            self._last[name] = health
            self.drill.clocks.note(name, health.reply.date)
            if self._took(name) and (not health.down or self._serves(name)):
                self._back.add(name)
        return len(self._back) == len(self.drill.service.instances)

    @property
    def proven(self) -> bool:
        """Whether every instance is back, and seen to run as a new process or to obey: no doubt, no word."""
        names = self.drill.service.instances
        new = self.expects_restart and all(self._state(name) == "new" for name in names)
        obeyed = self._obeyed or (self._on_faiss and Flag.BACKEND.key in self.rolled_back)
        return len(self._back) == len(names) and (new or obeyed)

    @property
    def _restarting(self) -> bool:
        """Whether the old process of some instance is seen to be gone: stopped, or another one starts."""
        names = self.drill.service.instances
        states = {name: self._state(name) for name in names}
        return any(
            states[name] in {"gone", "new"} or (states[name] == "unknown" and self._last[name].down) for name in names
        )

    @property
    def late(self) -> list[str]:
        """Instances of which no new process was seen, though they answer."""
        names = [name for name in self.drill.service.instances if name not in self._back]
        return [name for name in names if self._state(name) == "old"]

    @property
    def broken(self) -> list["Health"]:
        """Return who was up before and is down now; where it is not known how it was, searches decide."""
        down = [health for name, health in self._last.items() if name not in self._back and health.down]
        return [health for health in down if self._was_broken(health.instance)]

    def _was_broken(self, name: str) -> bool:
        up = self._was_up(name)
        return up is True or (up is None and not answers_searches(self.drill, name, self.began))

    def _serves(self, name: str) -> bool:
        """Whether an instance whose health says nothing, because it was bad before too, answers searches again."""
        since = self._new_since.get(name, self.began)
        return self._was_up(name) is not True and answers_searches(self.drill, name, since)

    def _was_up(self, name: str) -> bool | None:
        return (self.was_up or self.drill.look.was_up)(name)

    def _took(self, name: str) -> bool:
        """Whether an instance is seen to have taken the env file, or nobody can tell and nothing speaks against it."""
        if not self.expects_restart:
            return True
        state = self._state(name)
        return (
            state == "new"
            or self._obeyed
            or self._says(name)
            or (state == "unknown" and self._effect not in (None, Verdict.FAIL))
        )

    def _says(self, name: str) -> bool:
        """Whether the instance itself says of each flag that it is rolled back."""
        told = self._spoken[name].rolled_back if name in self._spoken else {}
        return bool(self.rolled_back) and all(told.get(flag) for flag in Flag if flag.key in self.rolled_back)

    @property
    def _obeyed(self) -> bool:
        """Whether the traffic shows that every instance serves from FAISS, and did not before."""
        return self._effect is Verdict.PASS and Flag.BACKEND.key in self.rolled_back

    def _state(self, name: str) -> str:
        """Return whether a ``new`` or the ``old`` process answers, none any more (``gone``), or ``unknown``."""
        seen, before = self._seen, self.before
        if seen is None:
            return "unknown"
        met = [one for known, one in seen.snapshots.items() if known == name or seen.behind_one_address]
        if not met:
            return "gone" if before is not None and name in before.snapshots else "unknown"
        if any(one.start_time is None and not one.workers for one in met):
            return "unknown"
        new = set(new_processes(self.drill, before, seen))
        names = {known for known in seen.snapshots if known == name or seen.behind_one_address}
        return "new" if names <= new else "old"

    def _look_at_processes(self) -> None:
        self._seen = seen = self.drill.glance_at_metrics()
        now = time.monotonic()
        names = self.drill.service.instances
        for name in names:
            if self._state(name) == "new":
                self._new_since.setdefault(name, now)
        first = self._effect_from
        if first is None or seen.snapshots.keys() != first.snapshots.keys():
            self._effect_from = seen
        elif now - first.ended >= EFFECT_S and seen.began > first.ended:
            window = self.drill.between(first, seen)
            self._effect = judge_backend(self.drill, window).verdict
            self._on_faiss = not window.unread and len(window.deltas) >= len(names) and served_alone(window)
            self._effect_from = seen


def new_processes(drill: "Drill", before: Reading | None, after: Reading) -> list[str]:
    """Return the instances that run as another process in ``after`` than in ``before``.

    Where there was none to compare with, by its start time: one that started after the write is a new one. The clock of
    its host is known to a second, by the answers it dates.
    """
    known = replaced(before, after) if before is not None else []
    compared: Mapping[str, object] = before.snapshots if before is not None else {}
    if drill.written_at is None or (after.behind_one_address and compared):
        return known
    written = drill.clocks.wall(drill.written_at)
    return known + [
        name
        for name, one in after.snapshots.items()
        if name not in compared and one.start_time is not None
        if one.start_time >= written + drill.clocks.ahead(name) - BOOT_SECOND_S
    ]


STEP_S = 30.0
"""A distance that changes by more than answers are late is a clock that was set."""


@dataclass
class Clocks:
    """By how much the clocks of the instances' hosts are ahead of the drill's, by the dates of their answers.

    A host's clock that is put forward or back while the drill runs has two distances; which of them a start time is of
    cannot be told, so the one by which a process is rather a new one counts: what it does is judged anyway.
    """

    clock: DrillClock = field(default_factory=DrillClock)
    _ahead: dict[str, list[float]] = field(default_factory=dict)

    def note(self, instance: str, date: str) -> None:
        """Note the ``Date`` of an answer that has just come: whole seconds, the clock may be one ahead of it."""
        from email.utils import parsedate_to_datetime

        try:
            ahead = parsedate_to_datetime(date).timestamp() - self.clock.seconds()
        except (ValueError, TypeError, OverflowError):
            return
        known = self._ahead.setdefault(instance, [])
        if known and abs(ahead - known[-1]) < STEP_S:
            known[-1] = max(ahead, known[-1])
        else:
            known.append(ahead)

    def ahead(self, instance: str) -> float:
        """Return seconds, at most one too few; 0 where no answer was dated."""
        return min(self._ahead.get(instance, []), default=0.0)

    def wall(self, moment: float) -> float:
        """Return the drill's time of day at a moment of the monotonic clock."""
        return self.clock.at(moment)

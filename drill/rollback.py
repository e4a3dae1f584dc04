"""The rollback itself: all flags to disk in one edit, one reload, and back if the service does not come up.

The three flags are three steps of the runbook, but one edit and one restart: three would triple the time a user waits.
The edit comes first and waits for nothing; whatever needs the network comes after it.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from enum import StrEnum
from typing import TYPE_CHECKING

from drill.checks.flags import judge_backend, judge_shadow
from drill.context import Drill
from drill.envfile import FLAGS, EnvWriteFailed
from drill.errors import Refused
from drill.observation import Reading
from drill.signals import held_back
from drill.trace import MarkKind
from drill.unfinished import RELOAD
from drill.verdict import Verdict

if TYPE_CHECKING:
    from drill.envfile import EditPlan
    from drill.service import ReloadOutcome

FLAG_OF_STEP = {
    "disable_dual_write": "FF_RETRIEVAL_DUAL_WRITE",
    "disable_shadow_read": "FF_RETRIEVAL_SHADOW_READ",
    "force_faiss": "RETRIEVAL_BACKEND",
}
PROOF_S = 5.0
"""How long the rolled-back service is watched before the flags are judged the first time."""
SETTLE_S = 3.0
"""How long a restarted instance may take from being healthy to serving its metrics."""
SETTLE_POLL_S = 0.2
REREAD_S = 1.5
"""How long a service that re-reads by itself is looked at before it is said that it has not done so yet."""
PROOF_PROBES = 10
"""Probes that every instance must have answered by then."""


class Progress(StrEnum):
    """How far the rollback has come."""

    PLANNED = "planned"
    WRITTEN = "written"
    EFFECTIVE = "effective"
    RESTORED = "restored"
    LEFT_DOWN = "left_down"


class Rollback:
    """Writes and reloads once, whichever step comes first."""

    def __init__(self, drill: Drill) -> None:
        self._drill = drill
        self.progress = Progress.PLANNED
        self.problem = ""
        """Why the service did not take the flags; empty if it did."""
        self.doubt = ""
        """Why the flags, though they are in the file, are not proven to outlast a power cut; empty if they are."""
        self.reload_s: float | None = None
        self.proven_at: float | None = None
        """When the first verdict on the flags could be given (monotonic)."""
        self.on_settled: Callable[[], None] = lambda: None
        """Called when the restarted instances are there, before they are watched."""

    @property
    def wanted(self) -> Mapping[str, str]:
        """The flags of the steps that were selected to run."""
        return {flag: FLAGS[flag] for step, flag in FLAG_OF_STEP.items() if step in self._drill.selected}

    def write(self) -> None:
        """Put the flags on disk, once; waits for nothing but the disk."""
        if self.progress is Progress.PLANNED:
            self._write()

    def perform(self) -> None:
        """Bring the rollback as far as it goes: on disk, and in every instance."""
        self.write()
        if self.progress is Progress.WRITTEN:
            self._take_effect()

    def _write(self) -> None:
        drill = self._drill
        drill.hold_plan()  # asked where the write is: `-k` may have left out the row that asks it
        plan = drill.plan if len(self.wanted) == len(FLAGS) else drill.env_file.plan(self.wanted)
        if not plan.unchanged:
            with held_back():
                self._replace(plan)
        self.progress = Progress.WRITTEN

    def _replace(self, plan: "EditPlan") -> None:
        """Write ``plan`` and note what that has made of the file. Raises `Refused` and `EnvWriteFailed`."""
        drill, before = self._drill, self._drill.record.flags_written
        drill.events.intent("set_flags", **{change.key: change.after for change in plan.changes})
        drill.record.flags_written = True
        try:
            drill.env_file.apply(plan)
        except Refused:
            drill.record.flags_written = before
            raise
        except EnvWriteFailed as failure:
            drill.record.flags_written = before or failure.changed
            if not failure.written:
                raise
            self.doubt = str(failure)
        drill.record.changes = {change.key: change.after for change in plan.changes}
        drill.written_at = time.monotonic()
        drill.events.done("set_flags", keys=len(plan.changes))

    def _take_effect(self) -> None:
        drill = self._drill
        drill.prober  # noqa: B018 - begins to probe: the restart is part of what users feel
        drill.before = drill.glance_at_metrics()
        if drill.written_at is not None:
            drill.reload_began = time.monotonic()
            outcome = self._reload()
            self.reload_s = outcome.seconds
            self.problem = outcome.problem
        if self.problem:
            self._undo()
            return
        self._settle()
        drill.rolled_back = True
        self.progress = Progress.EFFECTIVE

    def _reload(self) -> "ReloadOutcome":
        drill = self._drill
        drill.events.intent(RELOAD)
        with drill.trace.during(MarkKind.RELOAD, "reload"):
            outcome = drill.service.reload(drill.env_file.path, drill.tick)
        drill.events.done(RELOAD, ok=not outcome.problem)
        return outcome

    def _undo(self) -> None:
        """Put the previous env back: a service that is down is worse than one that is degraded."""
        drill = self._drill
        if drill.config.service.on_boot_failure != "restore":
            self.progress = Progress.LEFT_DOWN
            return
        if refusal := self._put_back():
            self.problem = f"{self.problem}; the previous env file could not be put back: {refusal}"
            self.progress = Progress.LEFT_DOWN
            return
        again = self._reload()
        back = "the service is back on it" if not again.problem else f"but the service is still down: {again.problem}"
        self.problem = f"{self.problem}; the previous env file was restored, {back}"
        self.progress = Progress.RESTORED

    def _put_back(self) -> str:
        """Restore the env file; return why that could not be, empty if it could. It is tried once."""
        drill = self._drill
        with held_back():
            drill.events.intent("restore")
            try:
                drill.env_file.restore()
            except (Refused, EnvWriteFailed) as failure:
                if not (isinstance(failure, EnvWriteFailed) and failure.written):
                    return str(failure)
                self.problem = f"{self.problem}; {failure}"
            drill.record.restored = True
            drill.events.event("restored")
        return ""

    def _settle(self) -> None:
        """Take the first reading of the new processes, then watch them long enough for a first verdict."""
        drill = self._drill
        settle(drill, drill.before)
        if drill.written_at is not None and not drill.config.service.reload_command:
            self._await_reread(drill.written_at + drill.config.service.reload_timeout_s)
        self.on_settled()
        drill.watch(max(PROOF_S, drill.source.least_watch_s()), PROOF_PROBES)
        self.proven_at = time.monotonic()

    def _await_reread(self, deadline: float) -> None:
        """Wait until the traffic shows that every instance has re-read the env file, at most until ``deadline``.

        What the last reading saw is judged by the steps; this only keeps them from looking too early.
        """
        drill = self._drill
        while True:
            drill.settled = drill.read_metrics()
            drill.watch(REREAD_S, 1)
            window = drill.window(drill.read_metrics())
            seen = {judge(drill, window).verdict for judge in (judge_backend, judge_shadow)}
            if Verdict.FAIL not in seen or time.monotonic() > deadline:
                return


def settle(drill: Drill, before: Reading | None) -> None:
    """Take the first reading of restarted instances, from which they are judged, once all of them give one.

    ``before`` is the last reading before the restart: it tells which processes are new.
    """
    drill.tick("reading the restarted instances")
    settled = drill.rebase(drill.read_metrics())
    while settled.unread and time.monotonic() - settled.began < SETTLE_S:
        time.sleep(SETTLE_POLL_S)
        settled = drill.rebase(replace(drill.read_metrics(), began=settled.began))
    if before is not None:
        drill.note_new_processes(before, settled)

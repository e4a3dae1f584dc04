"""The rollback itself: all flags to disk in one edit, one reload, and back if the service does not come up.

The three flags are three steps of the runbook, but one edit and one restart: three would triple the time a user waits.
The edit comes first and waits for nothing; whatever needs the network comes after it.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from enum import StrEnum
from typing import TYPE_CHECKING

from drill.checks.flags import judge_backend, judge_shadow
from drill.checks.silence import short
from drill.comeback import Comeback, new_processes
from drill.context import Drill
from drill.envfile import FLAGS, EnvWriteFailed, plan_edit
from drill.errors import Refused
from drill.observation import Reading
from drill.service import pause_s
from drill.signals import held_back
from drill.trace import MarkKind
from drill.unfinished import RELOAD
from drill.verdict import Verdict

if TYPE_CHECKING:
    from drill.envfile import EditPlan

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
FAILED_S = 5.0
"""How long a process that still answers is watched for the flags although its reload command has failed."""
RESTARTS = 3
"""So often a service that restarts again and again is watched from its restart on."""
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
        self.note = ""
        """What went wrong in the reload without harm; empty if nothing did."""
        self.late: list[str] = []
        """Instances of which no new process was seen in time."""
        self.healed: list[str] = []
        """Instances that were down before the rollback and are well after it."""
        self.reload_s: float | None = None
        self.proven_at: float | None = None
        """When the first verdict on the flags could be given (monotonic)."""
        self._deadline = 0.0
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
        if drill.apply:
            drill.gates.flags()  # asked where the write is: `-k` may have left out the rows that report them
        whole = len(self.wanted) == len(FLAGS)
        plan = drill.plan if whole else plan_edit(drill.plan.old_bytes, self.wanted)
        if plan.refusal or not plan.unchanged:
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

    def look(self) -> None:
        """Look at the service as it is beside the write, in the background."""
        if self._drill.written_at is not None:
            self._drill.look.begin()

    def _take_effect(self) -> None:
        drill = self._drill
        drill.prober  # noqa: B018 - begins to probe: the restart is part of what users feel
        if drill.written_at is None:
            drill.before = drill.glance_at_metrics()
        else:
            self._hold_written()
            self._reload()
        if self.problem:
            self._undo()
            return
        self._settle()
        drill.rolled_back = True
        self.progress = Progress.EFFECTIVE

    def _hold_written(self) -> None:
        """Raise `Refused` if somebody has put other flags back: a restart would cost users, and change nothing."""
        from drill.checks.environment_kept import not_as_left

        if moved := not_as_left(self._drill):
            raise Refused(f"the service was not reloaded: {moved}")

    def _reload(self) -> None:
        """Make the service take the flags; what goes wrong is in ``problem`` only if it is this change's doing."""
        drill, service = self._drill, self._drill.service
        drill.look.begin()
        drill.look.end()
        drill.before = drill.look.reading
        drill.events.intent(RELOAD)
        drill.reload_began = began = time.monotonic()
        self._deadline = began + service.settings.reload_timeout_s
        with drill.trace.during(MarkKind.RELOAD, "reload"):
            failed = service.run_reload(drill.env_file.path, self._deadline, drill.tick)
            back = self._comeback()
            self.problem = self._failed(back, failed) if failed else self._awaited(back)
            if not self.problem:
                self._await_searches()
        self.reload_s = time.monotonic() - began
        drill.events.done(RELOAD, ok=not self.problem)

    def _await_searches(self) -> None:
        """Wait until each instance's last search is answered: one that is well may warm up."""
        drill, began = self._drill, time.monotonic()
        while time.monotonic() < self._deadline:
            last = {one.instance: one.ok or one.apart is not None for one in drill.prober.results(began)}
            names = drill.service.instances
            if all(last.get(name, bool(drill.limiter.limited(instance=name))) for name in names):
                return
            drill.tick("waiting for searches to be answered")
            time.sleep(pause_s(time.monotonic() - began))

    def _comeback(self) -> Comeback:
        drill = self._drill
        changed = [change.key for change in drill.plan.changes if change.key in self.wanted]
        return Comeback(drill, drill.before, bool(drill.service.settings.reload_command), changed)

    def _awaited(self, back: Comeback) -> str:
        """Wait for the instances to come back; say which are down that were not before."""
        back.wait(self._deadline)
        self.late = back.late
        return self._drill.service.not_healthy(back.broken) if back.broken else ""

    def _failed(self, back: Comeback, failed: str) -> str:
        """Return a command's failure as the problem, unless every instance takes the flags and is well all the same."""
        back.wait(time.monotonic() + FAILED_S, restarting=self._deadline)
        if back.proven:
            self.note = f"{failed}, though every instance is seen to follow"
            return ""
        return failed

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
        drill.events.intent(RELOAD)
        with drill.trace.during(MarkKind.RELOAD, "reload"):
            were_up = [name for name in drill.service.instances if drill.look.was_up(name) is not False]
            again = drill.service.reload(drill.env_file.path, drill.tick, were_up)
        drill.events.done(RELOAD, ok=not again.problem)
        self.problem = f"{self.problem}; the previous env file was restored, {self._restored(again.problem, were_up)}"
        self.progress = Progress.RESTORED

    def _restored(self, problem: str, were_up: Sequence[str]) -> str:
        if not problem:
            return "the service is back on it"
        if all(health.ok for health in self._drill.service.health(were_up)):
            return f"and the service is up, but could not be reloaded: {problem}"
        return f"but the service is still down: {problem}"

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
        """Take the first reading of the new processes, then watch them long enough for a first verdict.

        What restarts once more meanwhile is read, and watched, from there on.
        """
        drill = self._drill
        for _ in range(RESTARTS):
            settle(drill, drill.before)
            if drill.written_at is not None and not drill.config.service.reload_command:
                self._await_reread(drill.written_at + drill.config.service.reload_timeout_s)
            self.on_settled()
            drill.watch(max(PROOF_S, drill.source.least_watch_s()), PROOF_PROBES)
            self.proven_at = time.monotonic()
            if not self._restarted_again():
                break
        self._note_healed()

    def _restarted_again(self) -> bool:
        """Whether an instance restarted while it was watched, within the time that a reload may take."""
        drill = self._drill
        if drill.written_at is None or not drill.config.service.reload_command:
            return False
        window = drill.window(drill.read_metrics(self.proven_at))
        return bool(window.restarted) and time.monotonic() < self._deadline + PROOF_S

    def _note_healed(self) -> None:
        """Note who was down before the rollback and is well now."""
        drill = self._drill
        sick = {health.instance: health for health in drill.look.sick()}
        if sick and drill.written_at is not None:
            well = [health.instance for health in drill.service.health(list(sick)) if health.ok]
            self.healed = [f"{short(name)} ({sick[name].reply.seen()} before)" for name in well]
        if self.healed:
            drill.record.facts["healed by the rollback"] = ", ".join(self.healed)

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
    drill.new_processes = new_processes(drill, before, settled)

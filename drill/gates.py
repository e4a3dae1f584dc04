"""What must hold before a drill writes: asked by the code that writes, whatever rows were selected to run.

Every gate is local and quick: none waits for a network, and what cannot be known for want of one refuses nothing. The
rows of the runbook report what these gates say. The env file's own gates (its bytes, its owner, its two locks, what it
is refused for) are asked by `EnvFile` itself before each write.
"""

from datetime import datetime
from typing import TYPE_CHECKING

from drill.errors import Refused, WindowClosed
from drill.proof.ranks import PURGES_ON, Rank
from drill.record import Evidence
from drill.verdict import Verdict

if TYPE_CHECKING:
    from drill.context import Drill

EMERGENCY = "incident-"
"""A reason that begins so says that this is an incident: the firing window does not hold a rollback up."""


class Gates:
    """The gates of one drill. Each raises `Refused`, in one line, if what it guards must not be done now."""

    def __init__(self, drill: "Drill") -> None:
        self._drill = drill
        self.proven_off = False
        """Whether dual-write was proven off for a purge on its own; in a drill, step 1 says so."""
        self.fallback: Evidence | None = None
        """What was last seen of the FAISS to fall back to."""

    def flags(self) -> None:
        """Guard the rollback's edit: no row was refused, the plan holds, the window is open, FAISS is there."""
        self._not_refused()
        self._drill.hold_plan()
        self.window()
        self._faiss()

    def rung(self) -> None:
        """Guard what takes the service back towards the target. Going down again is not guarded: it reduces risk."""
        self._not_refused()
        self.window()
        self._drill.env_file.hold()

    def deletes(self) -> None:
        """Guard each batch of deletes on the target: what is deleted must not be written again, nor by two at once."""
        self._not_refused()
        self.window()
        self._drill.env_file.hold()
        if why := self.unproven():
            raise Refused(why)
        from drill.checks.environment_kept import not_as_left

        if moved := not_as_left(self._drill):
            raise Refused(f"dual-write may be on again: {moved}")

    def documents(self) -> None:
        """Guard every other write on a store, an undo's and a canary's: no other drill is at work."""
        self._drill.env_file.hold()

    def window(self) -> Evidence:
        """Say that the firing window is open; in an incident a rollback does not wait for it. Raises `WindowClosed`."""
        drill = self._drill
        opens, closes = drill.config.window.opens, drill.config.window.closes
        now = drill.clock.now()
        early = bool(opens) and now < datetime.fromisoformat(opens)
        late = bool(closes) and now >= datetime.fromisoformat(closes)
        if not opens and not closes:
            return Evidence(Verdict.PASS, "no firing window is configured")
        span = f"{opens or 'any time'} to {closes or 'any time'}"
        if not early and not late:
            return Evidence(Verdict.PASS, f"the firing window is open ({span})")
        if drill.record.notes.startswith(EMERGENCY):
            return Evidence(Verdict.PASS, f"outside the firing window ({span}), allowed by the reason {EMERGENCY}*")
        # A purge on its own has no rows, and takes no reason: it is never what an incident waits for.
        how = f", or in an incident give --reason {EMERGENCY}<ticket>" if drill.selected else ""
        raise WindowClosed(f"outside the firing window ({span}); wait for it{how}")

    def unproven(self) -> str:
        """Say why dual-write is not proven off, so that nothing may be deleted; empty: it is."""
        step = self._drill.record.entries["disable_dual_write"].evidence
        if self.proven_off or (step.verdict is Verdict.PASS and step.proof in PURGES_ON):
            return ""
        if step.verdict is Verdict.PASS and step.proof == Rank.STARTED:
            return (
                "of dual-write it is only known that a process was started with OFF, not how it reads that; "
                "set [canary] tenant or [service] flags_path, then run again"
            )
        return "dual-write is not proven off, disable_dual_write says why; run again"

    def _not_refused(self) -> None:
        if self._drill.record.refused:
            raise Refused(self._drill.record.refused)

    def _faiss(self) -> None:
        """Raise `NoFallback` if it is known that there is none; the row says what is not known, and why."""
        if self.fallback is not None:
            return
        from drill.checks.preflight import faiss

        try:
            faiss(self._drill)
        except Refused:
            raise
        except Exception:  # noqa: BLE001 - whatever went wrong with looking, it is no proof that FAISS is gone
            self.fallback = Evidence(Verdict.ERROR, "could not be looked at")

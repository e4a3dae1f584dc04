"""Running one row of the runbook: whatever happens, it ends with a verdict and a reason."""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from drill.context import Drill
from drill.envfile import EnvWriteFailed
from drill.errors import CannotMeasure, Refused, UsageError
from drill.observation import Window
from drill.open_rows import FORETOLD
from drill.own_names import in_own_names
from drill.record import Entry, Evidence
from drill.rollback import Progress, Rollback
from drill.trace import Mark, MarkKind
from drill.verdict import Outcome, Verdict

Look = Callable[[Drill], Evidence]
Judge = Callable[[Drill, Window], Evidence]
Act = Callable[[Drill, Rollback], tuple[Outcome, Evidence]]

OF_BEFORE = ("preflight.service", "preflight.metrics")
"""What may be bad before a rollback for the very reason why one rolls back."""


@dataclass
class Runner:
    """Runs the rows of one drill and keeps their entries."""

    drill: Drill
    rollback: Rollback
    _ran: set[str] = field(default_factory=set)
    _later: dict[str, tuple[Look, Evidence]] = field(default_factory=dict)

    def check(self, row: str, look: Look) -> Entry:
        """Run a check that needs no rollback to judge: of the prerequisites, of the env file."""
        return self._run(row, lambda: (Outcome.NOT_RUN, self._now_or_later(row, look)))

    def smoke(self, row: str, look: Look) -> Entry:
        """Run a check that asks the service; before the rollback it is looked at, but not judged."""

        def asked() -> Evidence:
            evidence = look(self.drill)
            if self.drill.judged:
                return evidence
            seen = f"before the rollback: {evidence.verdict}: {evidence.reason}"
            return self._foretold(row, evidence) or self._unjudged(seen)

        return self._run(row, lambda: (Outcome.NOT_RUN, asked()))

    def observe(self, row: str, judge: Judge) -> Entry:
        """Run a check over the observation window after the rollback; without a rollback there is nothing to judge."""

        def observed() -> Evidence:
            return judge(self.drill, self.drill.observe()) if self.drill.judged else self._unjudged("")

        return self._run(row, lambda: (Outcome.NOT_RUN, observed()))

    def step(self, row: str, act: Act) -> Entry:
        """Run a step."""

        def acted() -> tuple[Outcome, Evidence]:
            done = act(self.drill, self.rollback)
            self._ask_again()
            return done

        return self._run(row, acted)

    def write_flags(self) -> None:
        """With ``--apply``, put the flags on disk before anything waits for the network.

        What goes wrong here is said by the steps themselves, which try again.
        """
        if self.drill.apply:
            with suppress(Refused, EnvWriteFailed):
                self.rollback.write()

    def begin_probing(self) -> None:
        """Begin to probe: what users feel is watched from the first row that asks the service to the last.

        A dry-run that would change something judges nothing by probes, so it sends none.
        """
        if self.drill.judges and not self.drill.record.refused:
            self.rollback.look()
            self.drill.prober  # noqa: B018 - runs from first use on

    def green(self, row: str) -> bool:
        """Whether a row has passed."""
        return self.drill.record.entries[row].evidence.verdict is Verdict.PASS

    def _now_or_later(self, row: str, look: Look) -> Evidence:
        """Judge a prerequisite; with ``--apply``, what is bad of a service that was down before is judged after it."""
        drill = self.drill
        evidence = look(drill)
        waits = row in OF_BEFORE and drill.written_at is not None and not drill.rolled_back
        if evidence.verdict is Verdict.PASS or not waits or not drill.look.sick():
            return evidence
        self._later[row] = (look, evidence)
        drill.record.entries[row].later = True
        seen = f"before the rollback: {evidence.verdict}: {evidence.reason}; asked again after it"
        return replace(evidence, verdict=Verdict.NOT_RUN, reason=seen)

    def _ask_again(self) -> None:
        """Once the rollback has come to its end, judge what was put off till then."""
        progress = self.rollback.progress
        if progress in {Progress.PLANNED, Progress.WRITTEN}:
            return
        for row, (look, seen) in [*self._later.items()]:
            del self._later[row]
            self._ran.discard(row)
            self.drill.record.entries[row].later = False
            effective = progress is Progress.EFFECTIVE
            self._run(row, lambda: (Outcome.NOT_RUN, self._after(look, seen) if effective else seen))  # noqa: B023 - run at once

    def _after(self, look: Look, before: Evidence) -> Evidence:
        now = look(self.drill)
        healed = "healed: " if self.rollback.healed and now.verdict is Verdict.PASS else ""
        return replace(now, reason=f"{healed}{now.reason} (before the rollback: {before.reason})")

    def _foretold(self, row: str, evidence: Evidence) -> Evidence | None:
        """In a dry-run, return what no rollback will change; such a row is required as it is after one."""
        told = evidence.foretold
        if self.drill.apply or told is None:
            return None
        self.drill.record.entries[row].required = True
        how = FORETOLD if told.verdict is Verdict.FAIL else "not known before --apply"
        return evidence.judged(told.verdict, f"{how}: {told.reason}")

    def _unjudged(self, seen: str) -> Evidence:
        why = "the rollback was undone" if self.drill.record.restored else "the flags are not rolled back"
        if not self.drill.apply:
            why = "dry-run: judged after --apply"
        return Evidence(Verdict.NOT_RUN, f"{why}; {seen}" if seen else why)

    def _run(self, row: str, work: Callable[[], tuple[Outcome, Evidence]]) -> Entry:
        entry = self.drill.record.entries[row]
        if row in self._ran:
            return entry  # a row runs once: whoever repeats its test gets the verdict that there is
        self._ran.add(row)
        began = time.monotonic()
        try:
            entry.outcome, entry.evidence = work()
        except (Refused, UsageError) as refusal:
            entry.outcome, entry.evidence = Outcome.REFUSED, Evidence(Verdict.FAIL, str(refusal))
            if self.drill.record.flags_written:
                return entry
            self.drill.record.refused = str(refusal)
        except EnvWriteFailed as failure:
            entry.outcome, entry.evidence = Outcome.ERROR, Evidence(Verdict.FAIL, str(failure))
        except CannotMeasure as problem:
            entry.outcome, entry.evidence = Outcome.ERROR, Evidence(Verdict.ERROR, str(problem))
        except KeyboardInterrupt as interruption:
            entry.evidence = Evidence(Verdict.INCONCLUSIVE, f"interrupted ({interruption})")
            entry.outcome = Outcome.ERROR
            self.drill.record.interrupted = str(interruption) or "SIGINT"
            raise
        except Exception as error:  # noqa: BLE001 - a defect of the drill is no reason to leave a row without a verdict
            entry.outcome, entry.evidence = Outcome.ERROR, Evidence(Verdict.ERROR, _defect(error))
        finally:
            ended = time.monotonic()
            entry.duration_s = ended - began
            self.drill.trace.marks.append(Mark(MarkKind.ROW, row, began, ended))
            if names := self.drill.config.metrics.names:
                entry.evidence = replace(entry.evidence, reason=in_own_names(entry.evidence.reason, names))
            self._withhold(entry)
            self.drill.events.row(entry)
        return entry

    def _withhold(self, entry: Entry) -> None:
        """Keep a secret that what was seen holds, out of terminal and events; the flags do not wait for that."""
        waiting = self.drill.apply and self.drill.written_at is None and not self.drill.plan.unchanged
        if not waiting:
            from drill.leaks.of_drill import withheld

            entry.evidence = withheld(entry.evidence, self.drill.leaks)


def _defect(error: Exception) -> str:
    """Name an unexpected error by type and place; its message may hold anything, so it is not repeated."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}" if trace else "unknown place"
    return f"the drill itself failed: {type(error).__name__} at {place}; please report it"

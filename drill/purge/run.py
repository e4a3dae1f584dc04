"""Compare, guard, quarantine, delete, and prove that the delta is gone.

Why no good document is ever deleted
    A document on the target is good if FAISS holds the same id with the same content. Dual-write is proven off before
    a purge runs, so the target only shrinks while FAISS goes on growing and changing. The target is scanned *first*,
    FAISS after it: what was written to both sides before or between the scans is in the later FAISS snapshot. Reading
    FAISS first would condemn a document that a late write put on both sides in between. A document that FAISS changed
    or dropped between the scans is rightly stale or orphaned. Before a block of at most 50,000 condemned documents is
    deleted, it is looked up in FAISS again if there is a newer snapshot, and the delete itself only takes a document
    that still has the content that was exported. What remains is a document that FAISS takes up, with exactly the
    content the target already had, in the seconds between that look and the delete: it becomes ``missing`` on the
    target, is in the quarantine, and is written again at re-opening. FAISS here means its snapshot on disk. A service
    that reloads by restarting (the runbook's way) loses what it had not written, so after step 1 the snapshot is the
    truth; one that re-reads its flags while running must write a snapshot first.

What "the delta is zero" means
    FAISS takes writes during the purge and the target no longer does, so a comparison afterwards may find *new* stale
    and orphaned documents: those that FAISS changed or dropped since. The claim that is proven is: every (id, content)
    pair on the target agrees with the FAISS snapshot it was compared with, or was deleted. After the deletes both
    sides are counted, scanned and compared again. A pair to delete that was to be deleted before is ``left``: a
    failure. A pair that was not on the target at the comparison before was written since: dual-write is not off, a
    failure, too. The rest agreed with the earlier snapshot, and FAISS has changed or lost it since: maybe the last good
    copy, and in no plan. It is left, and reported as ``changed_since``. What is ``left`` is tried again, three times in
    all.

Resuming
    A purge killed at any point leaves the target, the events and the quarantine. Running it again settles the pending
    part (what is gone stays in it), compares afresh and goes on; so the quarantine holds exactly what was deleted.
    Inventories of a killed purge are removed by the next one in the same directory.
"""

import shutil
import tempfile
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from drill.errors import CannotMeasure, Refused, TargetUnavailable
from drill.plain_file import held_directory
from drill.purge import plan_file
from drill.purge.batches import BatchPurge, Tally
from drill.purge.beginning import Beginning, left_in_words
from drill.purge.budget import Budget
from drill.purge.compare import agreeing, compare, only_planned, remaining
from drill.purge.doubts import ByText, unjudged_in_words
from drill.purge.guard import check_kept, check_reach, guard
from drill.purge.model import (
    Delta,
    EventLog,
    FaissDamaged,
    OverBudget,
    Primary,
    PurgeBlocked,
    PurgeRefused,
    PurgeReport,
    PurgeSettings,
    PurgeStatus,
    let_through,
    silent,
)
from drill.purge.owner import OLD, Claim, Owner, read_owner, write_owner
from drill.purge.quarantine import DamagedPart, Quarantine
from drill.target.base import Target
from drill.words import count

ROUNDS = 3
INVENTORY = "inventory-"


@dataclass(slots=True)
class _Course:
    """How far a run has come: what its report is made from, however it ends."""

    tally: Tally
    first: Delta | None = None
    last: Delta | None = None
    left: int | None = None
    written: int = 0
    lost: int = 0

    @property
    def changed_since(self) -> int:
        """What the last comparison found beyond ``left`` and ``written``."""
        if self.left is None or self.last is None or self.last is self.first:
            return 0
        return max(0, self.last.doomed - self.left - self.written)


def _anything(delta: Delta) -> None:
    """Approve of any plan that the guard lets pass."""
    del delta


class Purge:
    """One purge. ``work_dir`` is the drill's own directory; the quarantine becomes its subdirectory ``quarantine``.

    ``claim`` says whose it is, and so which earlier quarantines it may settle: none without it. ``by_text`` opens the
    target so that texts are hashed here, to look into hashes that differ.
    """

    def __init__(
        self,
        primary: Primary,
        target_factory: Callable[[], Target],
        settings: PurgeSettings,
        work_dir: Path,
        events: EventLog,
        progress: Callable[[str], None] = silent,
        claim: Claim | None = None,
        by_text: ByText | None = None,
    ) -> None:
        self._primary = primary
        self._target_factory = target_factory
        self.settings = settings
        self._work_dir = work_dir
        self._events = events
        self._progress = progress
        self._claim = claim
        self._by_text = by_text
        self.gate: Callable[[], None] = let_through
        """Asked right before each batch of deletes; raises Refused if nothing more may be deleted."""
        self.beginning: Beginning | None = None
        """What FAISS held when the drill began; without it, its own losses look like what the dual-write has left."""
        self.owner: Owner | None = None
        """Whose this purge is, once the target has been asked."""
        self._scratch: Path | None = None
        self._foreign: list[str] = []
        """What is said of earlier quarantines that are left alone."""
        self.quarantine = work_dir / "quarantine"

    def plan(self) -> Delta:
        """Compare both sides; reads only. The plan's files live until ``run`` or ``close``.

        Raises PrimaryUnreadable, TargetUnavailable, OverBudget or another CannotMeasure.
        """
        target = self._target_factory()
        try:
            self._ask(target)
            return self._compare(target, Budget(self.settings.time_budget_s))
        finally:
            target.close()

    def objection(self, delta: Delta) -> PurgeRefused | None:
        """Return why ``run`` would refuse or defer ``delta``; ``None`` if it would not. Raises TargetUnavailable."""
        try:
            check_kept(delta)
            if delta.doomed:
                guard(delta, self.settings)
                with closing(self._target_factory()) as target:
                    check_reach(target)
        except PurgeRefused as refusal:
            return refusal
        return None

    def run(self, delta: Delta | None = None, approve: Callable[[Delta], None] = _anything) -> PurgeReport:
        """Carry out ``delta``, or a fresh plan, and verify. A bad end is in the report, not raised.

        ``approve`` may raise PurgeRefused before anything is deleted.
        """
        budget = Budget(self.settings.time_budget_s)
        course = _Course(Tally(), first=delta)
        try:
            status, reason = self._run(course, budget, approve)
        except FaissDamaged as held:
            status, reason = PurgeStatus.DEFERRED, f"deferred: {held}; nothing was deleted"
        except PurgeBlocked as held:
            status, reason = PurgeStatus.DEFERRED, f"deferred: {held}{self._kept(course)}"
        except PurgeRefused as held:
            status, reason = PurgeStatus.REFUSED, f"{held}{self._kept(course)}"
        except (OverBudget, TargetUnavailable, Refused) as stop:
            status, reason = PurgeStatus.DEFERRED, self._stopped(str(stop), course)
        except OSError as stop:
            why = stop.strerror or type(stop).__name__
            said = f"files of the purge, in {self.quarantine.parent}: {why}; nothing is deleted without its quarantine"
            status, reason = PurgeStatus.DEFERRED, self._stopped(said, course)
        except CannotMeasure as stop:
            unknown = PurgeStatus.DEFERRED if course.tally.batches else PurgeStatus.COULD_NOT_COMPARE
            status, reason = unknown, self._stopped(str(stop), course)
        finally:
            self.close()
        return self._report(status, reason + "".join(self._foreign), course, budget)

    def close(self) -> None:
        """Remove the inventories, which hold document ids."""
        for folder in self._work_dir.glob(f"{INVENTORY}*"):
            shutil.rmtree(folder, ignore_errors=True)
        self._scratch = None

    def _run(self, course: _Course, budget: Budget, approve: Callable[[Delta], None]) -> tuple[PurgeStatus, str]:
        target = self._target_factory()
        try:
            self._ask(target)
            quarantine = Quarantine(self.quarantine)
            settled = self._settle(quarantine, target)
            if course.first is None:
                course.first = self._compare(target, budget)
            course.last = course.first
            check_kept(course.first)
            if not course.first.doomed:
                return PurgeStatus.NOTHING_TO_PURGE, _nothing(course.first, settled)
            guard(course.first, self.settings)
            check_reach(target)
            approve(course.first)
            self._rounds(course, target, quarantine, budget)
            return self._judge(course)
        finally:
            self._describe(target, course)
            target.close()

    def _rounds(self, course: _Course, target: Target, quarantine: Quarantine, budget: Budget) -> None:
        quarantine.open()
        if self.owner is not None:
            write_owner(self.quarantine, self.owner)
        work = BatchPurge(
            self._primary,
            target,
            quarantine,
            self._events,
            budget,
            self.settings.batch,
            self._progress,
            course.tally,
            lambda tenant: agreeing(tenant, self.settings),
            self.gate,
        )
        plan: Delta | None = course.first
        for number in range(ROUNDS):
            if plan is None or not plan.doomed or (number and not self._may_go_on(plan, course)):
                return
            self._events.event("purge_plan", round=number + 1, documents=plan.doomed, digest=plan.digest)
            before = course.tally.purged
            work.carry_out(plan)
            self._progress("purge: comparing again")
            course.last = self._compare(target, budget)
            self._classify(course, plan, course.last)
            course.lost += max(0, plan.target_documents - (course.tally.purged - before) - course.last.target_documents)
            plan = only_planned(plan, course.last, self.settings) if course.left else None

    def _may_go_on(self, plan: Delta, course: _Course) -> bool:
        """Whether the next round keeps within the guard; if not, its documents stay and are reported."""
        with suppress(PurgeRefused):
            check_kept(plan)
            guard(plan, self.settings, course.tally.purged, course.first)
            return True
        return False

    def _classify(self, course: _Course, before: Delta, after: Delta) -> None:
        pairs = zip(before.tenants, after.tenants, strict=True)
        found = [remaining(earlier, later, self.settings) for earlier, later in pairs]
        course.left = sum(left for left, _ in found)
        course.written = sum(written for _, written in found)

    def _judge(self, course: _Course) -> tuple[PurgeStatus, str]:
        done = f"{course.tally.purged} documents deleted, all in the quarantine"
        if course.written:
            return PurgeStatus.INCOMPLETE, (
                f"{course.written} documents that differ were written to the target meanwhile; expected none with "
                f"dual-write off, find the writer, then run again ({done})"
            )
        if course.lost:
            return PurgeStatus.INCOMPLETE, (
                f"{course.lost} more documents are gone from the target than were deleted, and are in no quarantine; "
                f"expected every other document to stay, find out what else deletes there, then run again ({done})"
            )
        if course.left:
            return PurgeStatus.INCOMPLETE, (
                f"{count(course.left, 'document', 'is', 'are')} on the target still or again; expected none, "
                f"run again ({done})"
            )
        since = f"; FAISS changed {course.changed_since} more since" if course.changed_since else ""
        tenants = course.last.tenants if course.last else ()
        more = f"{since}{left_in_words(tenants)}{unjudged_in_words(tenants)}"
        return PurgeStatus.PURGED, f"{done}; compared again, no divergence from the snapshot is left{more}"

    def _stopped(self, why: str, course: _Course) -> str:
        planned = f" of {course.first.doomed}" if course.first is not None else ""
        return f"{why}; {course.tally.purged}{planned} documents deleted so far, run the drill again to finish"

    def _kept(self, course: _Course) -> str:
        if course.first is None:
            return ""
        try:
            plan_file.keep(course.first, self._work_dir / plan_file.PLAN_DIR, self.owner)
        except OSError as error:
            return f" (the plan could not be kept: {error.strerror})"
        return "; nothing was deleted, the plan is kept in 'plan' beside the events"

    def _settle(self, quarantine: Quarantine, target: Target) -> int:
        settled = 0
        for folder in self._claim.earlier if self._claim else ():
            found = read_owner(folder)
            if self.owner is None or found is None or not found.is_mine(self.owner):
                self._foreign.append(f"; the quarantine of {folder.parent.name} {_not_settled(found)}")
                continue
            with suppress(DamagedPart):  # it stays, and `purge status` shows it
                settled += _reopened(folder).settle(target)
        if self.quarantine.is_dir():
            self._is_own(read_owner(self.quarantine))
            quarantine.open()
            settled += quarantine.settle(target)
        return settled

    def _ask(self, target: Target) -> None:
        if self._claim is not None:
            self.owner = self._claim.whose(target)

    def _is_own(self, found: Owner | None) -> None:
        if self.owner is not None and found is not None and not found.is_mine(self.owner):
            raise PurgeRefused(f"the quarantine {_not_settled(found)}; this is {self.owner}")

    def _compare(self, target: Target, budget: Budget) -> Delta:
        if self._scratch is None:
            with held_directory(self._work_dir, inside=2):
                self.close()
            self._scratch = Path(tempfile.mkdtemp(prefix=INVENTORY, dir=self._work_dir))
        folder = Path(tempfile.mkdtemp(prefix="round-", dir=self._scratch))
        return compare(
            self._primary, target, self.settings, folder, budget, self._progress, self._by_text, self.beginning
        )

    def _describe(self, target: Target, course: _Course) -> None:
        """Write the manifest; the parts are whole without it, so nothing that goes wrong here matters to the purge."""
        if course.first is None or not course.tally.purged:
            return
        with suppress(CannotMeasure, OSError):
            Quarantine(self.quarantine).write_manifest(self._origin(target), course.first.digest)

    def _origin(self, target: Target) -> Mapping[str, str]:
        owner = {} if self.owner is None else {"environment": self.owner.environment, "target": self.owner.target}
        return {**target.describe(), **owner}

    def _report(self, status: PurgeStatus, reason: str, course: _Course, budget: Budget) -> PurgeReport:
        plan = course.first
        kept = self.quarantine if self.quarantine.is_dir() else None
        return PurgeReport(
            status=status,
            reason=reason,
            orphans=plan.orphans if plan else None,
            stale=plan.stale if plan else None,
            missing=plan.missing if plan else None,
            purged=course.tally.purged,
            skipped=course.tally.skipped,
            left=_left(status, course),
            changed_since=course.changed_since,
            quarantine=kept,
            per_tenant=plan.tenants if plan else (),
            unscoped=plan.unscoped if plan else {},
            duration_s=budget.spent_s,
            unjudged=course.last.unjudged if course.last else 0,
            since=tuple(tenant.since for tenant in course.last.tenants) if course.last else (),
        )


def _not_settled(found: Owner | None) -> str:
    return f"is not settled: it {OLD if found is None else f'is of {found}'}"


def _reopened(folder: Path) -> Quarantine:
    quarantine = Quarantine(folder)
    quarantine.open()
    return quarantine


def _left(status: PurgeStatus, course: _Course) -> int | None:
    """Condemned and still there: proven by the last comparison, else what the plan has beyond what was done."""
    if status in (PurgeStatus.PURGED, PurgeStatus.INCOMPLETE):
        return (course.left or 0) + course.written
    if course.first is None:
        return None
    return max(0, course.first.doomed - course.tally.purged - course.tally.skipped)


def _nothing(plan: Delta, settled: int) -> str:
    left = left_in_words(plan.tenants)
    differs = "no other one differs" if left else "none of them differs"
    missing = f", {plan.missing} are missing there" if plan.missing else ""
    finished = f"; {settled} were deleted by an earlier run" if settled else ""
    compared = f"{plan.target_documents} documents on the target, {differs} from FAISS{missing}"
    return f"{PurgeStatus.NOTHING_TO_PURGE}: {compared}{left}{finished}{unjudged_in_words(plan.tenants)}"

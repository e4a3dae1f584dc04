"""Step 2: remove from the target what diverges from FAISS, or say why not and how to finish."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from drill.checks.faiss_kept import loss, may_go
from drill.context import Drill
from drill.errors import CannotMeasure
from drill.record import Evidence, Scalar
from drill.rollback import Rollback
from drill.steps.faiss_losses import FaissLosses, go_on, left_alone
from drill.verdict import Outcome, Verdict
from drill.words import count

if TYPE_CHECKING:
    from drill.purge import Delta, Purge, PurgeReport, TenantDelta


def purge_delta(drill: Drill, _rollback: Rollback) -> tuple[Outcome, Evidence]:
    """Compare FAISS with the target and purge what is only, or differently, on the target.

    Nothing is deleted unless step 1 has been proven: what is deleted could be written again.
    """
    if drill.purge_mode == "off":
        return Outcome.NOT_RUN, Evidence(
            Verdict.NOT_RUN, "--purge off: divergence is unknown, by the operator's choice"
        )
    if drill.primary is None or not drill.config.target.kind:
        missing = drill.no_primary or drill.config.missing("[target] kind", "[target] is not configured")
        reason = f"could not compare: {missing}; --purge off says that this is on purpose"
        return Outcome.NOT_RUN, Evidence(Verdict.INCONCLUSIVE, reason)
    from drill.purge.earlier import note

    purge = new_purge(drill)
    if not drill.apply:
        return _rehearse(drill, purge)
    if why := drill.gates.unproven():
        drill.record.purge.deferred = True
        return Outcome.NOT_RUN, Evidence(Verdict.INCONCLUSIVE, f"deferred: {why}")
    if lost := loss(drill):
        note(drill.events, lost)
        drill.record.purge.deferred = True
        return Outcome.NOT_RUN, Evidence(
            Verdict.INCONCLUSIVE, f"deferred: the target may hold the last copies of what FAISS lost: {lost}"
        )
    return _perform(drill, purge)


def new_purge(drill: Drill) -> "Purge":
    """Return the purge of a drill with a primary and a target. Raises CannotMeasure if it has no primary."""
    from drill.purge import Purge, PurgeSettings
    from drill.purge.beginning import Beginning
    from drill.purge.kept import pending_elsewhere
    from drill.purge.owner import Claim, owner_of
    from drill.purge.reserved import without_canaries

    if drill.primary is None:
        raise CannotMeasure("[primary] path is not configured: nothing to compare the target with")
    bounds = drill.config.purge
    settings = PurgeSettings(
        tenants=tuple(drill.config.service.tenants),
        max_fraction=bounds.max_fraction,
        batch=bounds.batch,
        time_budget_s=bounds.time_budget_s,
        memory_limit_mb=bounds.memory_limit_mb,
        scheduler=bounds.scheduler,
        drift_sample=bounds.drift_sample,
    )
    earlier = pending_elsewhere(drill.work_dir, drill.record.env_id)
    purge = Purge(
        without_canaries(drill.primary, drill.config.canary, drill.witness.canary.hashes if drill.witness else ()),
        drill.open_target,
        settings,
        drill.work_dir,
        drill.events,
        drill.tick,
        Claim(lambda target: owner_of(drill, target), earlier),
        drill.open_target_by_text,
    )
    purge.gate = drill.gates.deletes
    purge.beginning = Beginning(
        drill.faiss_before,
        drill.faiss_held,
        lambda documents: may_go(documents, drill.config.primary),
        lambda name: drill.config.canary.is_one(name) or any(name in swept for swept in drill.swept.values()),
    )
    return purge


def _rehearse(drill: Drill, purge: "Purge") -> tuple[Outcome, Evidence]:
    from drill.purge.beginning import left_in_words
    from drill.purge.doubts import unjudged_in_words
    from drill.purge.model import PurgeBlocked

    try:
        delta = purge.plan()
        missing, refusal = _missing_rights(drill), purge.objection(delta)
    except CannotMeasure as problem:
        return Outcome.NOT_RUN, Evidence(Verdict.ERROR, f"could not compare: {problem}")
    finally:
        purge.close()
    _count(drill, delta)
    doomed = delta.doomed
    limit = drill.config.purge.max_fraction
    seen = Evidence(Verdict.NOT_RUN, "", round(delta.fraction, 4), "<=", limit, detail=_detail(delta))
    counts = f"{count(delta.orphans, 'orphan')}, {delta.stale} stale, {delta.missing} missing"
    if refusal is not None:
        verdict = Verdict.INCONCLUSIVE if isinstance(refusal, PurgeBlocked) else Verdict.FAIL
        return Outcome.WOULD_CHANGE, seen.judged(verdict, f"{counts}: --apply would refuse to purge: {refusal}")
    outcome = Outcome.WOULD_CHANGE if doomed else Outcome.NO_CHANGE
    if missing:
        return outcome, seen.judged(Verdict.FAIL, f"{counts}: --apply could not purge: {'; '.join(missing)}")
    plan = f"{counts}; {doomed} would be purged" if doomed else "nothing_to_purge"
    plan += left_in_words(delta.tenants) + unjudged_in_words(delta.tenants)
    verdict = Verdict.INCONCLUSIVE if delta.unjudged else Verdict.PASS
    return outcome, seen.judged(verdict, _joined(plan, _drifted(delta.tenants)))


def _missing_rights(drill: Drill) -> list[str]:
    """Ask the target, where it can be asked, whether a purge would be allowed."""
    from drill.target.base import AsksRights

    target = drill.open_target()
    try:
        return target.missing_rights() if isinstance(target, AsksRights) else []
    finally:
        target.close()


def _perform(drill: Drill, purge: "Purge") -> tuple[Outcome, Evidence]:
    from drill.purge.advice import after_deletes

    losses = FaissLosses(drill)
    report = purge.run(approve=losses.approve)
    counts = drill.record.purge
    counts.orphans, counts.stale, counts.missing = report.orphans, report.stale, report.missing
    counts.purged, counts.deferred = report.purged, report.deferred
    outcome, verdict = _verdict(report)
    doubt = losses.seen(report) if verdict is Verdict.PASS else ""
    if doubt or (report.unjudged and verdict is Verdict.PASS):
        verdict = Verdict.INCONCLUSIVE
    moved = _moved(drill, report)
    if moved and outcome is Outcome.REFUSED:
        counts.deferred = True
        outcome, verdict = Outcome.NOT_RUN, Verdict.INCONCLUSIVE
        moved = f"{moved}: deferred, go on with `{go_on(drill)}`"
    elif moved:
        moved = f"{moved}: planned anew, within [purge] max_fraction"
    if report.purged and outcome is Outcome.NOT_RUN:
        outcome = Outcome.APPLIED
    advice = after_deletes(drill.config.target.kind, report.purged)
    reason = _joined(report.reason, doubt, moved, _drifted(report.per_tenant), advice)
    changed = sum(since.left for since in report.since)
    unit = f" divergent left, beside {changed} that FAISS has changed since" if changed else " divergent left"
    return outcome, Evidence(verdict, reason, report.left, "==", 0, unit=unit, detail=_facts(report))


def _moved(drill: Drill, report: "PurgeReport") -> str:
    """Say how the delta has moved since the plan that is carried out; empty if it has not, or there is no plan."""
    from drill.plans import moved_delta

    found = {"orphans": report.orphans, "stale": report.stale, "missing": report.missing}
    moved = moved_delta(drill.held_plan, found) if drill.held_plan is not None else ""
    return f"the delta has moved ({moved})" if moved else ""


def _verdict(report: "PurgeReport") -> tuple[Outcome, Verdict]:
    from drill.purge import PurgeStatus

    return {
        PurgeStatus.NOTHING_TO_PURGE: (Outcome.NO_CHANGE, Verdict.PASS),
        PurgeStatus.PURGED: (Outcome.APPLIED, Verdict.PASS),
        PurgeStatus.DEFERRED: (Outcome.NOT_RUN, Verdict.INCONCLUSIVE),
        PurgeStatus.REFUSED: (Outcome.REFUSED, Verdict.FAIL),
        PurgeStatus.INCOMPLETE: (Outcome.ERROR, Verdict.FAIL),
        PurgeStatus.COULD_NOT_COMPARE: (Outcome.ERROR, Verdict.ERROR),
    }[report.status]


def _count(drill: Drill, delta: "Delta") -> None:
    counts = drill.record.purge
    counts.orphans, counts.stale, counts.missing = delta.orphans, delta.stale, delta.missing


def _detail(delta: "Delta") -> dict[str, Scalar]:
    return {
        "orphans (only on the target: they disappear from answers)": delta.orphans,
        "stale (content differs)": delta.stale,
        "missing (only in FAISS, kept)": delta.missing,
        "documents on the target": delta.target_documents,
        **_drift(delta.tenants),
    }


def _facts(report: "PurgeReport") -> dict[str, Scalar]:
    return {
        "orphans": report.orphans,
        "stale": report.stale,
        "missing (kept)": report.missing,
        "purged": report.purged,
        "skipped (changed meanwhile)": report.skipped,
        "changed in FAISS since": report.changed_since,
        **left_alone(report),
        "seconds": round(report.duration_s, 2),
        "quarantine": report.quarantine.name if report.quarantine else "",
        **_drift(report.per_tenant),
    }


def _joined(*parts: str) -> str:
    return "; ".join(filter(None, parts))


def _drifted(tenants: "Sequence[TenantDelta]") -> str:
    """Return what the row itself must say of drift: nothing where there is none."""
    from drill.purge.drift import summary

    some = any(tenant.drift is not None and tenant.drift.drifted for tenant in tenants)
    return f"the target answers by other vectors: {summary(tenants)}" if some else ""


def _drift(tenants: "Sequence[TenantDelta]") -> dict[str, Scalar]:
    from drill.purge.drift import summary

    seen = summary(tenants)
    return {"vector drift (same content, kept)": seen} if seen else {}

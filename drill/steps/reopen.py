"""Step 7: re-open progressively, shadow-read first, then dual-write; only after a green step 6."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from drill.context import Drill
from drill.record import Evidence
from drill.reopen.replay import replay
from drill.reopen.rungs import Rung, dual_write_rungs, shadow_rungs
from drill.rollback import Rollback
from drill.verdict import Outcome, Verdict


def shadow_read(drill: Drill, _rollback: Rollback) -> tuple[Outcome, Evidence]:
    """Turn shadow-read on at one sample rate after the other; each must hold before the next."""
    return _climb(drill, "reopen.shadow_read", shadow_rungs(drill.config, drill.env_values), first=_replay)


def dual_write(drill: Drill, _rollback: Rollback) -> tuple[Outcome, Evidence]:
    """Turn dual-write on, for the pilot tenants if there are any and then for all."""
    return _climb(drill, "reopen.dual_write", dual_write_rungs(drill.config, drill.env_values))


def _replay(drill: Drill) -> Evidence | None:
    return replay(drill) if drill.replay_outbox else None


def _climb(
    drill: Drill, row: str, rungs: Sequence[Rung], first: Callable[[Drill], Evidence | None] = lambda _drill: None
) -> tuple[Outcome, Evidence]:
    if not drill.reopen:
        return Outcome.NOT_RUN, Evidence(Verdict.NOT_RUN, "not asked for: --reopen does step 7")
    if not rungs:
        return Outcome.NOT_RUN, Evidence(Verdict.INCONCLUSIVE, "there is no rung to climb: [reopen] names none")
    names = ", then ".join(rung.name for rung in rungs)
    if not drill.apply:
        return Outcome.WOULD_CHANGE, Evidence(Verdict.PASS, f"would climb {names} (dry-run: nothing was written)")
    from drill.proof.late import look_again

    look_again(drill)  # from the first rung on the target may be written to
    if doubtful := _not_green(drill, row):
        reason = f"refused: re-opening needs a green rollback; not green: {', '.join(doubtful)}"
        return Outcome.REFUSED, Evidence(Verdict.NOT_RUN, reason)
    if shut := drill.ladder.shut():
        return Outcome.REFUSED, Evidence(Verdict.NOT_RUN, f"refused: {shut}")
    before = first(drill)
    if before is not None and before.verdict is not Verdict.PASS:
        return Outcome.APPLIED, replace(before, reason=f"{before.reason}; no rung was climbed")
    evidence = drill.ladder.climb(rungs)
    if before is not None:
        told = f"{before.reason}; {evidence.reason}"
        evidence = replace(evidence, reason=told, detail={**before.detail, **evidence.detail})
    return Outcome.APPLIED, evidence


def _not_green(drill: Drill, row: str) -> list[str]:
    """Return the required rows before ``row`` that have not passed: each of them is what re-opening relies on."""
    earlier = [entry for name, entry in drill.record.entries.items() if name != row and _before(name, row)]
    return [entry.id for entry in earlier if entry.required and entry.evidence.verdict is not Verdict.PASS]


def _before(name: str, row: str) -> bool:
    return not name.startswith("reopen.") or (name == "reopen.shadow_read" and row == "reopen.dual_write")

"""Steps 1, 3 and 4: each flag off, in the file, in every instance, and in what the traffic shows."""

from collections.abc import Callable
from dataclasses import replace

from drill.checks.flags import judge_dual_write
from drill.checks.obeyed import disobeyed
from drill.checks.silence import short
from drill.context import Drill
from drill.disobedience import next_step, note, who
from drill.envfile import FLAGS
from drill.metrics.workers import SHOWN
from drill.observation import Window
from drill.proof import spoken
from drill.proof.environ import environs
from drill.proof.flags import Flag
from drill.proof.judge import prove_backend, prove_shadow
from drill.record import Evidence, Scalar
from drill.rollback import FLAG_OF_STEP, Progress, Rollback
from drill.verdict import Outcome, Verdict

Judge = Callable[[Drill, Window], Evidence]


def disable_dual_write(drill: Drill, rollback: Rollback) -> tuple[Outcome, Evidence]:
    """Set FF_RETRIEVAL_DUAL_WRITE=OFF and prove that no write reaches the target any more."""
    from drill.steps.witness import WriteWitness

    witness = WriteWitness(drill)
    rollback.on_settled = witness.begin
    try:
        outcome, evidence = _flag_step(
            drill, rollback, "disable_dual_write", lambda d, w: witness.judge(judge_dual_write(d, w), w)
        )
    finally:
        left = witness.end()
    drill.witness = witness if witness.written.begun else None
    return outcome, replace(evidence, reason="; ".join((evidence.reason, *left))) if left else evidence


def disable_shadow_read(drill: Drill, rollback: Rollback) -> tuple[Outcome, Evidence]:
    """Set FF_RETRIEVAL_SHADOW_READ=OFF and prove that no read is shadowed any more."""
    return _flag_step(drill, rollback, "disable_shadow_read", prove_shadow)


def force_faiss(drill: Drill, rollback: Rollback) -> tuple[Outcome, Evidence]:
    """Set RETRIEVAL_BACKEND=faiss and prove that every instance answers from FAISS and from nothing else."""
    outcome, evidence = _flag_step(drill, rollback, "force_faiss", prove_backend)
    if evidence.verdict is Verdict.PASS and rollback.proven_at and drill.written_at:
        drill.record.time_to_safety_s = round(rollback.proven_at - drill.written_at, 3)
        if drill.record.time_to_safety_s > drill.config.slo.rto_s:
            late = f"safe after {drill.record.time_to_safety_s:.1f} s, [slo] rto_s is {drill.config.slo.rto_s:g} s"
            return outcome, evidence.judged(Verdict.FAIL, late)
    return outcome, evidence


def _flag_step(drill: Drill, rollback: Rollback, step: str, judge: Judge) -> tuple[Outcome, Evidence]:
    key = FLAG_OF_STEP[step]
    change = next((change for change in drill.plan.changes if change.key == key), None)
    outcome = Outcome.NO_CHANGE if change is None else Outcome.APPLIED if drill.apply else Outcome.WOULD_CHANGE
    in_file = f"{key}={FLAGS[key]} already" if change is None else change.line()
    if not drill.apply and not drill.plan.unchanged:
        seen = disobeyed(drill, step, in_file, pending=change is not None)
        return outcome, seen or Evidence(Verdict.PASS, f"{in_file} (dry-run: nothing was written)")
    rollback.perform()
    if rollback.progress is not Progress.EFFECTIVE:
        return Outcome.ERROR, Evidence(Verdict.FAIL, f"{in_file}; {rollback.problem}")
    window = drill.window(drill.read_metrics(rollback.proven_at))
    evidence = judge(drill, window)
    if rollback.doubt:
        evidence = evidence.judged(
            Verdict.FAIL, f"{rollback.doubt}; in the traffic {evidence.verdict}: {evidence.reason}"
        )
    if evidence.verdict is Verdict.FAIL:
        _note_disobedience(drill, window, key, evidence)
    detail = {**evidence.detail, **_processes(drill, window)}
    told = "; ".join(filter(None, (in_file, evidence.reason, _reloaded(drill, rollback, evidence.verdict))))
    return outcome, replace(evidence, reason=told, detail=detail)


def _note_disobedience(drill: Drill, window: Window, key: str, evidence: Evidence) -> None:
    """Note who disobeys the flag, with what each says of itself, and what to do about it."""
    flag = next(flag for flag in Flag if flag.key == key)
    said, around = spoken.ask(drill, times=1), environs(drill, window)
    urls, mixed = {short(url): url for url in drill.service.instances}, _survivors(drill).keys()
    for name in who(evidence.reason, urls):
        url = urls.get(name, "")
        words = {
            "it says so itself": url in said and said[url].rolled_back.get(flag) is False,
            "it says itself that it obeys": url in said and said[url].rolled_back.get(flag) is True,
            "its process was started with another value": url in around and around[url].rolled_back.get(flag) is False,
            "workers from before the reload still answer": url in mixed,
            "no restart was seen": url in around.keys() - drill.new_processes - mixed
            and drill.reload_began is not None,
        }
        seen = ", ".join(text for text, holds in words.items() if holds)
        note(drill.record, name, f"{key}={FLAGS[key]}", seen)
    drill.record.next_step = next_step(drill.record, drill.config.service.flags_path)


def _reloaded(drill: Drill, rollback: Rollback, verdict: Verdict) -> str:
    """Say what else is to be said of the reload: who was healed, who did not restart, and what failed in it."""
    told = [f"healed: {', '.join(rollback.healed)}"] if rollback.healed else []
    late = [short(name) for name in rollback.late if name not in drill.new_processes]
    if late and verdict is not Verdict.PASS:
        told.append(
            f"no new process on {', '.join(late)} within {drill.config.service.reload_timeout_s:g} s of the reload "
            "([service] reload_timeout_s): does reload_command return before the restart (systemctl --no-block, "
            "kubectl rollout restart without rollout status), or restart nothing?"
        )
    if verdict is not Verdict.PASS:
        told += [
            f"of the workers from before the reload {len(left)} still answer on {short(name)}, beside new ones "
            f"({', '.join(sorted(left)[:SHOWN])}): end what is left of the old process"
            for name, left in _survivors(drill).items()
        ]
    return "; ".join([*told, rollback.note] if rollback.note else told)


def _survivors(drill: Drill) -> dict[str, frozenset[str]]:
    """Return the workers from before the reload that have answered since, of instances where new ones do, too."""
    if drill.before is None or drill.settled is None or drill.reload_began is None:
        return {}
    old = {name: seen.workers for name, seen in drill.before.snapshots.items()}
    both = {name: seen.workers & old.get(name, frozenset()) for name, seen in drill.settled.snapshots.items()}
    return {name: left for name, left in both.items() if left and drill.settled.snapshots[name].workers - left}


def _processes(drill: Drill, window: Window) -> dict[str, Scalar]:
    """Say of every instance whether another process answers since the reload, by its start time."""
    if drill.reload_began is None:
        return {}
    return {f"new process {short(name)}": name in drill.new_processes for name in window.deltas}

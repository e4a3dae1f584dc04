"""``python -m drill purge plan|run|undo|status``: step 2 of the runbook on its own, for what was deferred."""

import argparse
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from drill.context import Drill
from drill.errors import CannotMeasure, Refused, UsageError
from drill.printable import show
from drill.signals import EndingSignals
from drill.verdict import EXIT_CODES, Result
from drill.words import count

if TYPE_CHECKING:
    from drill.purge.model import Delta, PurgeReport
    from drill.purge.progress import Ticker
    from drill.purge.standalone import Request


def add_purge(parser: argparse.ArgumentParser) -> None:
    """Add the four actions to ``parser``."""
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    planner = actions.add_parser("plan", help="compare and show what would be deleted; reads only")
    planner.set_defaults(command=_command(_plan, "plan"))
    runner = actions.add_parser("run", help="carry a plan out: quarantine, delete, verify")
    runner.add_argument("--plan", required=True, metavar="HASH", help="the hash that `plan` has shown")
    runner.set_defaults(command=_command(_run, "run"))
    undoer = actions.add_parser("undo", help="write back what a drill or a purge has deleted, and verify")
    undoer.add_argument("drill_id", metavar="DRILL_ID", help="the drill or purge, as `status` lists it")
    undoer.add_argument("--moved", action="store_true", help="the env file has moved: only the target must be the same")
    undoer.set_defaults(command=_command(_undo, "undo"))
    lister = actions.add_parser("status", help="list plans and quarantines, and what is left to do")
    lister.set_defaults(command=_status)
    for action in (planner, runner, undoer):
        action.add_argument("--env-file", type=Path, required=True, metavar="PATH", help="the service's env file")
        action.add_argument("--drill-config", type=Path, metavar="PATH", help="default: drill.toml beside the env file")
        action.add_argument("--operator", metavar="NAME", help="your handle; default $DRILL_OPERATOR, else the login")
    for action in (planner, runner):
        action.add_argument("--time-budget", type=float, metavar="S", help="default: [purge] time_budget_s")
    for action in (planner, runner, undoer, lister):
        action.add_argument("--artifacts-dir", type=Path, default=Path("artifacts"), metavar="DIR")


Action = Callable[[argparse.Namespace, Drill, "Ticker"], Result]


def _command(action: Action, name: str) -> Callable[[argparse.Namespace], int]:
    """Return the command: whatever stops it is one line, and one of the exit codes of DESIGN.md section 4."""

    def command(arguments: argparse.Namespace) -> int:
        from drill.purge.progress import Ticker

        ticker = Ticker()
        try:
            with _signals(), _opened(arguments, name) as drill:
                drill.tick = ticker
                result = action(arguments, drill, ticker)
        except Refused as refusal:
            result = _say(ticker, Result.REFUSED, str(refusal))
        except UsageError:
            ticker.close()
            raise
        except CannotMeasure as problem:
            result = _say(ticker, Result.INCONCLUSIVE, str(problem))
        except KeyboardInterrupt as signalled:
            result = Result.INCONCLUSIVE if name == "plan" else Result.INTERRUPTED
            _say(ticker, result, f"stopped by {signalled or 'SIGINT'}; run the same command again, it goes on")
        return EXIT_CODES[result]

    return command


@contextmanager
def _signals() -> Iterator[EndingSignals]:
    """End the purge between two statements, as a drill is ended."""
    signals = EndingSignals()
    signals.listen()
    try:
        yield signals
    finally:
        signals.let_go(ended=False)


@contextmanager
def _opened(arguments: argparse.Namespace, name: str) -> Iterator[Drill]:
    from drill.purge.standalone import standalone

    with standalone(_request(arguments, name)) as drill:
        if drill.primary is None or not drill.config.target.kind:
            missing = drill.no_primary or drill.config.missing("[target] kind", "[target] kind is not configured")
            raise UsageError(f"{missing}; the purge compares FAISS with the target")
        yield drill


def _request(arguments: argparse.Namespace, name: str) -> "Request":
    import os

    from drill.identity import operator_handle
    from drill.purge.standalone import Request

    budget = getattr(arguments, "time_budget", None)
    if budget is not None and not 0 < budget <= 7 * 86_400:
        raise UsageError(f"--time-budget: seen {budget:g}, expected seconds, more than 0 and at most a week")
    operator = operator_handle(arguments.operator, os.environ)
    return Request(name, arguments.env_file, arguments.drill_config, arguments.artifacts_dir, operator, budget)


def _plan(arguments: argparse.Namespace, drill: Drill, ticker: "Ticker") -> Result:
    from drill.purge import plan_file
    from drill.steps.purge import new_purge

    purge = new_purge(drill)
    try:
        delta = purge.plan()
        sample = plan_file.sample(delta)
        if delta.doomed:
            plan_file.keep(delta, drill.work_dir / plan_file.PLAN_DIR, purge.owner)
    finally:
        purge.close()
    ticker.close()
    _show_plan(delta, sample)
    if delta.doomed:
        _show_unknown(drill)
    _ended(drill, "planned", purged=0, left=delta.doomed, plan=delta.digest)
    if not delta.doomed:
        return Result.INCONCLUSIVE if delta.unjudged else Result.SUCCESS
    if refusal := purge.objection(delta):
        show(f"run would refuse this plan: {refusal}")
        return Result.REFUSED
    show(f"to carry it out: {_run_line(arguments, delta.digest)}")
    return Result.SUCCESS


def _show_plan(delta: "Delta", sample: list[str]) -> None:
    from drill.purge.doubts import unjudged_in_words
    from drill.purge.drift import summary

    for tenant in delta.tenants:
        show(
            f"tenant {tenant.tenant!r}: {count(tenant.primary_count, 'document')} in FAISS, {tenant.target_count} "
            f"on the target; {count(tenant.orphans, 'orphan')}, {tenant.stale} stale, {tenant.missing} missing (kept)"
        )
    for name, number in delta.unscoped.items():
        show(f"tenant {name!r}: {count(number, 'document')} on the target, out of scope")
    if drift := summary(delta.tenants):
        show(f"vector drift (same content, kept): {drift}")
    unjudged = unjudged_in_words(delta.tenants)
    if not delta.doomed:
        show(f"nothing_to_purge: no document on the target is known to differ from FAISS{unjudged}")
        return
    show(f"would delete {delta.doomed} of {delta.target_documents} documents ({delta.fraction:.2%}){unjudged}")
    show(f"ids, hashed (SHA-256): {' '.join(sample)}")
    show(f"plan {_short(delta.digest)}")


def _show_unknown(drill: Drill) -> None:
    """Say what only a drill knows: it has looked at FAISS before the rollback."""
    from drill.purge.earlier import lost_before

    show(
        "not known here: what FAISS held before the rollback. Documents that FAISS has lost since, or holds damaged, "
        "are among these too, and the target may have the last good copies: see that FAISS is whole first"
    )
    if lost := lost_before(drill.work_dir, drill.record.env_id):
        show(f"seen by a drill: {lost}")


def _run(arguments: argparse.Namespace, drill: Drill, ticker: "Ticker") -> Result:
    from drill.purge.dual_write import prove_dual_write_off
    from drill.purge.kept import kept
    from drill.purge.owner import check_mine, owner_of
    from drill.purge.plan_file import check_planned, find_plan
    from drill.steps.purge import new_purge

    known = sorted(kept(arguments.artifacts_dir), key=lambda found: found.env_id == drill.record.env_id)
    plan = find_plan((found.folder for found in known), arguments.plan)
    with closing(drill.open_target()) as target:
        check_mine(plan.folder, owner_of(drill, target), "plan")
    drill.gates.window()
    prove_dual_write_off(drill)
    purge = new_purge(drill)
    report = purge.run(approve=lambda now: check_planned(plan, now, purge.settings))
    ticker.close()
    _ended(drill, str(report.status), purged=report.purged, left=report.left, plan=plan.digest)
    return _show_report(report, drill, _run_line(arguments, plan.digest))


def _show_report(report: "PurgeReport", drill: Drill, again: str) -> Result:
    from drill.purge.advice import after_deletes

    show(f"{report.status}: {report.reason}")
    if report.purged:
        show(f"quarantine: {drill.work_dir / 'quarantine'}; to undo: purge undo {drill.record.drill_id}")
    if advice := after_deletes(drill.config.target.kind, report.purged):
        show(f"next: {advice}")
    if report.deferred:
        show(f"to go on: {again}")
    return _result(report)


def _result(report: "PurgeReport") -> Result:
    from drill.purge.model import PurgeStatus

    good = Result.INCONCLUSIVE if report.unjudged else Result.SUCCESS
    return {
        PurgeStatus.NOTHING_TO_PURGE: good,
        PurgeStatus.PURGED: good,
        PurgeStatus.DEFERRED: Result.INCONCLUSIVE,
        PurgeStatus.COULD_NOT_COMPARE: Result.INCONCLUSIVE,
        PurgeStatus.REFUSED: Result.REFUSED,
        PurgeStatus.INCOMPLETE: Result.FAILURE,
    }[report.status]


def _undo(arguments: argparse.Namespace, drill: Drill, ticker: "Ticker") -> Result:
    from drill.purge import undo
    from drill.purge.kept import kept
    from drill.purge.owner import check_mine, owner_of

    found = next((one for one in kept(arguments.artifacts_dir) if one.folder.name == arguments.drill_id), None)
    if found is None:
        raise UsageError(f"no drill or purge {arguments.drill_id!r}; `python -m drill purge status` lists them")
    if not found.quarantine.is_dir():
        raise UsageError(f"{arguments.drill_id} deleted nothing; `python -m drill purge status` lists what did")
    with closing(drill.open_target()) as target:
        check_mine(found.quarantine, owner_of(drill, target), "quarantine", moved=arguments.moved)
        report = undo(found.quarantine, target, ticker, drill.gates.documents)
    ticker.close()
    _ended(
        drill, "undone" if report.complete else "incomplete", purged=0, left=report.failed, undone=arguments.drill_id
    )
    show(
        f"{report.restored} documents are on the target as they were, {report.kept} have another content now and were "
        f"left alone, {report.failed} are not there"
    )
    return Result.SUCCESS if report.complete else Result.FAILURE


def _status(arguments: argparse.Namespace) -> int:
    from drill.purge.status import lines

    for line in lines(arguments.artifacts_dir):
        show(line)
    return 0


def _ended(drill: Drill, status: str, **facts: str | int | None) -> None:
    from drill.purge.kept import PURGE_END

    drill.events.event(PURGE_END, status=status, **facts)


def _say(ticker: "Ticker", result: Result, text: str) -> Result:
    ticker.close()
    show(f"{result}: {text}")
    return result


def _run_line(arguments: argparse.Namespace, digest: str) -> str:
    import shlex

    where = ["--env-file", str(arguments.env_file)]
    where += ["--drill-config", str(arguments.drill_config)] if arguments.drill_config else []
    where += ["--artifacts-dir", str(arguments.artifacts_dir)] if arguments.artifacts_dir != Path("artifacts") else []
    return shlex.join(["python", "-m", "drill", "purge", "run", "--plan", _short(digest), *where])


def _short(digest: str) -> str:
    from drill.purge.plan_file import SHOWN_DIGITS

    return digest[:SHOWN_DIGITS]

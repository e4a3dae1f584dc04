"""Before anything is changed: can the rollback be done, and is there something to fall back to."""

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from drill.before import still_down
from drill.checks import endpoints
from drill.checks.faiss_kept import hold, remember
from drill.checks.heard import HEAL, hear
from drill.checks.silence import short
from drill.checks.unmeasured import said
from drill.checks.workers import partly_counted, several_workers
from drill.context import Drill
from drill.errors import NoFallback, WindowClosed
from drill.metrics.snapshot import START_TIME, Snapshot
from drill.primary import IndexFacts
from drill.record import Evidence, Scalar
from drill.service import Health
from drill.unfinished import find_unfinished
from drill.verdict import Verdict
from drill.words import count

NEEDED = (
    "retrieval_requests_total",
    "retrieval_errors_total",
    "retrieval_latency_seconds",
    "retrieval_dual_write_errors_total",
    "retrieval_dual_write_skipped_total",
    "retrieval_dual_write_outbox_size",
    "retrieval_shadow_agreement_at_5",
    "retrieval_shadow_ndcg_at_10",
    "retrieval_shadow_latency_seconds",
    "retrieval_shadow_dropped_total",
    START_TIME,
)
"""The families that the checks of this drill judge; missing ones make silence meaningless."""
WORKER_READS = 5
"""Readings on new connections that must agree on one process (METRICS.md, number 14)."""
RESTART_S = 20.0
"""How long a service that a killed drill was restarting may take to come back, at most."""
STEADY_S = 3.0
"""How long all instances must be healthy for that restart to be over."""
POLL_S = 0.2
_ALONE = "; no other drill runs on this env file"


def env_file(drill: Drill) -> Evidence:
    """Show the plan: which of the three flags change, and that they can be changed safely."""
    plan, problem = drill.plan, drill.env_file.writable_problem
    drill.hold_plan()
    detail: dict[str, Scalar] = {change.key: change.line().partition(": ")[2] for change in plan.changes}
    # With --apply the flags do not wait for the warnings: `drill.finish` adds them.
    warnings = () if drill.apply and not plan.unchanged else plan.warnings
    detail |= {f"warning {number}": text for number, text in enumerate(warnings, 1)}
    if problem:
        return Evidence(Verdict.FAIL, f"--apply could not write the env file: {problem}", detail=detail)
    if not drill.apply:
        if found := _obstacles(drill):
            return Evidence(Verdict.FAIL, f"--apply could not be carried out: {'; '.join(found)}", detail=detail)
        detail["rights, space and reload command for --apply"] = "looked at"
    if plan.unchanged:
        return Evidence(Verdict.PASS, "nothing to change: all three flags are rolled back already", detail=detail)
    changes = ", ".join(change.line() for change in plan.changes)
    note = f" (warnings: {len(warnings)})" if warnings else ""
    return Evidence(Verdict.PASS, changes + note, detail=detail)


def _obstacles(drill: Drill) -> list[str]:
    """Return what a later ``--apply`` would fail at; not asked by ``--apply`` itself, which finds out by doing."""
    from drill.checks.permissions import Needs, obstacles

    command = drill.config.service.reload_command
    found = obstacles(Needs(drill.env_file.path, drill.journal.parent, drill.reports_dir, command))
    lost = drill.events.degraded
    return found + [f"the drill's events could not be written ({lost})"] * bool(lost)


def window(drill: Drill) -> Evidence:
    """Check that the firing window is open, and report earlier drills that were killed.

    In an incident a rollback does not wait for a window.
    """
    try:
        evidence = drill.gates.window()
    except WindowClosed as closed:
        if drill.apply:
            raise
        evidence = Evidence(Verdict.FAIL, f"--apply would be refused: {closed}")
    else:
        if drill.apply:
            drill.env_file.hold()
        evidence = replace(evidence, reason=f"{evidence.reason}{_ALONE}")
    killed = [unfinished.drill_id for unfinished in find_unfinished(drill.journal.parent)]
    if not killed:
        return evidence
    reason = f"{evidence.reason}; killed earlier, entered as interrupted by this run: {', '.join(killed)}"
    return replace(evidence, reason=reason, detail={"unfinished drills": len(killed)})


def faiss(drill: Drill) -> Evidence:
    """Check that there is a FAISS index to fall back to, for every tenant.

    Raises `NoFallback` if one is missing, empty or damaged, for tenants that somebody named for the drill.
    """
    name = drill.config.taken.get("[service] tenants")
    drill.gates.fallback = None
    try:
        evidence = _faiss(drill)
    except NoFallback as problem:
        if name is None or (Path(drill.config.primary.path) / drill.config.service.tenants[0]).is_dir():
            raise
        reason = f"{problem}; the tenant is {name} of the env file: set [service] tenants"
        evidence = Evidence(Verdict.INCONCLUSIVE, reason)
    drill.gates.fallback = evidence
    return evidence


def _faiss(drill: Drill) -> Evidence:
    if drill.primary is None:
        return Evidence(Verdict.INCONCLUSIVE, drill.no_primary)
    drill.faiss_before = remember(drill.primary, drill.config.service.tenants)
    drill.faiss_held = hold(drill.primary, drill.config.service.tenants)
    facts = [look.facts for look in drill.faiss_before.values()]
    if not any(fact.dimension for fact in facts):
        listed = sum(fact.documents for fact in facts)
        reason = (
            f"{count(listed, 'document')} in the manifest; whether a FAISS index holds them cannot be seen from here"
        )
        return Evidence(Verdict.INCONCLUSIVE, reason, value=listed, op=">=", threshold=1, unit=" documents")
    detail: dict[str, Scalar] = {}
    for fact in facts:
        detail[f"{fact.tenant}: vectors"] = fact.vectors
        detail[f"{fact.tenant}: dimension"] = fact.dimension
        detail[f"{fact.tenant}: age s"] = round(fact.age_s, 1)
    dimensions = {fact.dimension for fact in facts}
    total = sum(fact.vectors for fact in facts)
    if len(dimensions) > 1:
        return Evidence(Verdict.FAIL, f"indexes of different dimensions {sorted(dimensions)}", detail=detail)
    held = f"{count(len(facts), 'tenant')}, {count(total, 'vector')} = documents"
    reason = f"{held}, dimension {dimensions.pop()}{_oddities(facts)}"
    if unchecked := [f"{fact.tenant}: {fact.unchecked}" for fact in facts if fact.unchecked]:
        return Evidence(Verdict.INCONCLUSIVE, f"{reason}; not looked at: {'; '.join(unchecked)}", detail=detail)
    return Evidence(Verdict.PASS, reason, value=total, op=">=", threshold=1, unit=" documents", detail=detail)


def _oddities(facts: Sequence[IndexFacts]) -> str:
    """Say what is odd about the indexes, and no reason to hold a rollback up."""
    found = [
        f"warning: {count(fact.duplicate_ids, 'document')} of {fact.tenant} "
        f"{'has' if fact.duplicate_ids == 1 else 'have'} the id of another one: FAISS can be fallen back to, the purge "
        "waits until every id is there once"
        for fact in facts
        if fact.duplicate_ids
    ]
    return "".join(f"; {text}" for text in found)


def service(drill: Drill) -> Evidence:
    """Check that every instance is healthy and answers at the configured endpoints."""
    evidence = _service(drill)
    unset = _no_token(drill, "[service] auth_token_env", drill.config.service.auth_token_env)
    if not unset:
        return evidence
    told = evidence.reason if unset in evidence.reason else f"{evidence.reason}; {unset}"
    return replace(evidence, reason=told, detail={**evidence.detail, "token": unset})


def _service(drill: Drill) -> Evidence:
    settings = drill.config.service
    _let_a_restart_end(drill)
    found = drill.service.health()
    drill.look.note(found)
    heard = hear(drill, found, _down(drill, found))
    detail, problems, mendable = heard.detail, heard.problems, heard.mendable
    looked = endpoints.look(drill, [name for name in drill.service.instances if name not in heard.sick])
    problems += dict.fromkeys(looked.problems.values())
    value = len(drill.service.instances) - len(heard.sick | looked.problems.keys())
    unset = _no_token(drill, "[service] auth_token_env", settings.auth_token_env)
    problems += [unset] * bool(unset and not drill.apply)
    if problems:
        reason = "; ".join([*problems, *mendable])
        return Evidence(Verdict.FAIL, reason, value, "==", len(drill.service.instances), detail=detail)
    if mendable:
        reason = f"not known before --apply: {'; '.join(mendable)}: {HEAL}"
        return Evidence(Verdict.INCONCLUSIVE, reason, value, "==", len(drill.service.instances), detail=detail)
    if unasked := said([*heard.apart, *looked.apart]):
        return Evidence(Verdict.INCONCLUSIVE, unasked, detail=detail)
    gave = f"no answer yet at {', '.join(looked.silent)}" if looked.silent else "endpoints present"
    reason = f"{count(value, 'instance')} healthy, {gave}"
    if as_before := [health for health in found if not health.ok]:
        sick_before = "; ".join(f"{short(one.instance)}{settings.health_path}: {one.reply.seen()}" for one in as_before)
        reason = (
            f"{count(value, 'instance')} up, {gave}; {sick_before}, as before the rollback, and searches are answered"
        )
    return Evidence(Verdict.PASS, reason, value, "==", value, unit=" instances", detail=detail)


def _down(drill: Drill, found: Sequence[Health]) -> list[Health]:
    """Return who is down; after the rollback, searches decide where health was bad before it too."""
    if drill.settled is None or not drill.rolled_back:
        return [health for health in found if health.down]
    return still_down(drill, found, drill.settled.ended)


def _no_token(drill: Drill, key: str, name: str) -> str:
    """Say that a token which is configured cannot be sent: a dry-run is red then, flags do not wait for a token."""
    from drill.token import missing

    return missing(key, name, drill.secret(name))


def _let_a_restart_end(drill: Drill) -> None:
    """Wait for the restart in which an earlier drill was killed: an instance that is coming back is not down.

    Where instances are restarted one by one, all of them are healthy for a moment in between.
    """
    killed = find_unfinished(drill.journal.parent) if drill.apply else []
    if not any(one.restarting and one.env_id == drill.record.env_id for one in killed):
        return
    healthy_since = time.monotonic()
    deadline = healthy_since + RESTART_S
    while (now := time.monotonic()) < deadline:
        if any(health.down for health in drill.service.health()):
            healthy_since = time.monotonic()
        elif now - healthy_since >= STEADY_S:
            return
        drill.tick("waiting for the restart that an earlier drill began")
        time.sleep(POLL_S)


def metrics(drill: Drill) -> Evidence:
    """Check that the metrics this drill judges by exist on every instance, and are those of one living process."""
    evidence = _metrics(drill)
    unusable = drill.config.missing("[metrics] prometheus_url", "")
    note = f"; {unusable}, until then each instance's own page is read" if unusable else ""
    return replace(evidence, reason=f"{evidence.reason}{note}")


def _metrics(drill: Drill) -> Evidence:
    readings = drill.source.recent(drill.service.instances, WORKER_READS)
    last = readings[-1]
    drill.look.keep(last)
    if not drill.judges:
        drill.before = last
    detail: dict[str, Scalar] = {f"{short(name)} series": len(seen.samples) for name, seen in last.snapshots.items()}
    detail |= last.facts
    if last.behind_one_address:
        detail["behind one address"] = last.behind_one_address
    token = drill.config.metrics.bearer_token_env if drill.config.metrics.prometheus_url else ""
    if not drill.apply and (unset := _no_token(drill, "[metrics] bearer_token_env", token)):
        return Evidence(Verdict.FAIL, unset, detail=detail)
    if last.unread:
        return Evidence(Verdict.ERROR, "; ".join(dict.fromkeys(last.unread.values())), detail=detail)
    for name, seen in last.snapshots.items():
        needed = [family for family in NEEDED if family != START_TIME or not seen.workers]
        missing = [family for family in needed if not seen.has(family)]
        if missing:
            reason = f"{short(name)} does not expose {', '.join(missing)}; {_why_missing(seen, missing)}"
            return Evidence(Verdict.INCONCLUSIVE, reason, len(NEEDED) - len(missing), "==", len(NEEDED), detail=detail)
    if several := several_workers(readings, restarts=drill.source.waits) or partly_counted(drill):
        return Evidence(Verdict.INCONCLUSIVE, f"{several}: metrics are per worker and cannot be judged", detail=detail)
    if last.doubts:
        return Evidence(Verdict.INCONCLUSIVE, "; ".join(dict.fromkeys(last.doubts.values())), detail=detail)
    how = "from Prometheus" if drill.source.waits else "read directly"
    reason = f"{len(NEEDED)} families on {count(len(last.snapshots), 'instance')}, {how}"
    return Evidence(Verdict.PASS, reason, len(NEEDED), "==", len(NEEDED), unit=" families", detail=detail)


def _why_missing(seen: Snapshot, missing: Sequence[str]) -> str:
    if all(kind == "unknown" for kind in seen.families.values()):
        return "nothing there has a # TYPE, and without TYPE or HELP a counter without samples looks like a missing one"
    told = ["see [metrics] names if they are called otherwise"]
    if seen.workers:
        told.append("on a page of several workers a family shows with its first value: touch its labels at the start")
    if START_TIME in missing:
        told.append(f"where several workers share the page, they have no {START_TIME}: set [service] worker_id")
    return "; ".join(told)

"""Whether counters that stand still can speak at all: the positive control of silence."""

from collections.abc import Mapping

from drill.checks.flags import SHADOW, dual_writes_counted
from drill.context import Drill
from drill.journal.read import entry_of
from drill.journal.show import last_lines
from drill.metrics.snapshot import Snapshot
from drill.observation import Reading, Window
from drill.proof.flags import Flag
from drill.proof.ranks import Rank
from drill.verdict import Verdict

JOURNAL_LINES = 1000
REQUESTS = "retrieval_requests_total"


def shadow_counters_speak(drill: Drill, window: Window) -> frozenset[str]:
    """Return the instances, by their names in ``window``, whose shadow counters would move if shadow-read were on.

    A service that counts no shadow reads at all is silent, whatever the flag. So one of these must hold:

    - they were seen to move, in the process before the reload or in this one;
    - those of another instance were, or an earlier drill of the same env saw them, or every family
      has a sample, so that its number is known and not only its name. That is not enough where the process before the
      reload served ``min_requests`` with shadow-read on and counted none: it never counts.
    """
    earlier = _seen_earlier(drill)
    before = drill.before.snapshots if drill.before else {}
    return frozenset(
        name
        for name in window.deltas
        if _shadow_reads(window.first.snapshots[name])
        or _speaks(drill, before, name, window.last.snapshots[name], earlier=earlier)
    )


def would_speak(drill: Drill, before: Reading) -> bool:
    """Whether, as far as is known before a rollback, the counters of every instance would speak after it."""
    earlier, pages = _seen_earlier(drill), before.snapshots
    return all(_speaks(drill, pages, name, page, earlier=earlier) for name, page in pages.items())


def writer_at_work(drill: Drill, window: Window) -> bool:
    """Whether some instance's dual-write was seen to try: then one that is on is no writer that does nothing at all."""
    before = drill.before.snapshots if drill.before else {}
    return any(dual_writes_counted(one) > 0 for one in (*before.values(), *window.first.snapshots.values()))


def _speaks(drill: Drill, before: Mapping[str, Snapshot], name: str, last: Snapshot, *, earlier: bool) -> bool:
    old = [before[name]] if name in before else list(before.values())
    if any(_shadow_reads(one) for one in old):
        return True
    was_on = any(change.key == Flag.SHADOW_READ.key for change in drill.plan.changes)
    if was_on and any(one.total(REQUESTS) >= drill.config.slo.min_requests for one in old):
        return False
    if earlier or any(_shadow_reads(one) for one in before.values()):
        return True
    return all(_has_sample(last, family) for family in SHADOW)


def _shadow_reads(snapshot: Snapshot) -> float:
    return sum(
        value
        for (name, _), value in snapshot.samples.items()
        if name.startswith("retrieval_shadow_") and name.endswith(("_total", "_count", "_bucket"))
    )


def _has_sample(snapshot: Snapshot, family: str) -> bool:
    """Whether something of this family counts: a gauge may stand still while it is at work."""
    names = {f"{family.removesuffix('_total')}{end}" for end in ("_count", "_total", "_bucket")}
    return any(name in names for name, _ in snapshot.samples)


def _seen_earlier(drill: Drill) -> bool:
    """Whether an earlier drill of this env has seen the counters move: it proved the flag by them, or re-opened."""
    try:
        lines = last_lines(drill.journal, JOURNAL_LINES)
    except OSError:
        return False
    mine = drill.record.env_id
    read = (entry for line in lines if (entry := entry_of(line)) is not None)
    entries = [entry for entry in read if mine and entry.get("env_id") == mine]
    return any(
        (row.get("id") == "disable_shadow_read" and row.get("proof") == Rank.EFFECT)
        or (row.get("id") == "reopen.shadow_read" and row.get("verdict") == Verdict.PASS)
        for entry in entries
        for row in (*entry["steps"], *entry["checks"])
    )

"""In a dry-run: is this the env file that the processes obey? Judged only by traffic that they have counted.

A flag that the file has rolled back already, and that is seen to be on, will be seen to be on after ``--apply``, too.
So will a backend that the file does not name. What has a good reason is no contradiction: a process that is older than
the file's last change and was not restarted since, a fallback from a sick target to FAISS, a target that is given to
some tenants or to a share of the traffic only.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

from drill.checks.flags import judge_dual_write, judge_shadow
from drill.checks.no_probes import probes_of
from drill.checks.silence import short
from drill.checks.unknown_names import is_it_faiss, only_backend_of
from drill.context import Drill
from drill.metrics.snapshot import START_TIME, Delta, Snapshot
from drill.observation import Reading, Window, open_window
from drill.open_rows import FORETOLD
from drill.proof.stead import REQUESTS, elsewhere, never_asked, some_only, target_doubt
from drill.record import Evidence
from drill.verdict import Verdict

ASKED = 10
"""Searches that every instance is asked where something contradicts the file, to see whether it does so now."""
CLOCK_S = 2.0
"""How much earlier than it was a process may say that it started (METRICS.md: the boot time is in whole seconds)."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What contradicts the file on some instances, and why it may not be what it looks like."""

    text: str
    instances: frozenset[str]
    doubt: str = ""


def disobeyed(drill: Drill, step: str, in_file: str, *, pending: bool) -> Evidence | None:
    """Return what the processes do that the file's flag of ``step`` does not say; ``None`` if nothing is seen.

    ``in_file`` says what stands in the file, ``pending`` whether ``--apply`` would change it.
    """
    looks = {"disable_dual_write": _dual_write, "disable_shadow_read": _shadow_read, "force_faiss": _served_elsewhere}
    look = looks[step] if not pending else _never_asked if step == "force_faiss" else None
    if look is None:
        return None
    reading = drill.glance_at_metrics()
    seen = look(drill, reading)
    if seen is None:
        return None
    if doubt := seen.doubt or _older(drill, reading, seen.instances):
        return Evidence(Verdict.INCONCLUSIVE, f"{in_file}, but {seen.text}; {doubt}")
    return Evidence(Verdict.FAIL, f"{FORETOLD}: {in_file}, but {seen.text}: {_ADVICE}")


_ADVICE = "no process obeys this env file; find out which one it does obey (unit file, container, process environment)"


def _dual_write(drill: Drill, reading: Reading) -> Seen | None:
    """Look at what was written since the boot of processes that have read the file as it is."""
    changed = _changed(drill)
    young = {name: one for name, one in reading.snapshots.items() if not _began_before(one, changed)}
    evidence = judge_dual_write(drill, _window(drill, _zero(young), _of(young, reading)))
    return Seen(evidence.reason, frozenset()) if evidence.verdict is Verdict.FAIL else None


def _shadow_read(drill: Drill, reading: Reading) -> Seen | None:
    window = _window(drill, _zero(reading.snapshots), reading)
    if judge_shadow(drill, window).verdict is not Verdict.FAIL:
        return None
    first, last = _now(drill)
    evidence = judge_shadow(drill, _window(drill, first, last))
    return Seen(evidence.reason, frozenset(last.snapshots)) if evidence.verdict is Verdict.FAIL else None


def _served_elsewhere(drill: Drill, reading: Reading) -> Seen | None:
    """Look for instances that answer from the target though the file says FAISS."""
    if not any(map(elsewhere, reading.snapshots.values())):
        return None
    first, last = _now(drill)
    deltas = {name: Delta(one, last.snapshots[name]) for name, one in first.snapshots.items() if name in last.snapshots}
    moved = {
        name: growth
        for name, delta in deltas.items()
        if not delta.restarted and (growth := _grown_elsewhere(delta)) > delta.growth(REQUESTS, backend="faiss")
    }
    named = ", ".join(f"{short(name)} {growth:g}" for name, growth in moved.items())
    text = f"requests are answered by another backend than FAISS ({named} just now)"
    name = only_backend_of(drill, last.snapshots.values())
    return Seen(text, frozenset(moved), is_it_faiss(name) if name else "") if moved else None


def _never_asked(drill: Drill, reading: Reading) -> Seen | None:
    """Look whether no instance has ever asked the backend that the file names."""
    named = next((change.before for change in drill.plan.changes if change.key == "RETRIEVAL_BACKEND"), None)
    if not named or "faiss" in named.lower() or any(map(elsewhere, reading.snapshots.values())):
        return None
    if some_only(drill):
        return None
    _, last = _now(drill)
    pages = last.snapshots
    served = never_asked(pages)
    if last.unread or not served:
        return None
    text = f"FAISS has answered every request since the boot ({sum(served.values()):g} of them)"
    return Seen(text, frozenset(pages), target_doubt(drill))


def _grown_elsewhere(delta: Delta) -> float:
    return sum(value for labels, value in delta.moved(REQUESTS) if labels.get("backend", "faiss") != "faiss")


def _older(drill: Drill, reading: Reading, instances: frozenset[str]) -> str:
    """Say that every contradiction is of a process which has not read the file as it is; empty if not so."""
    pages = [one for name, one in reading.snapshots.items() if name in instances]
    if pages and all(_is_older(drill, one) for one in pages):
        return "the processes are older than the file's last change: whether they obey it shows only after a reload"
    return ""


def _is_older(drill: Drill, page: Snapshot) -> bool:
    """Whether a process has not taken the file as it is: by its age, or where it re-reads by itself, by the file's."""
    if not drill.config.service.reload_command:
        return time.time() - _changed(drill) < drill.config.service.reload_timeout_s
    return _began_before(page, _changed(drill))


def _began_before(page: Snapshot, moment: float) -> bool:
    """Whether a process is older than that, or does not tell: then nothing shows that it has read the file as it is."""
    return page.start_time is None or page.start_time < moment


def _changed(drill: Drill) -> float:
    """Return when the env file changed last, its attributes included; seconds since the epoch, by a generous clock."""
    status = drill.env_file.path.stat()
    return max(status.st_mtime, status.st_ctime) - CLOCK_S


def _now(drill: Drill) -> tuple[Reading, Reading]:
    """Return two readings with some searches of every instance in between."""
    source = drill.direct if drill.source.waits else drill.source
    instances = drill.service.instances
    first = source.read(instances)
    pairs = drill.queries
    for number in range(ASKED):
        tenant, query = pairs[number % len(pairs)]
        replies = [drill.service.search(url, query, tenant, drill.config.smoke.top_k) for url in instances]
        if any(reply.dead for reply in replies):
            break
    return first, source.read(instances)


def _zero(pages: Mapping[str, Snapshot]) -> Reading:
    """Return a reading of the same processes at their boot."""
    started = {
        name: replace(one, samples={key: value for key, value in one.samples.items() if key[0] == START_TIME})
        for name, one in pages.items()
    }
    return Reading(0.0, 0.0, started)


def _of(pages: Mapping[str, Snapshot], reading: Reading) -> Reading:
    return Reading(reading.began, reading.ended, pages)


def _window(drill: Drill, first: Reading, last: Reading) -> Window:
    return open_window(first, last, probes_of(drill), ())

"""Whether dual-write is proven off: by the env file, by the drill that turned it off, and by the service now."""

import time
from collections.abc import Mapping
from typing import Any

from drill.checks.flags import DUAL_WRITE
from drill.checks.silence import short
from drill.checks.unknown_names import flag_says_off, unknown_skips
from drill.context import Drill
from drill.errors import Refused
from drill.journal.read import entry_of
from drill.journal.show import last_lines
from drill.metrics.snapshot import Delta
from drill.observation import Reading
from drill.proof.flags import Flag
from drill.proof.ranks import PURGES_ON, Rank
from drill.proof.spoken import ask
from drill.verdict import Verdict

FLAG = "FF_RETRIEVAL_DUAL_WRITE"
STEP = "disable_dual_write"
WATCH_S = 3.0
"""How long the service's dual-write counters are watched."""
JOURNAL_LINES = 1000
_HOW = {
    str(Rank.STARTED): "only by the environment that a process was started with, which it may read otherwise",
    str(Rank.RESTART): "by a restart only",
}


class DualWriteNotProvenOff(Refused):
    """What is deleted could be written again."""


def prove_dual_write_off(drill: Drill) -> None:
    """Raise DualWriteNotProvenOff unless all three say so (DESIGN.md section 10). Reads only."""
    drill.gates.proven_off = False
    if any(change.key == FLAG for change in drill.plan.changes):
        raise _not_proven(f"{FLAG} is not OFF in {drill.record.env_file}")
    _check_journal(drill)
    _check_service(drill)
    drill.gates.proven_off = True


def _check_journal(drill: Drill) -> None:
    """Find the last drill of this env that looked at dual-write, and what it found."""
    try:
        lines = last_lines(drill.journal, JOURNAL_LINES)
    except OSError:
        lines = []
    name, mine = drill.record.env_file, drill.record.env_id
    read = [entry for line in lines if (entry := entry_of(line)) is not None]
    entries = [entry for entry in read if mine and entry.get("env_id") == mine]
    looked = [(entry, step) for entry in entries for step in entry["steps"] if _looked(step)]
    if not looked:
        raise _not_proven(f"no drill of {name} in the journal has proven it as this environment ({mine or 'unknown'})")
    entry, step = looked[-1]
    if step.get("verdict") != Verdict.PASS or entry.get("restored"):
        raise _not_proven(f"drill {entry['drill_id']} found {STEP} {step.get('verdict')}")
    if step.get("proof") not in PURGES_ON:
        seen = _HOW.get(str(step.get("proof")), "in a way that its journal line does not tell")
        raise _not_proven(f"drill {entry['drill_id']} has shown {STEP} {seen}")


def _looked(step: Mapping[str, Any]) -> bool:
    """Whether a drill has looked: a rehearsal that would still change the flag says nothing of the service."""
    return step.get("id") == STEP and step.get("outcome") != "would_change" and step.get("verdict") != Verdict.NOT_RUN


def _check_service(drill: Drill) -> None:
    """Watch every instance's dual-write counters, which must be readable and must not move."""
    if talking := [short(url) for url, one in ask(drill).items() if one.rolled_back.get(Flag.DUAL_WRITE) is False]:
        raise _not_proven(f"{', '.join(talking)} says itself that it is on")
    first = drill.read_metrics()
    _check_reading(first)
    time.sleep(WATCH_S)
    last = drill.read_metrics()
    _check_reading(last)
    if strangers := first.snapshots.keys() ^ last.snapshots.keys():
        raise _not_proven(f"{', '.join(sorted(strangers))} was met only once")
    deltas = {name: Delta(first.snapshots[name], seen) for name, seen in last.snapshots.items()}
    if moved := sorted({name for delta in deltas.values() for name in _moved(delta)}):
        told = unknown_skips(deltas).text
        raise _not_proven(f"{', '.join(moved)} moved within {WATCH_S:g} s" + (f" ({told})" if told else ""))


def _check_reading(reading: Reading) -> None:
    """Raise DualWriteNotProvenOff unless silence in this reading would mean something."""
    if problems := [*reading.unread.values(), *reading.doubts.values()]:
        raise _not_proven("; ".join(dict.fromkeys(problems)))
    if not reading.snapshots:
        raise _not_proven("no instance could be read")
    for name, seen in reading.snapshots.items():
        if missing := [family for family in DUAL_WRITE if not seen.has(family)]:
            raise _not_proven(f"{short(name)} does not expose {', '.join(missing)}")


def _moved(delta: Delta) -> list[str]:
    names = {
        name for name, _ in delta.after.samples if name.startswith("retrieval_dual_write_") and name.endswith("_total")
    }
    return [name for name in names for labels, value in delta.moved(name) if value and not _off(name, labels)]


def _off(name: str, labels: Mapping[str, str]) -> bool:
    """Whether the counter says that a write was skipped because the flag is off: that is the very proof."""
    return name == "retrieval_dual_write_skipped_total" and flag_says_off(labels)


def _not_proven(seen: str) -> DualWriteNotProvenOff:
    return DualWriteNotProvenOff(
        f"dual-write is not proven off: {seen}; expected FAISS-only, run the drill with --apply first"
    )

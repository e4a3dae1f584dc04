"""Values of labels that nobody here knows: what they may mean, and which key of the configuration says what they mean.

A service names its backends and the reasons of its skipped writes as it likes. An unknown name is no proof of anything
bad, and none that all is well.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from drill.checks.silence import short
from drill.config_defaults import TARGET, kind_called
from drill.context import Drill
from drill.metrics.snapshot import Delta, Snapshot
from drill.observation import Window
from drill.proof.flags import Flag
from drill.proof.ranks import Rank

REQUESTS, SKIPPED = "retrieval_requests_total", "retrieval_dual_write_skipped_total"
OFF_REASONS = re.compile(
    r"flag|flag_off|((feature|flag|feature_flag|ff|toggle|config|dual_?write|writes?)_)*(off|disabled|not_enabled)"
)
"""Values of ``reason`` which say that a dual-write was skipped because the flag is off ("backoff" does not)."""
CIRCUIT = "circuit_open"
LONGEST = 60
"""Characters of a name that are shown."""
_HELD_BACK = re.compile(
    r"circuit|breaker|back_?off|retr[yi]|throttl|time_?out|queue|full|unavail|unreach|overload|limit|error|fail|auto|open"
)
"""Words of a ``reason`` which say that a write was wanted and held back, as it is while the flag is on."""


@dataclass(frozen=True, slots=True)
class Skips:
    """Skipped dual-writes under reasons that are not known, in words; empty if there were none."""

    text: str = ""
    held_back: bool = False
    """Whether a reason sounds as if the flag were on: then what did not reach the target is no proof that it is off."""

    def harmless(self, proof: str) -> bool:
        """Whether they are a mere remark: dual-write is seen to be off by what the service does."""
        return not self.text or (proof == Rank.EFFECT and not self.held_back)


def flag_says_off(labels: Mapping[str, str]) -> bool:
    """Whether a dual-write was skipped because the flag is off."""
    return bool(OFF_REASONS.fullmatch(_plain(labels)))


def circuit_is_open(labels: Mapping[str, str]) -> bool:
    """Whether a dual-write was skipped because the circuit is open: then the flag is on."""
    return _plain(labels) == CIRCUIT


def _plain(labels: Mapping[str, str]) -> str:
    return re.sub(r"[-. ]", "_", labels.get("reason", "").lower())


def unknown_skips(deltas: Mapping[str, Delta]) -> Skips:
    """Return which dual-writes were skipped for a reason that is not known."""
    found = {
        f'{short(name)} skipped{{reason="{labels.get("reason", "")}"}} +{value:g}': _plain(labels)
        for name, delta in deltas.items()
        for labels, value in delta.moved(SKIPPED)
        if not value <= 0 and not flag_says_off(labels) and not circuit_is_open(labels)
    }
    if not found:
        return Skips()
    text = (
        f"{', '.join(sorted(found))}: the drill does not know this reason; name it in [metrics.values] flag_off if it "
        "says that the flag is off, in circuit_open if it says that the circuit is open"
    )
    return Skips(text, any(_HELD_BACK.search(reason) for reason in found.values()))


def only_backend(drill: Drill, window: Window) -> str:
    """Return the one unknown backend that has answered everything, where that may be FAISS by the service's own name.

    It may be where the file said FAISS before the drill, and the processes were answering by this backend alone; or
    where other backends answered before, and none does now. The name of a target is no unknown one, and beside FAISS
    another backend is another backend.
    """
    deltas = window.since_boot.values()
    found = {labels.get("backend", "") for delta in deltas for labels, value in delta.moved(REQUESTS) if value > 0}
    if len(found) != 1 or not may_be_faiss(drill, name := found.pop()):
        return ""
    pending = any(change.key == Flag.BACKEND.key for change in drill.plan.changes)
    pages = drill.before.snapshots if pending and drill.before else {} if pending else window.first.snapshots
    before = {name for page in pages.values() for name in backends(page)}
    return name if before and (before != {name} if pending else before == {name}) else ""


def only_backend_of(drill: Drill, pages: Iterable[Snapshot]) -> str:
    """Return the one backend that has answered everything since the boot, if nobody here knows it."""
    found = {name for page in pages for name in backends(page)}
    return name if len(found) == 1 and may_be_faiss(drill, name := found.pop()) else ""


def backends(page: Snapshot) -> set[str]:
    """Return the backends that have answered requests since the boot of a process."""
    return {labels.get("backend", "") for labels, value in page.select(REQUESTS) if value > 0}


def is_it_faiss(name: str) -> str:
    """Say how the drill is told that a backend is FAISS."""
    name = name[:LONGEST]
    return f'the drill does not know the backend "{name}": if it is FAISS, set [metrics.values] faiss = "{name}"'


def may_be_faiss(drill: Drill, name: str) -> bool:
    """Whether a backend has a name that is neither FAISS's nor known to be another one's."""
    written = [change.before or "" for change in drill.plan.changes if change.key == Flag.BACKEND.key]
    others = {drill.config.target.kind, drill.env_values.get(TARGET) or "", *written}
    known = name.lower() in {"faiss", *(other.lower() for other in others)}
    return bool(name) and not known and not kind_called(name)

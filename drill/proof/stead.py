"""Whether FAISS may answer in the target's stead: then a service that keeps its backend looks like one that obeys.

Many services fall back to FAISS while the target is sick, and go back to it when it is well. So that FAISS alone
answers is the flag's effect only where the target would be seen to be asked if the flag were not obeyed.
"""

import re
from collections.abc import Iterator, Mapping

from drill.checks.silence import short
from drill.context import Drill
from drill.errors import CannotMeasure
from drill.metrics.snapshot import Delta, Snapshot
from drill.observation import Window
from drill.proof.environ import environs
from drill.proof.flags import Flag

REQUESTS = "retrieval_requests_total"
LEAST = 20
"""Requests since its boot from which on a process that never asked the target shows that it does not."""
SAY = "let the processes say their flags ([service] flags_path)"
_SOME_ONLY = re.compile(r"CANARY|ALLOW_?LIST|PERCENT|ROLLOUT|SHARE|WEIGHT|SPLIT|COHORT", re.IGNORECASE)
"""Keys of an env file by which a backend is given to a part of the traffic."""
_REASON = re.compile(r"fall_?back|breaker|circuit|degraded|failover", re.IGNORECASE)
"""Metrics, and values of labels, that say why FAISS answers in the target's stead."""
_FELL_BACK = re.compile(r"retrieval_(?!dual_write_|shadow_).*_(?:total|count)")
_AT_WORK = re.compile(r"fall_?back|fail_?over|breaker|circuit", re.IGNORECASE)


def elsewhere(page: Snapshot) -> float:
    """Return how many requests other backends than FAISS have answered since the boot."""
    return sum(value for labels, value in page.select(REQUESTS) if labels.get("backend", "faiss") != "faiss")


def some_only(drill: Drill) -> bool:
    """Whether the env file gives a backend to some tenants or to a share of the traffic only."""
    return any(_SOME_ONLY.search(key) and value for key, value in drill.env_values.items())


def has_reason(page: Snapshot) -> bool:
    """Whether a process has asked another backend, or says that it fell back from one."""
    if elsewhere(page) or _failed_elsewhere(page):
        return True
    return any(
        value > 0 and any(_REASON.search(text) for text in (name, *(text for _, text in labels)))
        for (name, labels), value in page.samples.items()
    )


def never_asked(pages: Mapping[str, Snapshot]) -> dict[str, float]:
    """Return how many requests FAISS had answered of each process, if these were all, and enough to tell; else none."""
    served = {name: page.total(REQUESTS, backend="faiss") for name, page in pages.items()}
    return {} if min(served.values(), default=0) < LEAST or any(map(has_reason, pages.values())) else served


def target_doubt(drill: Drill) -> str:
    """Say why FAISS may be answering in the target's stead though no metric says so; empty if the target is well."""
    try:
        drill.open_target().close()
    except CannotMeasure:
        return "the target cannot be seen to be well, so a silent fallback to FAISS may be the reason"
    return ""


def stands_in(drill: Drill, window: Window) -> dict[str, str]:
    """Return the instances, by their names in ``window`` or their URLs, where FAISS may stand in for the target: why.

    One that counts fallbacks still asks for the target. All, where FAISS had answered everything before the change as
    well. And one whose environment names another backend, which wins over the file in most services, unless the target
    is well and would have answered, or the service has counted what failed there.
    """
    before = drill.before.snapshots if drill.before else {}
    found = {name: text for name, delta in window.since_boot.items() if (text := _at_work(delta))}
    if named := _named_before(drill):
        served = sum(never_asked(before).values())
        text = f"FAISS had answered every request before the change, too ({served:g} of them), though the file said "
        found |= dict.fromkeys(window.deltas, f"{text}{named}") if served else {}
    around = environs(drill, window)
    kept = [url for url, one in around.items() if one.rolled_back.get(Flag.BACKEND) is False]
    if kept and not any(map(_tells, before.values())) and (doubt := target_doubt(drill)):
        found |= dict.fromkeys(kept, doubt)
    return found


def _failed_elsewhere(page: Snapshot) -> float:
    failed = page.select("retrieval_errors_total")
    return sum(value for labels, value in failed if labels.get("backend", "faiss") != "faiss")


def _tells(page: Snapshot) -> bool:
    """Whether a process has counted searches that the target did not answer: then another one would, too."""
    fell = (key for key in page.samples if _FELL_BACK.fullmatch(key[0]) and _names_it(key[0], dict(key[1])))
    return _failed_elsewhere(page) > 0 or any(page.samples[key] > 0 for key in fell)


def _names_it(name: str, labels: Mapping[str, str]) -> bool:
    return any(_AT_WORK.search(text) for text in (name, *labels.values()))


def _named_before(drill: Drill) -> str:
    """Return the backend that the file named before the change, if all traffic was to go there; else nothing."""
    before = next((change.before for change in drill.plan.changes if change.key == Flag.BACKEND.key), None) or ""
    return "" if "faiss" in before.lower() or some_only(drill) else before


def _at_work(delta: Delta) -> str:
    """Name what counts fallbacks of searches since the boot, and by how much it moved."""
    moved = ", ".join(f"{name} +{value:g}" for name, value in _fallbacks(delta) if value > 0)
    return f"{short(delta.after.instance)} {moved}" if moved else ""


def _fallbacks(delta: Delta) -> Iterator[tuple[str, float]]:
    for name in filter(_FELL_BACK.fullmatch, delta.after.by_name):
        for labels, value in delta.moved(name):
            if _names_it(name, labels):
                yield name, value

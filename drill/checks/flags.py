"""What the traffic shows of each flag, per instance: the proof of steps 1, 3 and 4."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace

from drill.checks.silence import judge_silence, short
from drill.checks.unknown_names import circuit_is_open, is_it_faiss, only_backend
from drill.context import Drill
from drill.metrics.gauges import changed_gauges
from drill.metrics.snapshot import Delta, Snapshot
from drill.observation import Window
from drill.proof.flags import Flag
from drill.record import Evidence
from drill.verdict import Verdict
from drill.words import count

DUAL_WRITE = ("retrieval_dual_write_errors_total", "retrieval_dual_write_skipped_total")
SHADOW = (
    "retrieval_shadow_agreement_at_5",
    "retrieval_shadow_ndcg_at_10",
    "retrieval_shadow_latency_seconds",
    "retrieval_shadow_dropped_total",
)


def judge_dual_write(drill: Drill, window: Window) -> Evidence:
    """Judge that no instance tries to write to the target."""
    return judge_silence(window, DUAL_WRITE, lambda delta: _dual_writes(drill, window, delta), what="dual-write")


def _dual_writes(drill: Drill, window: Window, delta: Delta) -> Mapping[str, float]:
    limit = drill.config.slo.max_circuit_open_per_s * max(window.seconds, 1.0)
    skipped = {
        f"skipped{{reason={labels.get('reason', '')}}}": value
        for labels, value in delta.moved("retrieval_dual_write_skipped_total")
        if circuit_is_open(labels) and not value <= limit
    }
    others = {
        name: value
        for name, value in delta.counters("retrieval_dual_write_")
        if name not in {"retrieval_dual_write_skipped_total", "retrieval_dual_write_outbox_dropped_total"}
    }
    return {**others, **skipped}


def dual_writes_counted(snapshot: Snapshot) -> float:
    """Return how often a dual-write is known to have been tried by the process that a snapshot is of."""
    errors, skipped = DUAL_WRITE
    held_back = (value for labels, value in snapshot.select(skipped) if circuit_is_open(labels))
    return snapshot.total(errors) + sum(held_back)


def judge_shadow(_drill: Drill, window: Window) -> Evidence:
    """Judge that every ``retrieval_shadow_*`` counter is flat, and no gauge changes, while requests are served."""
    return judge_silence(window, SHADOW, _shadow_reads, what="shadow-read")


def _shadow_reads(delta: Delta) -> Mapping[str, float]:
    return {**dict(delta.counters("retrieval_shadow_")), **dict(changed_gauges(delta, "retrieval_shadow_", SHADOW))}


def _other_backends(delta: Delta) -> Mapping[str, float]:
    return {
        f"requests{{backend={labels['backend']}}}": value
        for labels, value in delta.moved("retrieval_requests_total")
        if labels.get("backend", "faiss") != "faiss"
    }


def disobeyed(drill: Drill, window: Window, off: Collection[Flag] = tuple(Flag)) -> frozenset[str]:
    """Return the instances that are seen to disobey any of the flags that are ``off``, as after the rollback."""
    moved: dict[Flag, Callable[[Delta], Mapping[str, float]]] = {
        Flag.DUAL_WRITE: lambda delta: _dual_writes(drill, window, delta),
        Flag.SHADOW_READ: _shadow_reads,
        Flag.BACKEND: (lambda _delta: {}) if only_backend(drill, window) else _other_backends,
    }
    return frozenset(
        name
        for name, delta in window.since_boot.items()
        if any(not value <= 0 for flag in off for value in moved[flag](delta).values())
    )


def served_alone(window: Window) -> bool:
    """Whether every instance served requests from FAISS and none from elsewhere, whatever is known of its start."""
    return bool(window.deltas) and all(
        delta.growth("retrieval_requests_total", backend="faiss") > 0
        and all(value <= 0 for value in _other_backends(delta).values())
        for delta in window.deltas.values()
    )


def judge_backend(drill: Drill, window: Window) -> Evidence:
    """Judge that each instance served the probes from FAISS, and nothing from anywhere else."""
    evidence = judge_silence(
        window, ("retrieval_requests_total",), _other_backends, what="requests to other backends than FAISS"
    )
    if evidence.verdict is Verdict.FAIL and (name := only_backend(drill, window)):
        said = f'every request was answered by "{name}" alone; {is_it_faiss(name)}'
        return evidence.judged(Verdict.INCONCLUSIVE, said)
    served = {name: delta.growth("retrieval_requests_total", backend="faiss") for name, delta in window.deltas.items()}
    short_of = [name for name, count in served.items() if count < window.probes[name]]
    if evidence.verdict is Verdict.PASS and short_of:
        seen = ", ".join(f"{short(name)} {served[name]:g} of {window.probes[name]}" for name in short_of)
        return replace(evidence, verdict=Verdict.INCONCLUSIVE, reason=f"FAISS did not count every probe: {seen}")
    detail = {**evidence.detail, **{f"faiss requests {short(name)}": count for name, count in served.items()}}
    if evidence.verdict is Verdict.PASS:
        total = sum(served.values())
        return replace(
            evidence, reason=f"{count(total, 'request')} served by FAISS, none by anything else", detail=detail
        )
    return replace(evidence, detail=detail)

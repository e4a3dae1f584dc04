"""Shadow-read and backend: judged by their counters, and weighed by what those can prove."""

from dataclasses import replace

from drill.checks.flags import judge_backend, judge_shadow
from drill.context import Drill
from drill.observation import Window
from drill.proof.counters import shadow_counters_speak
from drill.proof.flags import Flag
from drill.proof.stead import SAY, stands_in
from drill.proof.weigh import by_url, weigh
from drill.record import Evidence
from drill.verdict import Verdict

STANDS_IN = f"a service that falls back from a sick target to FAISS looks the same until the target is well: {SAY}"


def prove_shadow(drill: Drill, window: Window) -> Evidence:
    """Judge that no read is shadowed; silence of counters that were never seen to move is no effect."""
    evidence = judge_shadow(drill, window)
    effect = by_url(drill, window, shadow_counters_speak(drill, window), every=True)
    return weigh(drill, window, Flag.SHADOW_READ, evidence, effect)


def prove_backend(drill: Drill, window: Window) -> Evidence:
    """Judge that every instance answers from FAISS alone: its requests are counted, and are the effect itself.

    They are not where FAISS may stand in for a target that is sick.
    """
    evidence = judge_backend(drill, window)
    doubts = stands_in(drill, window) if evidence.verdict is Verdict.PASS else {}
    effect = frozenset(drill.service.instances) - doubts.keys() - by_url(drill, window, doubts, every=False)
    weighed = weigh(drill, window, Flag.BACKEND, evidence, effect, list(doubts.values()))
    if not doubts or weighed.verdict is Verdict.PASS:
        return weighed
    return replace(weighed, reason=f"{weighed.reason}; {STANDS_IN}")

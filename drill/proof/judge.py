"""Shadow-read and backend: judged by their counters, and weighed by what those can prove."""

from drill.checks.flags import judge_backend, judge_shadow
from drill.context import Drill
from drill.observation import Window
from drill.proof.counters import shadow_counters_speak
from drill.proof.flags import Flag
from drill.proof.weigh import by_url, weigh
from drill.record import Evidence


def prove_shadow(drill: Drill, window: Window) -> Evidence:
    """Judge that no read is shadowed; silence of counters that were never seen to move is no effect."""
    evidence = judge_shadow(drill, window)
    effect = by_url(drill, window, shadow_counters_speak(drill, window), every=True)
    return weigh(drill, window, Flag.SHADOW_READ, evidence, effect)


def prove_backend(drill: Drill, window: Window) -> Evidence:
    """Judge that every instance answers from FAISS alone: its requests are counted, and are the effect itself."""
    evidence = judge_backend(drill, window)
    return weigh(drill, window, Flag.BACKEND, evidence, drill.service.instances)

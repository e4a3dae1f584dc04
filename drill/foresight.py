"""What a dry-run knows that ``--apply`` could not prove, though it could be carried out: and what to add for it.

Only what the configuration and the metrics of now decide. A proof that hangs on what users do meanwhile is named, too:
there may be none at night.
"""

from drill.context import Drill
from drill.proof.counters import would_speak
from drill.proof.writes import took_writes

SAID = "[service] flags_path, where each process says its flags"


def unprovable(drill: Drill) -> tuple[str, ...]:
    """Return what could not be proven, a clause each: the row, by what it is proven, and the key to add."""
    if drill.apply or drill.plan.unchanged:
        return ()
    found = (_dual_write(drill), _shadow_read(drill), _alerts(drill))
    return tuple(text for text in found if text)


def _dual_write(drill: Drill) -> str:
    config = drill.config
    if config.service.flags_path:
        return ""
    blind = ["[primary] path"] * (drill.primary is None) + ["[target]"] * (not config.target.kind)
    reading = drill.before
    written = reading is not None and all(took_writes(drill, one) for one in reading.snapshots.values())
    if not blind and (config.canary.tenant or written):
        return ""
    unless = "" if blind else " (unless users write one through every instance meanwhile)"
    keys = ", ".join([*blind, *['[canary] tenant = "*"'] * (not config.canary.tenant)])
    return f"disable_dual_write, by a document that stays away from the target{unless}: add {keys}, or {SAID}"


def _shadow_read(drill: Drill) -> str:
    reading = drill.before
    if drill.config.service.flags_path or reading is None or not reading.snapshots or would_speak(drill, reading):
        return ""
    return f"disable_shadow_read, by counters that have never moved here: add {SAID}"


def _alerts(drill: Drill) -> str:
    slo, key = drill.config.slo, "[metrics] prometheus_url"
    if not slo.alerts:
        return ""
    none = '[slo] alerts = "" where there is no alerting'
    if not drill.config.metrics.prometheus_url:
        return f"slo.alerts, by the alerts that Prometheus keeps: add {key}, or {none}"
    return "" if slo.watchdog else "slo.alerts, by an alert that always fires: add [slo] watchdog"

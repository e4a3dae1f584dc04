"""What health requests have met, before the rollback and after it: what is bad, and what the rollback may heal."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from drill.checks.endpoints import GONE
from drill.checks.mendable import TABLE, After, kind_of
from drill.checks.silence import short
from drill.context import Drill
from drill.http import BROKEN_OFF, Reply
from drill.record import Scalar
from drill.service import Health

HEAL = "the rollback may heal it; if it is not the target's doing, check [service] base_url and instances"


@dataclass(slots=True)
class Heard:
    """What the instances have said of their health."""

    problems: list[str] = field(default_factory=list)
    mendable: list[str] = field(default_factory=list)
    """What a dry-run has met that the rollback may heal."""
    sick: set[str] = field(default_factory=set)
    apart: list[Reply] = field(default_factory=list)
    """Requests that tell nothing of the service."""
    detail: dict[str, Scalar] = field(default_factory=dict)


def hear(drill: Drill, found: Sequence[Health], down: Sequence[Health]) -> Heard:
    """Return what ``found`` comes to; ``down`` are those of it who are down."""
    heard = Heard()
    somebody = any(health.reply.status for health in found)
    for health in found:
        heard.detail[f"{short(health.instance)} health ms"] = round(health.reply.latency_s * 1000, 1)
        if health.reply.apart:
            heard.apart.append(health.reply)
        elif health in down:
            heard.sick.add(health.instance)
            seen = _sickness(drill, health)
            may_heal = somebody and _may_heal(drill, health, seen)
            text = f"{short(health.instance)}{drill.config.service.health_path}: {seen}"
            (heard.mendable if may_heal else heard.problems).append(text)
    if heard.problems:
        gone = all(health.reply.status in GONE for health in down)
        keys = "health_path, base_url and instances" if gone else "base_url and instances"
        heard.problems[-1] += f": expected healthy instances; check [service] {keys}"
        if not drill.apply and not drill.plan.unchanged:
            heard.problems[-1] += "; --apply goes on all the same, and judges them after the rollback"
    return heard


def _may_heal(drill: Drill, health: Health, seen: str) -> bool:
    """Whether a dry-run meets an instance that may be down for its target, as one is that cannot boot without it.

    Where nobody answers at all, nothing shows that these are the service's addresses: that is a failure.
    """
    before = not drill.apply and not drill.judged
    return before and seen == health.reply.seen() and TABLE[kind_of(health.reply)][0] is After.MENDED


def _sickness(drill: Drill, health: Health) -> str:
    """Say what a health request met; a connection that breaks off may be one of TLS that went wrong."""
    seen = health.reply.seen()
    if health.reply.error.startswith(BROKEN_OFF):
        from drill.tls import look

        return look(health.instance, drill.config.service.ca_file) or seen
    return seen

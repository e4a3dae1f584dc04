"""What the drill could not measure, because the service limits it or because it stood still itself."""

from collections.abc import Iterable

from drill.context import Drill
from drill.http import USER_AGENT, Reply
from drill.limits import Apart
from drill.observation import Window
from drill.verdict import Verdict

MOST_LOST = 0.1
"""Share of a window that the drill may have stood still in; where it was more, users were not watched for too long."""
ALLOW_MORE = (
    f"raise the limit for the drill's key (User-Agent {USER_AGENT}), "
    "or lower [probe] rate and observe longer ([slo] observe_s)"
)


def too_few(drill: Drill, window: Window, answered: int, what: str) -> str:
    """Say that fewer probes were answered than are needed, why, and how there could be more."""
    text = f"{answered} {what}, {drill.config.slo.min_requests} needed"
    return "; ".join([text, *why_few(drill, window)])


def why_few(drill: Drill, window: Window) -> Iterable[str]:
    """Yield what kept the drill from measuring more in a window."""
    since, until = window.first.ended, window.last.began
    if limited := drill.limiter.limited(since, until):
        yield f"the service limits the drill (HTTP 429, {limited} times): {ALLOW_MORE}"
    elif held := drill.prober.held_back(since, until):
        yield f"{held} probes were not sent: what remains of the service's limit is left to users: {ALLOW_MORE}"
    if lost_s := drill.heartbeat.lost_s(since, until):
        yield f"the drill itself stood still for {lost_s:.0f} s"
    missed = [one.error for one in drill.prober.results(since, until) if one.apart is Apart.UNMEASURED]
    if missed and not lost_s:
        yield f"{len(missed)} probes were not measured ({missed[0]})"


def stood_still(drill: Drill, window: Window) -> tuple[Verdict, str]:
    """Doubt a window in which the drill itself stood still for long: nobody watched the service meanwhile."""
    lost_s = drill.heartbeat.lost_s(window.first.ended, window.last.began)
    if lost_s <= MOST_LOST * window.seconds:
        return Verdict.PASS, ""
    return (
        Verdict.INCONCLUSIVE,
        f"the drill itself stood still for {lost_s:.0f} s of a window of {window.seconds:.0f} s: run it again",
    )


def said(replies: Iterable[Reply]) -> str:
    """Say of requests that tell nothing of the service why they do not; empty if there are none."""
    apart = [reply for reply in replies if reply.apart]
    if not apart:
        return ""
    hint = f": {ALLOW_MORE}" if any(reply.apart is Apart.LIMITED for reply in apart) else ""
    return f"{len(apart)} requests were not answered ({apart[0].seen()}){hint}"

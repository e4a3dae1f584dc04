"""What the drill could not measure, because the service limits it or because it stood still itself."""

import math
from collections.abc import Iterable

from drill.context import Drill
from drill.http import USER_AGENT, Reply
from drill.limiter import SHARE
from drill.limits import UNAVAILABLE, Apart
from drill.load import SPARE
from drill.observation import Window
from drill.verdict import Verdict
from drill.words import count

MOST_LOST = 0.1
"""Share of a window that the drill may have stood still in; where it was more, users were not watched for too long."""
RAISE = f"raise the limit for the drill's key (User-Agent {USER_AGENT}), or"
ALLOW_MORE = f"{RAISE} lower [probe] rate and observe longer ([slo] observe_s)"


def too_few(drill: Drill, window: Window, answered: int, what: str) -> str:
    """Say that fewer probes were answered than are needed, why, and how there could be more."""
    text = f"{answered} {what}, {drill.config.slo.min_requests} needed"
    return "; ".join([text, *why_few(drill, window)])


def why_few(drill: Drill, window: Window) -> Iterable[str]:
    """Yield what kept the drill from measuring more in a window."""
    since, until = window.first.ended, window.last.began
    limited, (down, wait_s) = drill.limiter.limited(since, until), drill.limiter.unavailable(since, until)
    if limited:
        yield f"the service limits the drill (HTTP 429, {count(limited, 'time')}): {allow_more(drill)}"
    if down:
        times = count(down, "time")
        yield f"the service was unavailable, to users too (HTTP 503, {times}; it asked to wait {wait_s:.0f} s)"
    held = drill.prober.held_back(since, until)
    if held and not limited and not down:
        unsent = count(held, "probe", "was", "were")
        yield f"{unsent} not sent: what remains of the service's limit is left to users: {allow_more(drill)}"
    if lost_s := drill.heartbeat.lost_s(since, until):
        yield f"the drill itself stood still for {lost_s:.0f} s"
    missed = [one.error for one in drill.prober.results(since, until) if one.apart is Apart.UNMEASURED]
    if missed and not lost_s:
        yield f"{count(len(missed), 'probe', 'was', 'were')} not measured ({missed[0]})"


def allow_more(drill: Drill) -> str:
    """Say how the service could allow more, or the drill ask for less: in numbers, where a limit was met."""
    per_s, many = drill.limiter.per_s, len(drill.service.instances)
    rate = math.floor(100 * min(SHARE * per_s * many, drill.config.probe.rate)) / 100
    if not rate:
        return ALLOW_MORE
    observe_s = math.ceil(SPARE * drill.config.slo.min_requests * many / rate / 10) * 10
    allowed = f"the service allows {60 * per_s:.0f} requests a minute" + (" to each instance" if many > 1 else "")
    return f"{RAISE} set [probe] rate = {rate:g} and [slo] observe_s = {observe_s}: {allowed}"


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
    limited = any(reply.apart is Apart.LIMITED and reply.status != UNAVAILABLE for reply in apart)
    hint = f": {ALLOW_MORE}" if limited else ""
    return f"{count(len(apart), 'request', 'was', 'were')} not answered ({apart[0].seen()}){hint}"

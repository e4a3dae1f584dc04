"""Whether the service turns its users away for the number of requests (HTTP 429), and whether the drill is why."""

from drill.context import Drill
from drill.metrics.status import status_of
from drill.observation import Window
from drill.stats import rate_bounds
from drill.verdict import Verdict

HTTP = "http_requests_total"
TOO_MANY = "429"


def users_limited(drill: Drill, window: Window) -> tuple[Verdict, str]:
    """Judge the share of users' requests that were answered 429, as far as the service counts them.

    Those that the drill was answered itself are left out. Each request of the drill that a shared limiter let through
    can have cost a user one: where the drill is limited too, only what is beyond that is the service's own doing.
    """
    since, until = window.first.ended, window.last.began
    http = [pair for delta in window.deltas.values() for pair in delta.moved(HTTP)]
    counted = sum(value for labels, value in http if status_of(labels) == TOO_MANY)
    own = drill.limiter.limited(since, until)
    mine = min(own, counted)
    users, total = counted - mine, sum(value for _, value in http) - mine
    limit, text = drill.config.slo.error_rate, f"{users:g} requests of users were answered 429"
    if not users or rate_bounds(users, total)[0] <= limit:
        return Verdict.PASS, ""
    cost = len([result for result in drill.prober.results(since, until) if own and result.ok])
    if rate_bounds(users - min(users, cost), total)[0] > limit:
        return Verdict.FAIL, f"{text}, limit {limit:.2%} of {total:g}: the service denies itself to its users"
    return (
        Verdict.INCONCLUSIVE,
        f"{text} while the drill was limited too ({own} times): they may share a limit; lower [probe] rate",
    )

"""How many requests an observation needs of each instance, and who sends them: its users, else the drill.

Silence proves little of an instance that was hardly asked: 300 requests show a shadow-read of 1 % in all but 5 % of the
cases (the "rule of three" of METRICS.md, A4), and a replica that gets a tenth of the probes has answered 30.
"""

import math

from drill.config import Config
from drill.context import Drill
from drill.load import LONGER, SPARE, most_probes_per_s
from drill.observation import Window

KNOWN_S = 2.0
"""A window that is shorter tells nothing of how often users ask."""
TOTAL = "retrieval_requests_total"


def even_rate(config: Config, missing: float, left_s: float) -> float:
    """Return the probes per second that send ``missing`` ones evenly in ``left_s`` seconds, between the two bounds."""
    most = most_probes_per_s(config)
    needed = most if missing > most * max(left_s, 0.0) else SPARE * missing / left_s if left_s > 0 else 0.0
    return min(most, max(min(config.probe.rate, most), needed))


def gather_enough(drill: Drill) -> None:
    """Observe for ``observe_s``, until every instance has served ``min_requests`` requests of anybody.

    What users have asked so far tells how many probes are missing; they are sent evenly. Where users stop asking, the
    observation goes on at the same rate, for ``LONGER`` times its length at most; whether it was enough is for the
    checks to judge.
    """
    seconds, least = drill.config.slo.observe_s, drill.config.slo.min_requests
    needed = probes_needed(drill, drill.window(drill.glance_at_metrics()))
    rate = drill.gather(seconds, needed)
    short = least - least_served(drill)
    if short > 0:
        answered = sum(result.ok for result in drill.prober.results(drill.settle().ended))
        more = min(short * len(drill.service.instances), rate * (LONGER - 1) * seconds)
        drill.gather(seconds, answered + more, rate=rate)


def probes_needed(drill: Drill, so_far: Window) -> float:
    """Return how many probes the whole observation needs, all instances together, if users go on as they did."""
    seconds, least = drill.config.slo.observe_s, drill.config.slo.min_requests
    by_users = min((_by_users(so_far, name) for name in so_far.deltas), default=0.0) * seconds
    return max(least, max(0.0, least - by_users) * len(drill.service.instances))


def _by_users(window: Window, name: str) -> float:
    """Return the requests a second that somebody else sent to an instance; 0 if it is not known."""
    if window.seconds < KNOWN_S:
        return 0.0
    return max(0.0, window.deltas[name].growth(TOTAL) - window.probes[name]) / window.seconds


def least_served(drill: Drill) -> float:
    """Return how many requests the least asked instance has counted; one that answers nothing is not waited for."""
    window = drill.window(drill.glance_at_metrics())
    alive = [(window.probes[name], delta) for name, delta in window.since_boot.items() if window.probes[name]]
    return min((max(probes, delta.growth(TOTAL)) for probes, delta in alive), default=math.inf)

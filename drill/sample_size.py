"""How many requests an observation needs of each instance, and who sends them: its users, else the drill.

Silence proves little of an instance that was hardly asked: 300 requests show a shadow-read of 1 % in all but 5 % of the
cases (the "rule of three" of METRICS.md, A4), and a replica that gets a tenth of the probes has answered 30.
"""

import math

from drill.context import MAX_PROBE_RATE, Drill

FIRST_LOOK = 0.2
"""Share of the observation after which it is looked at how busy users keep the instances."""
SPARE = 1.02
"""Probes sent for each that must be answered."""
LONGER = 2
"""How many times its length an observation may take for want of requests."""


def gather_enough(drill: Drill) -> None:
    """Observe for ``observe_s``, until every instance has served ``min_requests`` requests of anybody.

    The drill sends what users do not, never more than it may per second, and gives up after ``LONGER`` times the
    length; whether it was enough is for the checks to judge.
    """
    seconds, least = drill.config.slo.observe_s, drill.config.slo.min_requests
    fleet = SPARE * least * len(drill.service.instances)
    drill.gather(seconds * FIRST_LOOK, least * FIRST_LOOK)
    busy = least_served(drill) >= least * FIRST_LOOK
    drill.gather(seconds, least if busy else max(least, min(fleet, 0.9 * MAX_PROBE_RATE * seconds)))
    if least_served(drill) < least:
        drill.gather(seconds, min(fleet, LONGER * MAX_PROBE_RATE * seconds))


def least_served(drill: Drill) -> float:
    """Return how many requests the least asked instance has counted; one that answers nothing is not waited for."""
    window = drill.window(drill.glance_at_metrics())
    alive = [(window.probes[name], delta) for name, delta in window.since_boot.items() if window.probes[name]]
    return min((max(probes, delta.growth("retrieval_requests_total")) for probes, delta in alive), default=math.inf)

"""What a drill will send to the service at most: worked out from its configuration before the first request.

Nothing is measured for it, so that it can be said at once. The limiter holds a drill to it.
"""

import math
from dataclasses import dataclass

from drill.config import Config
from drill.metrics.workers import GLANCE, MOST, PAGES
from drill.proof.sent import proof_requests
from drill.words import count

PROBE_SHARE = 0.8
"""Share of ``max_rate`` that probes take at most; the rest is for health, metrics pages and checks."""
LONGER = 2
"""How many times its length an observation may take for want of requests."""
SPARE = 1.05
"""Probes sent for each that must be answered: some are still under way at the end."""
AROUND_S = 120.0
"""Everything that takes its time beside the waits that are configured: preflight, proof, smoke tests, the end."""
SCRAPES_S = 180.0
"""Waits for Prometheus' next scrapes, all together."""
GLANCE_S = 2.0
"""How often the metrics are looked at while something is waited for, at most; ``BALANCED_S`` where one address is read
many times (``LEAST_BALANCED`` to ``BALANCED``) to meet every process behind it."""
BALANCED, LEAST_BALANCED, BALANCED_S = 64, 16, 10.0
CHECKS = 200
"""Requests of all checks to one instance that do not depend on the configuration."""
WORKERS, WAITED_FOR = MOST + 2 * PAGES, 12
"""Requests that meet the workers of an instance and compare their pages, and readings of a drill that do so."""
SAMPLED, NEW = 5, 1
"""Queries to each tenant that are made of FAISS's own texts, and that nobody has asked before."""
MIXED_ASKS = 30
"""Answers that are looked at where the instances are not listed: a replica with a tenth of the traffic is missed by all
of them with probability (1 - 1/10)^30 = 4 %."""


@dataclass(frozen=True, slots=True)
class Budget:
    """What a drill may send to each instance, and how many requests a second to all of them together."""

    probes: int
    checks: int
    per_s: float

    @property
    def total(self) -> int:
        """Requests to one instance."""
        return self.probes + self.checks

    def line(self, instances: int) -> str:
        """Say it to the operator."""
        where = "the service" if instances == 1 else f"each of {instances} instances"
        searches = f"{self.probes} of them searches of the continuous probe" if self.probes else "no continuous probe"
        most = count(self.total, "request")
        return f"this drill sends at most {most} to {where} ({searches}), {self.per_s:g} a second in all"


def budget_of(config: Config, *, apply: bool, judged: bool, purge: bool, reopen: bool) -> Budget:
    """Return the most that a drill sends to each instance.

    ``judged`` is a drill that judges the rolled-back service: one that applies, or on a file that is rolled back. Any
    other probes nothing. ``purge`` and ``reopen`` say whether these steps are part of it.
    """
    seconds = _seconds(config, apply=apply, purge=purge, reopen=reopen) if judged else AROUND_S
    probes = _probes(config, seconds, reopen=reopen) if judged else 0
    return Budget(probes, _checks(config, seconds, apply=apply, reopen=reopen), config.probe.max_rate)


def most_probes_per_s(config: Config) -> float:
    """Return the rate that probes never exceed."""
    return max(min(config.probe.rate, config.probe.max_rate), PROBE_SHARE * config.probe.max_rate)


def window_rate(config: Config) -> float:
    """Return the probes per second from the moment that the rolled-back service is judged from.

    That many make ``min_requests`` in ``observe_s``, so that the rate need not rise inside the window.
    """
    needed = SPARE * config.slo.min_requests / config.slo.observe_s
    return min(most_probes_per_s(config), max(config.probe.rate, needed))


def _seconds(config: Config, *, apply: bool, purge: bool, reopen: bool) -> float:
    """Return how long a drill may take, as far as it is bounded."""
    reloads = (2 if config.service.on_boot_failure == "restore" else 1) * apply
    parts = (
        AROUND_S,
        SCRAPES_S if config.metrics.prometheus_url else 0.0,
        reloads * config.service.reload_timeout_s,
        config.purge.time_budget_s if purge and apply else 0.0,
        LONGER * config.slo.observe_s,
        _rungs(config) * (2 * config.reopen.hold_s + config.service.reload_timeout_s + AROUND_S) if reopen else 0.0,
    )
    return sum(parts)


def _rungs(config: Config) -> int:
    """Return how many rungs are taken: each rate and both writes, for pilot tenants and for all, and two ways back."""
    return (2 if config.reopen.pilot_tenants else 1) * (len(config.reopen.shadow_sample_rates) + 1) + 2


def _probes(config: Config, seconds: float, *, reopen: bool) -> int:
    instances, slo = len(config.service.urls), config.slo
    regular = window_rate(config) * seconds / instances
    wished = max(SPARE * slo.min_requests, slo.min_requests / instances)
    most = most_probes_per_s(config) / instances
    held = most * _rungs(config) * 2 * config.reopen.hold_s if reopen else 0.0
    return math.ceil(regular + min(wished, most * LONGER * slo.observe_s) + held)


def _checks(config: Config, seconds: float, *, apply: bool, reopen: bool) -> int:
    balanced = not config.service.instances and not config.metrics.prometheus_url
    reading, every_s = (BALANCED, BALANCED_S) if balanced else (1, GLANCE_S)
    queries = len(config.smoke.queries) + (SAMPLED + NEW) * len(config.service.tenants)
    mixed = 0 if config.service.instances else 2 * (1 + NEW) * MIXED_ASKS
    reloads = 2 * apply + (_rungs(config) if reopen else 0)
    looks = reloads * (40 + config.service.reload_timeout_s)
    readings = 30 + seconds / every_s
    named = WORKERS * WAITED_FOR + GLANCE * (readings + looks) if config.service.worker_id else 0
    proofs: float = proof_requests(config, apply=apply, rungs=_rungs(config) if reopen else 0)
    proofs += looks if config.service.flags_path else 0.0
    return math.ceil(
        proofs + CHECKS + reading * readings + 4 * queries + mixed + looks * (1 + min(reading, LEAST_BALANCED)) + named
    )

"""Faults of the monitoring: a Prometheus that is away, stands still or sees something else; alerts that fire or cannot.

They change nothing in the service, so a drill that reads the instances themselves does not meet them. The ids named are
those that must not be green where Prometheus is the source.
"""

import time
from dataclasses import replace

from sandbox.faults.hooks import Hooks
from sandbox.faults.registry import fault
from sandbox.monitoring.setup import SERVED_BY_FAISS, WATCHDOG, Rule, Setup

LOUD = "RetrievalCustomerImpact"
OFF_S = 90.0


class MonitoringFault(Hooks):
    """A fault of the monitoring, not of the service: it changes the `Setup` and needs a stack that has one."""


@fault
class PrometheusDown(MonitoringFault):
    """Prometheus is not running.

    Error at preflight.metrics, steps 1, 3 and 4, every check by metrics, and slo.alerts.
    """

    @classmethod
    def monitoring(cls, setup: Setup) -> Setup:
        """End it."""
        return replace(setup, running=False)


@fault
class PrometheusSlow(MonitoringFault):
    """Prometheus takes connections and does not answer.

    Error at the same ids as prometheus_down.
    """

    @classmethod
    def monitoring(cls, setup: Setup) -> Setup:
        """Stop the process where it is."""
        return replace(setup, answering=False)


@fault
class PrometheusStale(MonitoringFault):
    """Prometheus answers, but has stopped scraping.

    Error at preflight.metrics and all that is judged by metrics; alerts are judged as ever.
    """

    @classmethod
    def monitoring(cls, setup: Setup) -> Setup:
        """Scrape once an hour."""
        return replace(setup, interval="1h")


@fault
class PrometheusPartial(MonitoringFault):
    """Prometheus scrapes one of the two instances.

    Error at the same ids as prometheus_stale.
    """

    @classmethod
    def monitoring(cls, setup: Setup) -> Setup:
        """Leave out the last instance."""
        return replace(setup, unscraped=1)


@fault
class WrongJob(MonitoringFault):
    """The selector of the drill matches no job.

    Error at the same ids as prometheus_stale.
    """

    @classmethod
    def monitoring(cls, setup: Setup) -> Setup:
        """Rename the job."""
        return replace(setup, job="search")


@fault
class DuplicateJob(MonitoringFault):
    """Two jobs scrape every instance.

    Error at the same ids as prometheus_stale.
    """

    @classmethod
    def monitoring(cls, setup: Setup) -> Setup:
        """Add the second job."""
        return replace(setup, copies=2)


@fault
class MetricRelabelDrop(MonitoringFault):
    """Prometheus drops every retrieval_shadow metric after the scrape.

    Inconclusive at preflight.metrics, where there still are some; none is there to be dropped after the rollback.
    """

    @classmethod
    def monitoring(cls, setup: Setup) -> Setup:
        """Add the rule."""
        return replace(setup, dropped="retrieval_shadow_.+")


@fault
class Clock90sOff(Hooks):
    """The metrics page carries times 90 s in the past.

    Error at the same ids as prometheus_stale; a scrape of the drill's own takes no notice of them.
    """

    def exposition(self, body: bytes) -> bytes:
        """Add the time to every sample; OpenMetrics counts seconds, the classic format milliseconds."""
        then = time.time() - OFF_S
        stamp = f" {then:.3f}" if body.endswith(b"# EOF\n") else f" {1000 * then:.0f}"
        lines = body.decode().splitlines()
        return "".join(f"{line}{'' if line.startswith('#') else stamp}\n" for line in lines).encode()


@fault
class AlertFiring(MonitoringFault):
    """An alert begins to fire when FAISS serves.

    Fail at slo.alerts.
    """

    @classmethod
    def monitoring(cls, setup: Setup) -> Setup:
        """Add the rule."""
        return _ruled(setup, Rule(LOUD, SERVED_BY_FAISS, "page"))


@fault
class AlertFiredBefore(MonitoringFault):
    """An alert fires before the rollback and goes on.

    Green: slo.alerts names it, and nothing is new.
    """

    @classmethod
    def monitoring(cls, setup: Setup) -> Setup:
        """Add the rule."""
        return _ruled(setup, Rule(LOUD, "vector(1)", "page"))


@fault
class AlertPending(MonitoringFault):
    """An alert is pending when FAISS serves, and would fire in an hour.

    Inconclusive at slo.alerts.
    """

    @classmethod
    def monitoring(cls, setup: Setup) -> Setup:
        """Add the rule."""
        return _ruled(setup, Rule(LOUD, SERVED_BY_FAISS, "page", 3600))


@fault
class AlertSilenced(MonitoringFault):
    """An alert begins to fire when FAISS serves, and is silenced in Alertmanager.

    Fail at slo.alerts all the same.
    """

    @classmethod
    def monitoring(cls, setup: Setup) -> Setup:
        """Add the rule and the silence."""
        return replace(_ruled(setup, Rule(LOUD, SERVED_BY_FAISS, "page")), silenced=LOUD)


@fault
class AlertInhibited(MonitoringFault):
    """An alert begins to fire when FAISS serves, and another one inhibits it.

    Fail at slo.alerts all the same.
    """

    @classmethod
    def monitoring(cls, setup: Setup) -> Setup:
        """Add the rule and the inhibition."""
        return replace(_ruled(setup, Rule(LOUD, SERVED_BY_FAISS, "page")), inhibited=LOUD)


@fault
class WatchdogMissing(MonitoringFault):
    """The alert that always fires is gone.

    Inconclusive at slo.alerts.
    """

    @classmethod
    def monitoring(cls, setup: Setup) -> Setup:
        """Remove the rule."""
        return replace(setup, rules=tuple(rule for rule in setup.rules if rule.name != WATCHDOG))


@fault
class RuleBroken(MonitoringFault):
    """A rule that pages cannot be evaluated.

    Inconclusive at slo.alerts.
    """

    @classmethod
    def monitoring(cls, setup: Setup) -> Setup:
        """Add a rule that joins many to many."""
        return _ruled(setup, Rule(LOUD, "up * on () up > 0", "page"))


def _ruled(setup: Setup, rule: Rule) -> Setup:
    return replace(setup, rules=(*setup.rules, rule))

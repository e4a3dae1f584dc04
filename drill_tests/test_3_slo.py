"""Step 6: the service level objectives, over an observation window wholly after the reload."""

from drill.checks import alerts, slo
from fixtures.rows import Row, row


@row("slo.latency", order=31)
def test_latency(drill: Row) -> None:
    """P50 and P95 are within the SLO, by the service's histogram and by the drill's own probes."""
    drill.observe(slo.latency)


@row("slo.errors", order=32)
def test_errors(drill: Row) -> None:
    """The error rate is within the SLO."""
    drill.observe(slo.errors)


@row("slo.alerts", order=33)
def test_alerts(drill: Row) -> None:
    """No alert fires that did not fire before."""
    drill.observe(alerts.alerts)

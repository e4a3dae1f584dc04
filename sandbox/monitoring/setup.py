"""What the stack's Prometheus and Alertmanager are told to do; faults of the monitoring change it."""

from dataclasses import dataclass

JOB = "retrieval"
SELECTOR = 'job=~"retrieval.*"'
"""What a drill adds to its queries: the job may be scraped as blue and green, say."""
WATCHDOG = "Watchdog"
SERVED_BY_FAISS = 'sum(rate(retrieval_requests_total{backend="faiss"}[5s])) > 0'
"""Holds from the rollback on, and not before."""


@dataclass(frozen=True, slots=True)
class Rule:
    """An alerting rule."""

    name: str
    expr: str
    severity: str
    for_s: int = 0


RULES = (
    Rule(WATCHDOG, "vector(1)", "none"),
    Rule("RetrievalInstanceDown", 'up{job=~"retrieval.*"} == 0', "page", 15),
    Rule("RetrievalDown", 'sum(up{job=~"retrieval.*"}) == 0', "critical", 15),
    Rule(
        "RetrievalErrorRate",
        "sum(rate(retrieval_errors_total[30s])) / sum(rate(retrieval_requests_total[30s])) > 0.1"
        " and sum(increase(retrieval_requests_total[30s])) > 30",
        "page",
    ),
    Rule(
        "RetrievalLatencyP95",
        "histogram_quantile(0.95, sum by (le) (rate(retrieval_latency_seconds_bucket[30s]))) > 0.5",
        "warning",
    ),
    Rule("RetrievalTargetErrors", 'sum(rate(retrieval_errors_total{backend!="faiss"}[30s])) > 0', "warning"),
    Rule(
        "RetrievalDualWriteCircuitOpen",
        'sum(rate(retrieval_dual_write_skipped_total{reason="circuit_open"}[30s])) > 0',
        "warning",
    ),
)


@dataclass(frozen=True, slots=True)
class Setup:
    """The monitoring as it should be; the defaults are those of monitoring that works."""

    running: bool = True
    answering: bool = True
    """Whether Prometheus gets to run: stopped, it takes connections and answers nothing."""
    interval: str = "1s"
    job: str = JOB
    copies: int = 1
    """How many jobs scrape each instance."""
    unscraped: int = 0
    """How many of the instances are not scraped."""
    dropped: str = ""
    """A regular expression of metrics that are dropped after the scrape."""
    native: bool = False
    """Whether it stores native histograms: it then asks for the binary format, the only one that carries them."""
    rules: tuple[Rule, ...] = RULES
    silenced: str = ""
    """The name of an alert that somebody silenced."""
    inhibited: str = ""
    """The name of an alert that `Watchdog` inhibits."""

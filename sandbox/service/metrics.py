"""The metric families, registered at import; children of rare labels are born with their first event, as usual."""

from prometheus_client import Counter, Gauge, Histogram

_LATENCY_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.25, 0.35, 0.5, 0.75, 1.0, 2.5, 5.0, 10.0)
_SHARE_BUCKETS = (0.0, 0.2, 0.4, 0.6, 0.8, 0.9, 0.95, 1.0)

REQUESTS = Counter("retrieval_requests_total", "Searches received.", ["backend", "tenant"])
ERRORS = Counter("retrieval_errors_total", "Searches that failed.", ["backend", "code", "tenant"])
LATENCY = Histogram(
    "retrieval_latency_seconds",
    "Time of a search in the service, failed ones included.",
    ["backend", "tenant"],
    buckets=_LATENCY_BUCKETS,
)
DUAL_WRITE_ERRORS = Counter("retrieval_dual_write_errors_total", "Writes the target failed.", ["target", "tenant"])
DUAL_WRITE_SKIPPED = Counter("retrieval_dual_write_skipped_total", "Writes not sent to the target.", ["reason"])
OUTBOX_SIZE = Gauge("retrieval_dual_write_outbox_size", "Documents waiting to be written to the target.")
OUTBOX_AGE = Gauge("retrieval_dual_write_outbox_age_seconds", "Age of the oldest document that waits.")
OUTBOX_DROPPED = Counter("retrieval_dual_write_outbox_dropped_total", "Documents given up: outbox full or too old.")
SHADOW_AGREEMENT = Histogram(
    "retrieval_shadow_agreement_at_5",
    "Share of the served top 5 that the shadow read has in its top 5.",
    ["backend", "sample"],
    buckets=_SHARE_BUCKETS,
)
SHADOW_NDCG = Histogram(
    "retrieval_shadow_ndcg_at_10",
    "nDCG at 10 of the shadow read against the served ranking.",
    ["backend", "sample"],
    buckets=_SHARE_BUCKETS,
)
SHADOW_LATENCY = Histogram(
    "retrieval_shadow_latency_seconds",
    "Time of a shadow read.",
    ["backend", "sample"],
    buckets=_LATENCY_BUCKETS,
)
SHADOW_DROPPED = Counter("retrieval_shadow_dropped_total", "Shadow reads not finished.", ["reason"])
HTTP_REQUESTS = Counter("http_requests_total", "HTTP requests.", ["method", "route", "status"])

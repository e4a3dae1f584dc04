"""What is wrong with a value of the configuration, in words that do not quote what may be a secret."""

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

METRIC_NAMES = (
    "retrieval_requests_total",
    "retrieval_errors_total",
    "retrieval_latency_seconds",
    "retrieval_dual_write_errors_total",
    "retrieval_dual_write_skipped_total",
    "retrieval_dual_write_outbox_size",
    "retrieval_dual_write_outbox_dropped_total",
    "retrieval_shadow_agreement_at_5",
    "retrieval_shadow_ndcg_at_10",
    "retrieval_shadow_latency_seconds",
    "retrieval_shadow_dropped_total",
    "http_requests_total",
    "process_start_time_seconds",
    "ALERTS",
)
"""The metrics of DESIGN.md section 7, which `[metrics] names` may rename."""
_METRIC = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")


def url_problem(url: str) -> str:
    """Return why ``url`` cannot be the address of a service, empty if it can.

    It is never quoted. One with credentials is refused rather than masked: it stands in error texts of clients, in
    process lists and in the report, and a token has its own ``*_env`` key.
    """
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable or not url.isprintable() or any(char in url for char in " <>\"'`\\"):
        return "expected http://host:port or https://host:port, seen something else"
    if "@" in parts.netloc:
        return "holds credentials; give it without them in drill.toml, and name a variable that holds the token instead"
    if parts.query or parts.fragment:
        return "holds a query or a fragment; expected the address alone, http://host:port"
    return ""


def metric_names_problem(names: Mapping[str, str]) -> str:
    """Return what is wrong with ``[metrics] names``, empty if nothing is."""
    if unknown := [name for name in names if name not in METRIC_NAMES]:
        return f"unknown metric {unknown[0]!r}; expected some of {', '.join(METRIC_NAMES)}"
    if odd := [name for name, own in names.items() if not _METRIC.fullmatch(own)]:
        return f"{odd[0]} is given a name that no metric can have"
    if len(set(names.values())) != len(names):
        return "two metrics are given the same name; expected a name for each"
    return ""

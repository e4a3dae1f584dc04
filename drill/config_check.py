"""What is wrong with the values of a configuration, in words that do not quote what may be a secret."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from urllib.parse import urlsplit

from drill.addresses import endpoint, same
from drill.config import RESERVED, Config, Service, Target
from drill.document_id import as_whole
from drill.errors import UsageError
from drill.metrics.matchers import parse_matchers
from drill.metrics.names import METRIC_NAMES
from drill.metrics.workers import worker_id_problem
from drill.primary import KINDS as PRIMARY_KINDS
from drill.target.settings import key_types

METHODS = ("POST", "PUT", "PATCH", "DELETE")
FLAG_NAMES = ("dual_write", "shadow_read", "backend")
"""What ``[service] flags`` may map."""
_CANARY_ID = re.compile(r"[A-Za-z0-9_-]{4,64}")
_METRIC = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")


def check(config: Config) -> None:
    """Raise `UsageError` for the first value that cannot be meant."""
    service = config.service
    _check_service(service)
    _check_canary(config)
    if config.metrics.prometheus_url:
        _check_scraped(service.instances)
    _check_ranges(config)
    _check_window(config.window.opens, config.window.closes)
    if config.primary.kind not in PRIMARY_KINDS:
        raise UsageError(f"[primary] kind: seen {config.primary.kind!r}, expected one of {', '.join(PRIMARY_KINDS)}")
    for name, url in (
        ("[metrics] prometheus_url", config.metrics.prometheus_url),
        ("[metrics] alertmanager_url", config.metrics.alertmanager_url),
        ("[notify] grafana_url", config.notify.grafana_url),
    ):
        if url:
            _check_url(name, url)
    if strangers := set(config.reopen.pilot_tenants) - set(service.tenants):
        raise UsageError(f"[reopen] pilot_tenants: {', '.join(sorted(strangers))} not among [service] tenants")
    _check_matchers("[slo] alerts", config.slo.alerts)
    _check_matchers("[metrics] selector", config.metrics.selector)
    _check_names(config)
    _check_metric_names(config.metrics.names)
    _check_values(config)
    _check_ca_file("[service]", service.ca_file)
    _check_target(config.target)


def _check_service(service: Service) -> None:
    for url in (service.base_url, *service.instances):
        _check_url("[service] base_url and instances", url)
    for name in ("health_path", "search_path", "embed_path", "metrics_path", "chat_path"):
        value = getattr(service, name)
        if not value.startswith("/") and not (name == "chat_path" and not value):
            raise UsageError(f"[service] {name}: seen {value!r}, expected a path that starts with /")
    for name in ("ingest_path", "delete_path", "flags_path"):
        if (value := getattr(service, name)) and not value.startswith("/"):
            raise UsageError(f"[service] {name}: seen {value!r}, expected a path that starts with /, or nothing")
    for name in ("ingest_method", "delete_method"):
        if (value := getattr(service, name)) not in METHODS:
            raise UsageError(f"[service] {name}: seen {value!r}, expected one of {', '.join(METHODS)}")
    _check_flags(service.flags)
    _check_worker_id(service.worker_id)
    if service.on_boot_failure not in {"restore", "leave"}:
        raise UsageError(f'[service] on_boot_failure: seen {service.on_boot_failure!r}, expected "restore" or "leave"')
    if not service.tenants:
        raise UsageError("[service] tenants: seen none, expected at least one")
    _check_instances(service.instances)


def _check_worker_id(worker_id: str) -> None:
    if worker_id and (problem := worker_id_problem(worker_id)):
        raise UsageError(f"[service] worker_id: seen {worker_id!r}, {problem}")


def _check_canary(config: Config) -> None:
    canary, service = config.canary, config.service
    if canary.tenant and canary.tenant not in {"*", *service.tenants}:
        seen = f"seen {canary.tenant!r}, expected one of [service] tenants ({', '.join(service.tenants)})"
        raise UsageError(f"[canary] tenant: {seen}, or * for each of them")
    if canary.tenant and not service.ingest_path:
        raise UsageError(
            "[canary] tenant is set and [service] ingest_path is empty; expected where documents are written"
        )
    if not _CANARY_ID.fullmatch(canary.id) or not canary.text.strip():
        raise UsageError("[canary] id: expected 4 to 64 letters, digits, - and _; text: expected some")
    if as_whole(canary.id) is not None and as_whole(canary.name(RESERVED)) is None:
        raise UsageError(f"[canary] id: seen {canary.id}, expected less than 2^63 - {RESERVED}: so many are reserved")


def _check_flags(flags: Mapping[str, str]) -> None:
    import jmespath
    from jmespath.exceptions import JMESPathError

    for name, path in flags.items():
        if name not in FLAG_NAMES:
            raise UsageError(f"[service] flags: seen {name!r}, expected {', '.join(FLAG_NAMES)}")
        try:
            jmespath.compile(path)
        except JMESPathError:
            raise UsageError(f"[service] flags: {name}: seen {path!r}, expected a JMESPath expression") from None


def _check_ranges(config: Config) -> None:
    slo, purge = config.slo, config.purge
    bounds: list[tuple[str, float, float, float]] = [
        ("[service] reload_timeout_s", config.service.reload_timeout_s, 0.1, 3600),
        ("[slo] p50_ms", slo.p50_ms, 0.001, 1e7),
        ("[slo] p95_ms", slo.p95_ms, 0.001, 1e7),
        ("[slo] error_rate", slo.error_rate, 0, 1),
        ("[slo] min_requests", slo.min_requests, 20, 1e6),
        ("[slo] max_p50_ratio", slo.max_p50_ratio, 1, 100),
        ("[slo] max_p95_ratio", slo.max_p95_ratio, 1, 100),
        ("[slo] observe_s", slo.observe_s, 1, 3600),
        ("[slo] max_circuit_open_per_s", slo.max_circuit_open_per_s, 0, 1e6),
        ("[slo] rto_s", slo.rto_s, 1, 1e6),
        ("[primary] max_fall", config.primary.max_fall, 0, 1),
        ("[primary] max_fall_documents", config.primary.max_fall_documents, 0, 1e9),
        ("[probe] rate", config.probe.rate, 0.1, 1000),
        ("[probe] max_rate", config.probe.max_rate, config.probe.rate, 1000),
        ("[purge] max_fraction", purge.max_fraction, 0, 1),
        ("[purge] batch", purge.batch, 1, 100_000),
        ("[purge] time_budget_s", purge.time_budget_s, 0, 86_400),
        ("[purge] memory_limit_mb", purge.memory_limit_mb, 50, 1_000_000),
        ("[purge] drift_sample", purge.drift_sample, 0, 100_000),
        ("[history] max_age_days", config.history.max_age_days, 0, 100_000),
        ("[smoke] top_k", config.smoke.top_k, 1, 1000),
        ("[service] dual_write_lag_s", config.service.dual_write_lag_s, 0, 300),
        ("[service] outbox_replay_timeout_s", config.service.outbox_replay_timeout_s, 0.1, 86_400),
        ("[rehearsal] boot_timeout_s", config.rehearsal.boot_timeout_s, 0.1, 3600),
        ("[rehearsal] stop_timeout_s", config.rehearsal.stop_timeout_s, 0.1, 3600),
        ("[rehearsal] max_copy_mib", config.rehearsal.max_copy_mib, 0, 1e6),
        ("[window] plan_ttl_s", config.window.plan_ttl_s, 1, 1e8),
        ("[reopen] hold_s", config.reopen.hold_s, 1, 86_400),
        ("[reopen] min_agreement_at_5", config.reopen.min_agreement_at_5, 0, 1),
        ("[reopen] min_ndcg_at_10", config.reopen.min_ndcg_at_10, 0, 1),
        ("[reopen] max_drop_rate", config.reopen.max_drop_rate, 0, 1),
        *(("[reopen] shadow_sample_rates", rate, 0.0001, 1.0) for rate in config.reopen.shadow_sample_rates),
    ]
    for name, value, low, high in bounds:
        if not low <= value <= high:
            raise UsageError(f"{name}: seen {value}, expected {low:g} to {high:g}")


def _check_instances(instances: Sequence[str]) -> None:
    if (pair := same(instances, paths=True)) is not None:
        first, second = (number + 1 for number in pair)
        raise UsageError(
            f"[service] instances: number {first} and number {second} are one address, written in two ways or twice: "
            "one proof would count as two; name each instance once"
        )


def _check_scraped(instances: Sequence[str]) -> None:
    """Check that Prometheus, which knows what it scrapes by host and port, can tell the instances apart."""
    if (pair := same(instances, paths=False)) is not None:
        first, second = pair
        host, port = endpoint(instances[first])
        raise UsageError(
            f"[service] instances: number {first + 1} and number {second + 1} share {host}:{port}, and Prometheus "
            "calls its targets by host and port: what it scrapes there proves one of them; give each instance a host "
            "or a port of its own, or leave [metrics] prometheus_url out, so that each one's own page is read"
        )


def _check_url(name: str, url: str) -> None:
    if problem := url_problem(url):
        raise UsageError(f"{name}: {problem}")


def _check_matchers(name: str, text: str) -> None:
    try:
        if text:
            parse_matchers(text)
    except ValueError as problem:
        raise UsageError(f"{name}: seen {text!r}, expected {problem}") from None


def _check_names(config: Config) -> None:
    """Check that the keys which name a variable hold a name; what else stands there may be the secret itself."""
    named = {
        "[service] auth_token_env": config.service.auth_token_env,
        "[metrics] bearer_token_env": config.metrics.bearer_token_env,
        "[notify] grafana_token_env": config.notify.grafana_token_env,
        "[notify] webhook_url_env": config.notify.webhook_url_env,
        **{
            f"[target] {key}": getattr(config.target, key)
            for key in key_types(type(config.target))
            if key[-4:] == "_env"
        },
    }
    for key, value in named.items():
        if value and not (value.isascii() and value.isidentifier()):
            raise UsageError(f"{key}: expected the name of a variable that holds the secret, seen something else")


def _check_values(config: Config) -> None:
    """Check that no value means two things, and that FAISS is not given the name of a target."""
    from drill.config_defaults import kind_called

    values = config.metrics.values
    if not values.faiss.strip() or kind_called(values.faiss) or values.faiss.lower() == config.target.kind:
        seen = f"seen {values.faiss!r}, expected what the service calls FAISS"
        raise UsageError(f"[metrics.values] faiss: {seen}; the name of a target would hide that it still answers")
    if both := {text.lower() for text in values.flag_off} & {text.lower() for text in values.circuit_open}:
        raise UsageError(f"[metrics.values] {min(both)!r} stands in flag_off and in circuit_open; expected it in one")


def _check_metric_names(names: Mapping[str, str]) -> None:
    if problem := _metric_names_problem(names):
        raise UsageError(f"[metrics] names: {problem}")


def _check_target(target: Target) -> None:
    for key in ("connect_timeout_s", "statement_timeout_s"):
        if not 0 < getattr(target, key) <= 3600:
            raise UsageError(f"[target] {key}: seen {getattr(target, key)}, expected more than 0, at most 3600")
    for key in ("url", "grpc_url"):
        if url := getattr(target, key, ""):
            _check_url(f"[target] {key}", url)
    _check_ca_file("[target]", getattr(target, "ca_file", ""))


def _check_ca_file(section: str, name: str) -> None:
    if not name:
        return
    import ssl

    try:
        ssl.create_default_context(cafile=name)
    except (OSError, ssl.SSLError) as error:
        raise UsageError(f"{section} ca_file: cannot be used ({type(error).__name__}); expected a PEM file") from None


def _check_window(opens: str, closes: str) -> None:
    for name, text in (("opens", opens), ("closes", closes)):
        try:
            if text and datetime.fromisoformat(text).tzinfo is None:
                raise ValueError  # noqa: TRY301 - one message for both mistakes
        except ValueError:
            raise UsageError(
                f"[window] {name}: seen {text!r}, expected RFC 3339 such as 2026-01-31T20:00:00Z"
            ) from None
    if opens and closes and datetime.fromisoformat(closes) <= datetime.fromisoformat(opens):
        raise UsageError(f"[window] closes: seen {closes}, expected a time after opens ({opens})")


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


def _metric_names_problem(names: Mapping[str, str]) -> str:
    """Return what is wrong with ``[metrics] names``, empty if nothing is."""
    if unknown := [name for name in names if name not in METRIC_NAMES]:
        return f"unknown metric {unknown[0]!r}; expected some of {', '.join(METRIC_NAMES)}"
    if odd := [name for name, own in names.items() if not _METRIC.fullmatch(own)]:
        return f"{odd[0]} is given a name that no metric can have"
    if len(set(names.values())) != len(names):
        return "two metrics are given the same name; expected a name for each"
    return ""

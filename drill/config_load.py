"""Reading a configuration: process environment, env file, ``drill.toml``, the service's own names, defaults.

Precedence, highest first (DESIGN.md section 5): ``DRILL_<SECTION>__<KEY>`` of the process environment, the same names
in the env file, ``drill.toml``, the service's own names in the env file, the defaults of ``drill.config``.
"""

import json
import math
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar, get_args, get_origin, get_type_hints

from drill.config import Config, Query, Target
from drill.config_check import metric_names_problem, url_problem
from drill.errors import UsageError
from drill.metrics.matchers import parse_matchers
from drill.primary import KINDS as PRIMARY_KINDS
from drill.target.settings import KINDS, all_keys, key_types, keys_of, kinds_with, service_defaults

Values = Mapping[str, str | None]
Tables = dict[str, dict[str, Any]]

SERVICE_NAMES = {
    "PROM_QUERY_URL": ("metrics", "prometheus_url"),
    "FAISS_DATA_DIR": ("primary", "path"),
    "RETRIEVAL_TARGET_BACKEND": ("target", "kind"),
}
"""Names in the service's own env file that serve as defaults."""


def find_config(option: Path | None, env_file: Path, root: Path) -> Path | None:
    """Return the configuration file to read: the option, else beside the env file, else in the project's root."""
    if option is not None:
        if not option.is_file():
            raise UsageError(
                f"--drill-config {option}: no such file; name an existing drill.toml or leave the option out"
            )
        return option
    beside = (env_file.parent / "drill.toml", root / "drill.toml")
    return next((path for path in beside if path.is_file()), None)


def load_config(path: Path | None, env_file: Path, env_values: Values, environ: Mapping[str, str]) -> Config:
    """Read and check a configuration; every mistake is a `UsageError` that names the key."""
    tables = _service_defaults(env_values, env_file)
    for section, table in _read_toml(path).items():
        tables.setdefault(section, {}).update(table)
    for source in (env_values, environ):
        _override(tables, source)
    _complete_target(tables, env_values)
    config = _build_config(tables, path)
    _check(config)
    return config


def _service_defaults(env_values: Values, env_file: Path) -> Tables:
    tables: Tables = {}
    for name, (section, key) in SERVICE_NAMES.items():
        if value := env_values.get(name):
            tables.setdefault(section, {})[key] = value
    if path := tables.get("primary", {}).get("path"):
        tables["primary"]["path"] = str(env_file.parent / path)
    if tenant := env_values.get("DEFAULT_TENANT"):
        tables["service"] = {"tenants": [tenant]}
    return tables


def _complete_target(tables: Tables, env_values: Values) -> None:
    """Take the connection of the target from the service's own names, where nothing else says what it is.

    A backend of the service that is no kind we know does not keep a rollback from running: it cannot be compared, and
    step 2 says so. A kind that was written down for the drill is checked.
    """
    table = tables.get("target", {})
    kind = table.get("kind", "")
    if not isinstance(kind, str):
        return
    if kind and kind not in KINDS and kind != env_values.get("RETRIEVAL_TARGET_BACKEND"):
        raise UsageError(f"[target] kind: seen {kind!r}, expected one of {', '.join(KINDS)}")
    for key, value in service_defaults(kind, env_values).items():
        other = key.removesuffix("_env") if key.endswith("url_env") else key
        if key not in table and other not in table:
            table[key] = value


def _read_toml(path: Path | None) -> Tables:
    if path is None:
        return {}
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path.name}: cannot be read ({type(error).__name__}); expected a UTF-8 TOML file") from None
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path.name}: not valid TOML: {error}; correct that line") from None
    for section, table in data.items():
        if not isinstance(table, dict):
            raise UsageError(f"{path.name}: unknown key {section!r}; expected sections {', '.join(_sections())}")
    for section, key in (("primary", "path"), ("service", "ca_file"), ("target", "ca_file")):
        if (name := data.get(section, {}).get(key)) and isinstance(name, str):
            data[section][key] = str(path.parent / name)
    return data


def _override(tables: Tables, source: Values) -> None:
    sections = _sections()
    for name, value in source.items():
        if not name.startswith("DRILL_") or "__" not in name or value is None:
            continue
        section, _, key = name.removeprefix("DRILL_").lower().partition("__")
        hints = all_keys() if section == "target" else _hints(sections[section]) if section in sections else {}
        kind = hints.get(key)
        if kind is None:
            raise UsageError(f"{name}: unknown setting; expected DRILL_<SECTION>__<KEY> with names of drill.toml")
        tables.setdefault(section, {})[key] = _from_text(name, value, kind)


def _from_text(name: str, text: str, kind: Any) -> Any:
    readers: dict[Any, Callable[[str], Any]] = {str: str, int: int, float: float}
    try:
        return readers[kind](text) if kind in readers else json.loads(text)
    except ValueError:
        raise UsageError(
            f"{name}: cannot be read as {_type_name(kind)}; lists and tables are written as JSON"
        ) from None


def _build_config(tables: Tables, path: Path | None) -> Config:
    sections = _sections()
    where = path.name if path else "configuration"
    for section in tables:
        if section not in sections:
            raise UsageError(f"{where}: unknown section [{section}]; expected one of {', '.join(sections)}")
    sections["target"] = keys_of(tables.get("target", {}).get("kind", ""))
    built = {name: _build(kind, tables.get(name, {}), f"{where}: [{name}]") for name, kind in sections.items()}
    return Config(**built, source=path)


def _build(kind: type[Any], table: Mapping[str, Any], where: str) -> Any:
    hints = _hints(kind)
    for key in table:
        if key not in hints:
            others = kinds_with(key) if issubclass(kind, Target) else []
            of = f" of kind {', '.join(others)}, not of {table.get('kind', 'none')}" if others else ""
            raise UsageError(f"{where} unknown key {key!r}{of}; expected one of {', '.join(hints)}")
    try:
        return kind(**{key: _convert(value, hints[key], f"{where} {key}") for key, value in table.items()})
    except TypeError:
        missing = [f.name for f in fields(kind) if f.name not in table]
        raise UsageError(f"{where} misses a key; expected {', '.join(missing)}") from None


def _convert(value: Any, kind: Any, where: str) -> Any:
    if is_dataclass(kind) and isinstance(value, dict):
        return _build(kind, value, where) if isinstance(kind, type) else value
    if get_origin(kind) is list and isinstance(value, list):
        return [_convert(item, get_args(kind)[0], f"{where}[{index}]") for index, item in enumerate(value)]
    if get_origin(kind) is dict and isinstance(value, dict):
        return {key: _convert(item, get_args(kind)[1], f"{where}.{key}") for key, item in value.items()}
    if kind is float and isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    if kind is object or (isinstance(kind, type) and type(value) is kind and kind is not float):
        return value
    raise UsageError(f"{where}: seen {_seen(value)}, expected {_type_name(kind)}")


def _check(config: Config) -> None:
    service = config.service
    for url in (service.base_url, *service.instances):
        _check_url("[service] base_url and instances", url)
    for name in ("health_path", "search_path", "embed_path", "metrics_path", "chat_path"):
        value = getattr(service, name)
        if not value.startswith("/") and not (name == "chat_path" and not value):
            raise UsageError(f"[service] {name}: seen {value!r}, expected a path that starts with /")
    if service.on_boot_failure not in {"restore", "leave"}:
        raise UsageError(f'[service] on_boot_failure: seen {service.on_boot_failure!r}, expected "restore" or "leave"')
    if not service.tenants or len(set(service.urls)) != len(service.urls):
        raise UsageError("[service] tenants must not be empty and instances must not repeat")
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
    _check_ca_file("[service]", service.ca_file)
    _check_target(config.target)


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
        ("[purge] max_fraction", purge.max_fraction, 0, 1),
        ("[purge] batch", purge.batch, 1, 100_000),
        ("[purge] time_budget_s", purge.time_budget_s, 0, 86_400),
        ("[purge] memory_limit_mb", purge.memory_limit_mb, 50, 1_000_000),
        ("[purge] drift_sample", purge.drift_sample, 0, 100_000),
        ("[history] max_age_days", config.history.max_age_days, 0, 100_000),
        ("[smoke] top_k", config.smoke.top_k, 1, 1000),
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


def _check_metric_names(names: Mapping[str, str]) -> None:
    if problem := metric_names_problem(names):
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


def _sections() -> dict[str, Any]:
    return {name: kind for name, kind in _hints(Config).items() if name != "source"}


def _hints(kind: Any) -> dict[str, Any]:
    return {name: value for name, value in get_type_hints(kind).items() if get_origin(value) is not ClassVar}


def _type_name(kind: Any) -> str:
    names = {str: "a text", int: "a whole number", float: "a number", bool: "true or false", Query: "a table"}
    if get_origin(kind) is list:
        return f"a list of which each item is {_type_name(get_args(kind)[0])}"
    return names.get(kind, "a table")


def _seen(value: Any) -> str:
    names = {
        str: "a text",
        int: "a whole number",
        float: "a number",
        bool: "true or false",
        list: "a list",
        dict: "a table",
    }
    return names.get(type(value), type(value).__name__)

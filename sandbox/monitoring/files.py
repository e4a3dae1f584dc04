"""The configuration files of Prometheus and Alertmanager. JSON is YAML, so nothing needs to be quoted by hand."""

import json
from collections.abc import Sequence
from pathlib import Path

from sandbox.monitoring.setup import WATCHDOG, Setup


def write_prometheus(folder: Path, setup: Setup, targets: Sequence[str], alertmanager: str) -> Path:
    """Write configuration and rules of Prometheus, and return the path of the configuration."""
    rules = [
        {"alert": rule.name, "expr": rule.expr, "for": f"{rule.for_s}s", "labels": {"severity": rule.severity}}
        for rule in setup.rules
    ]
    # Each in a group of its own: rules of one group are evaluated one after the other.
    groups = [{"name": rule["alert"], "interval": "1s", "rules": [rule]} for rule in rules]
    (folder / "rules.yml").write_text(json.dumps({"groups": groups}, indent=1))
    config = folder / "prometheus.yml"
    scraped = targets[: len(targets) - setup.unscraped]
    config.write_text(json.dumps(_prometheus(folder, setup, scraped, alertmanager), indent=1))
    return config


def _prometheus(folder: Path, setup: Setup, targets: Sequence[str], alertmanager: str) -> dict[str, object]:
    drop = [{"source_labels": ["__name__"], "regex": setup.dropped, "action": "drop"}] if setup.dropped else []
    jobs = [
        {
            "job_name": setup.job if not copy else f"{setup.job}-{copy + 1}",
            "static_configs": [{"targets": list(targets)}],
            "metric_relabel_configs": drop,
        }
        for copy in range(setup.copies)
    ]
    return {
        "global": {"scrape_interval": setup.interval, "scrape_timeout": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(folder / "rules.yml")],
        "scrape_configs": jobs,
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": [alertmanager]}]}] if alertmanager else []},
    }


def write_alertmanager(folder: Path, setup: Setup) -> Path:
    """Write the configuration of Alertmanager and return its path; its only receiver tells nobody."""
    inhibit = {
        "source_matchers": [f'alertname="{WATCHDOG}"'],
        "target_matchers": [f'alertname="{setup.inhibited}"'],
    }
    config = folder / "alertmanager.yml"
    content = {
        "route": {"receiver": "nobody", "group_wait": "1s"},
        "receivers": [{"name": "nobody"}],
        "inhibit_rules": [inhibit] if setup.inhibited else [],
    }
    config.write_text(json.dumps(content, indent=1))
    return config

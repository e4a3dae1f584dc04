"""Who is told, by the configuration of a drill, and what."""

import os
import time
from datetime import UTC, datetime, timedelta

from drill.launch import Launch
from drill.notify.bodies import GRAFANA_PATH, grafana_bodies, webhook_body
from drill.notify.deliver import Delivery, deliver, post_with
from drill.secret import Secret


def tell_receivers(started: Launch, exit_code: int) -> list[str]:
    """Tell Grafana and the webhook, as far as they are configured; return a line per receiver that was not told."""
    deliveries, problems = [], []
    for one in (_grafana(started, exit_code), _webhook(started, exit_code)):
        if isinstance(one, Delivery):
            deliveries.append(one)
        elif one:
            problems.append(one)
    return problems + (deliver(deliveries, post_with(started.config.service.ca_file)) if deliveries else [])


def _grafana(started: Launch, exit_code: int) -> Delivery | str:
    notify = started.config.notify
    if not notify.grafana_url:
        return ""
    token = _secret(started, notify.grafana_token_env)
    if notify.grafana_token_env and not token:
        return f"Grafana was not told: [notify] grafana_token_env names {notify.grafana_token_env}, which is not set"
    url = Secret(notify.grafana_url.rstrip("/") + GRAFANA_PATH)
    return Delivery("Grafana", url, grafana_bodies(started.record, exit_code, _safe(started), datetime.now(UTC)), token)


def _webhook(started: Launch, exit_code: int) -> Delivery | str:
    name = started.config.notify.webhook_url_env
    if not name:
        return ""
    url = _secret(started, name)
    if not url:
        return f"the webhook was not told: [notify] webhook_url_env names {name}, which is not set"
    return Delivery("the webhook", url, [webhook_body(started.record, exit_code)])


def _secret(started: Launch, name: str) -> Secret:
    return Secret(os.environ.get(name) or started.env_values.get(name) or "" if name else "")


def _safe(started: Launch) -> datetime | None:
    """Return when FAISS was proven: so long after the write of the flags, which only the monotonic clock knows."""
    drill, took_s = started.drill, started.record.time_to_safety_s
    if drill is None or drill.written_at is None or took_s is None:
        return None
    return datetime.now(UTC) - timedelta(seconds=time.monotonic() - (drill.written_at + took_s))

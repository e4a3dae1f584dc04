"""Asking a Prometheus server: vectors, raw samples, metadata and alerting rules, whole answers or none.

The queries are those of prometheus-api-client; what goes over the network is the drill's own client. That library by
itself waits for ever or retries for long, follows a redirect to a login page, drops the warning that an answer is
partial, and lets ``~/.netrc`` replace the token (METRICS.md, section A6).
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from drill.errors import CannotMeasure
from drill.http import HttpClient, Reply
from drill.words import count

if TYPE_CHECKING:
    from prometheus_api_client import PrometheusConnect
    from requests import Session

T = TypeVar("T")

TIMEOUT_S = 5.0
"""What one request may take in all, connecting included."""
HURRIED_S = 1.0
"""What one may take after one that got no answer in time, until there is an answer again: one hang is waited for."""
ATTEMPTS = 3
RETRY_PAUSE_S = 0.2
QUICK_S = 1.0
"""A connection that failed sooner is tried again; one that hung would only hang again."""
_ERRORS = ("bad_data", "timeout", "canceled", "execution", "internal", "unavailable", "not_found", "bad_response")
"""Prometheus' own names for what went wrong; other words of an answer are not repeated."""


class Sample(NamedTuple):
    """One element of an instant vector; ``timestamp`` is seconds by Prometheus' clock."""

    labels: Mapping[str, str]
    timestamp: float
    value: float


class Series(NamedTuple):
    """One element of a range vector: raw samples as they were stored, oldest first."""

    labels: Mapping[str, str]
    samples: Sequence[tuple[float, float]]
    """(seconds by Prometheus' clock, value); values may be NaN."""


class Described(NamedTuple):
    """A family that a target describes, with or without samples of it."""

    instance: str
    family: str
    kind: str


@dataclass(frozen=True, slots=True)
class AlertRule:
    """An alerting rule as Prometheus evaluates it."""

    name: str
    labels: Mapping[str, str]
    """The labels that the rule itself sets, with ``alertname``."""
    health: str
    """``ok``, ``err``, or ``unknown`` before the first evaluation."""
    evaluated: float
    """When it was evaluated last, seconds by Prometheus' clock."""
    interval_s: float


class PrometheusClient:
    """Reads from one Prometheus server. Every failure is a `CannotMeasure` of one line, without URL or credentials."""

    def __init__(
        self, url: str, *, token: str = "", ca_file: str = "", timeout_s: float = TIMEOUT_S, unauthorized: str = ""
    ) -> None:
        """``ca_file`` replaces the system's authorities; TLS is verified either way."""
        self._url = url.rstrip("/")
        self._timeout_s = timeout_s
        self._http = HttpClient(token=token, ca_file=ca_file, timeout_s=timeout_s, unauthorized=unauthorized)

    def now(self) -> float:
        """Return Prometheus' own time, in seconds."""
        found = self.vector("vector(time())")
        if len(found) != 1 or not math.isfinite(found[0].value):
            raise CannotMeasure("Prometheus does not say its own time; check [metrics] prometheus_url")
        return found[0].value

    def vector(self, expr: str, at: float | None = None) -> list[Sample]:
        """Evaluate ``expr`` at Prometheus time ``at``, by default now; values may be NaN."""
        params = {} if at is None else {"time": f"{at:.3f}"}

        def ask() -> list[Sample]:
            return [_sample(item) for item in self._api[0].custom_query(expr, params=params)]

        return _understood(ask)

    def raw(self, selector: str, span_s: float, until: float | None = None) -> list[Series]:
        """Return the raw samples of ``selector`` in the ``span_s`` seconds up to Prometheus time ``until``, or now.

        Both ends are inside: a millisecond more is asked for, because newer servers leave the early end out.
        """
        params = {} if until is None else {"time": f"{until:.3f}"}
        expr = f"{selector}[{math.ceil(1000 * span_s) + 1}ms]"

        def ask() -> list[Series]:
            return [one for item in self._api[0].custom_query(expr, params=params) for one in _series(item)]

        return _understood(ask)

    def described(self, matchers: str) -> list[Described]:
        """Return the families that the targets with these labels describe: registered, with or without samples."""

        def ask() -> list[Described]:
            params = {"match_target": f"{{{matchers}}}"}
            found = self._api[1].get(f"{self._url}/api/v1/targets/metadata", params=params).json()["data"]
            return [Described(str(i["target"].get("instance", "")), str(i["metric"]), str(i["type"])) for i in found]

        return _understood(ask)

    def rules(self) -> list[AlertRule]:
        """Return every alerting rule."""
        params = {"type": "alert", "exclude_alerts": "true"}

        def ask() -> list[AlertRule]:
            groups = self._api[1].get(f"{self._url}/api/v1/rules", params=params).json()["data"]["groups"]
            return [_rule(rule, group) for group in groups for rule in group["rules"] if rule["type"] == "alerting"]

        return _understood(ask)

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    @cached_property
    def _api(self) -> tuple["PrometheusConnect", "Session"]:
        from prometheus_api_client import PrometheusConnect

        session = _session(self._exchange)
        return PrometheusConnect(url=self._url, session=session), session

    def _exchange(self, url: str) -> Reply:
        for attempt in range(1, ATTEMPTS + 1):
            reply = self._http.get(url, headers={"Accept": "application/json"})
            if not reply.error or reply.latency_s > QUICK_S or attempt == ATTEMPTS:
                break
            time.sleep(RETRY_PAUSE_S * attempt)
        late = bool(reply.error) and "in time" in reply.error
        self._http.timeout_s = min(HURRIED_S, self._timeout_s) if late else self._timeout_s
        return reply


def _session(exchange: Callable[[str], Reply]) -> "Session":
    """Return a session of which every request, whatever its URL looks like, is exchanged by ``exchange``.

    `requests` looks for a transport by the text of a URL, which it has rewritten by then (``%7E``, ``a/../b``, a name
    that is not ASCII): what is mounted under the URL as it was configured need not be found. Complete successful
    answers are handed on; all others raise.
    """
    from requests import PreparedRequest, Response, Session
    from requests.adapters import BaseAdapter

    class Adapter(BaseAdapter):
        def send(self, request: PreparedRequest, *_args: object, **_options: object) -> Response:
            reply = exchange(request.url or "")
            _check(reply)
            response = Response()
            response.status_code, response.url, response.request = reply.status, request.url or "", request
            response._content = reply.body  # noqa: SLF001 - how adapters of other transports hand a body over
            return response

        def close(self) -> None:
            """Nothing is held here."""

    class Bounded(Session):
        def get_adapter(self, url: str | bytes) -> BaseAdapter:  # noqa: ARG002 - one for all
            return adapter

    adapter = Adapter()
    session = Bounded()
    session.trust_env = False
    return session


def _check(reply: Reply) -> None:
    """Raise `CannotMeasure` unless ``reply`` is a whole answer of Prometheus."""
    if reply.status in {401, 403}:
        what = reply.hint or "check the token that [metrics] bearer_token_env names"
        raise CannotMeasure(f"Prometheus: seen HTTP {reply.status}; {what}")
    if reply.error or "json" not in reply.content_type:
        raise CannotMeasure(f"Prometheus: seen {reply.seen()}, expected JSON; check [metrics] prometheus_url")
    answer = _json(reply)
    if not reply.ok or answer.get("status") != "success":
        kind = next((name for name in _ERRORS if name == answer.get("errorType")), "no known kind")
        raise CannotMeasure(f"Prometheus: seen HTTP {reply.status} with an error ({kind}), expected a result")
    if warnings := answer.get("warnings"):
        number = len(warnings) if isinstance(warnings, list) else 1
        said = count(number, "warning")
        raise CannotMeasure(f"Prometheus: the answer is partial ({said}), expected a whole one; try again")


def _json(reply: Reply) -> Mapping[str, object]:
    import json

    try:
        answer = json.loads(reply.body)
    except (ValueError, RecursionError):
        answer = None
    return answer if isinstance(answer, dict) else {}


def _understood(ask: Callable[[], list[T]]) -> list[T]:
    """Return what ``ask`` finds; whatever it raises, the answer was not understood."""
    try:
        return ask()
    except CannotMeasure:
        raise
    except Exception as error:
        name = type(error).__name__
        raise CannotMeasure(f"Prometheus: the answer has an unknown form ({name}); is it a Prometheus API?") from error


def _sample(item: Any) -> Sample:
    timestamp, value = item["value"]
    return Sample({str(key): str(text) for key, text in item["metric"].items()}, float(timestamp), float(value))


def _series(item: Any) -> list[Series]:
    """Return the series of floats in ``item``, and those that a native histogram stands for: its count and its sum.

    A native histogram is one series under the name of its family, and has no values; its buckets are not read.
    """
    labels = {str(key): str(text) for key, text in item["metric"].items()}
    found = [Series(labels, [(float(at), float(value)) for at, value in item.get("values", ())])]
    if native := item.get("histograms", ()):
        name = labels.get("__name__", "")
        found += [
            Series({**labels, "__name__": f"{name}_{part}"}, [(float(at), float(one[part])) for at, one in native])
            for part in ("count", "sum")
        ]
    return [series for series in found if series.samples]


def _rule(rule: Any, group: Any) -> AlertRule:
    labels = {str(key): str(text) for key, text in (rule.get("labels") or {}).items()}
    name = str(rule["name"])
    evaluated = datetime.fromisoformat(rule["lastEvaluation"]).timestamp()
    return AlertRule(name, {**labels, "alertname": name}, str(rule["health"]), evaluated, float(group["interval"]))

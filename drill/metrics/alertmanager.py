"""Asking Alertmanager what becomes of alerts: told to somebody, silenced, or inhibited by another one.

It only explains. Its lists leave out what is silenced unless they are asked for it, and an Alertmanager that nobody
sends alerts to has an empty list: whether an alert fires is for Prometheus to say (METRICS.md, numbers 52 and 53).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from drill.errors import CannotMeasure
from drill.http import HttpClient

TIMEOUT_S = 2.0
"""What the one request may take: it only explains."""
LIST = "/api/v2/alerts?active=true&silenced=true&inhibited=true&unprocessed=true"

Alert = frozenset[tuple[str, str]]
"""The labels of an alert as Prometheus has it."""


@dataclass(frozen=True, slots=True)
class Routed:
    """An alert as Alertmanager has it; it may have gained labels on the way (``external_labels``)."""

    labels: Alert
    silenced: bool
    inhibited: bool

    @property
    def note(self) -> str:
        """What became of it, in a word or two; empty if it is told to whom it may concern."""
        return " and ".join(filter(None, ("silenced" * self.silenced, "inhibited" * self.inhibited)))


class Alertmanager:
    """One Alertmanager, by its v2 API."""

    def __init__(self, url: str, *, token: str = "", ca_file: str = "") -> None:
        """``ca_file`` replaces the system's authorities; TLS is verified either way."""
        self._url = url.rstrip("/")
        self._http = HttpClient(token=token, ca_file=ca_file, timeout_s=TIMEOUT_S)

    def notes(self, alerts: Iterable[Alert]) -> Mapping[Alert, str]:
        """Return what became of those of ``alerts`` that are kept from somebody. Raises `CannotMeasure`."""
        routed = self._routed()
        found: dict[Alert, str] = {}
        for alert in alerts:
            if note := next((one.note for one in routed if alert <= one.labels and one.note), ""):
                found[alert] = note
        return found

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def _routed(self) -> list[Routed]:
        reply = self._http.get(self._url + LIST, headers={"Accept": "application/json"})
        given = reply.json()
        if not isinstance(given, list):
            raise CannotMeasure(f"Alertmanager: seen {reply.seen()}, expected a list; check [metrics] alertmanager_url")
        try:
            return [_routed(item) for item in given]
        except (KeyError, TypeError, AttributeError) as error:
            raise CannotMeasure(
                f"Alertmanager: the answer has an unknown form ({type(error).__name__}); is it Alertmanager's v2 API?"
            ) from None


def _routed(item: Mapping[str, Mapping[str, object]]) -> Routed:
    labels = frozenset((str(label), str(value)) for label, value in item["labels"].items())
    status = item["status"]
    return Routed(labels, bool(status["silencedBy"]), bool(status["inhibitedBy"]))

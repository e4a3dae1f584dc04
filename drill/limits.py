"""What an answer says of a limit on requests: ``Retry-After``, ``X-RateLimit-*``, ``RateLimit`` of the IETF drafts.

Read are RFC 9110 section 10.2.3 (seconds or a date), the headers that gateways have sent since before there was a draft
(``X-RateLimit-Remaining`` and its kin, whose reset is a number of seconds or a time of the epoch), and the drafts of
httpapi-ratelimit-headers: single fields, ``limit=100, remaining=3, reset=7``, and ``"policy";r=3;t=7``.
"""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from enum import StrEnum

FINE, TOO_MANY, UNAVAILABLE = 200, 429, 503
EPOCH, EPOCH_MS = 1e9, 1e12
"""A reset from the one on is a time of the epoch in seconds, and from the other on in milliseconds."""
_NUMBER = re.compile(r"\s*(\d+(?:\.\d+)?)\s*s?\s*(?:[,;].*)?")
_PART = re.compile(r"(limit|remaining|reset|r|t)\s*=\s*(\d+)")
_NAMES = ("x-ratelimit-", "x-rate-limit-", "ratelimit-")


class Apart(StrEnum):
    """Why a request says nothing of how well the service is: it is counted apart, neither answered nor failed."""

    LIMITED = "limited"
    """The service limits its clients, and this was one request too many."""
    UNMEASURED = "not measured"
    """The drill itself did not send it, or stood still while it was under way."""


@dataclass(frozen=True, slots=True)
class Told:
    """What one answer tells of a limit; ``None`` is not told."""

    status: int = FINE
    retry_after_s: float | None = None
    remaining: float | None = None
    """Requests that are left until the reset."""
    reset_s: float | None = None
    """Seconds until there are new ones."""
    limit: float | None = None
    """Requests that there are after a reset."""

    @property
    def limited(self) -> bool:
        """Whether this request was turned away for the number of requests alone.

        503 with nothing remaining is what some gateways say instead of 429; without that it is a service that is down.
        """
        return self.status == TOO_MANY or (self.status == UNAVAILABLE and self.remaining == 0)

    @property
    def unavailable(self) -> bool:
        """Whether it is said that nobody is served for a moment: users meet that as the drill does."""
        return self.status == UNAVAILABLE and (bool(self.wait_s) or self.remaining == 0)

    @property
    def wait_s(self) -> float | None:
        """For how long nothing more should be sent, as far as it is told."""
        return self.retry_after_s if self.retry_after_s is not None else self.reset_s


def told(status: int, headers: Mapping[str, str], now: float) -> Told:
    """Read the headers of an answer (names in any case). Nonsense is not told.

    ``now`` are seconds of the epoch, for answers that have no ``Date``: a date is compared with the clock that made it.
    """
    low = {name.lower(): value for name, value in headers.items()}
    now = _date(low.get("date", ""), now)
    single = {part: _single(low, part) for part in ("remaining", "reset", "limit")}
    whole = min(_policies(low.get("ratelimit", "")), key=_per_second, default={})
    found = {part: value if (value := single[part]) is not None else whole.get(part) for part in single}
    reset = found["reset"]
    return Told(
        status, _retry_after(low.get("retry-after", ""), now), found["remaining"], _until(reset, now), found["limit"]
    )


def _retry_after(text: str, now: float) -> float | None:
    if (seconds := _number(text)) is not None or not text:
        return seconds
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - now)
    except (ValueError, OverflowError):
        return None


def _date(text: str, default: float) -> float:
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, OverflowError):
        return default


def _single(headers: Mapping[str, str], part: str) -> float | None:
    values = (_number(headers.get(name + part, "")) for name in _NAMES)
    return next((value for value in values if value is not None), None)


def _policies(text: str) -> Iterator[dict[str, float]]:
    """Yield the limits of a ``RateLimit`` field: one in the older form, else one for each policy."""
    short = {"r": "remaining", "t": "reset"}
    items = [text] if "remaining" in text else text.split(",")
    for item in items:
        if parts := {short.get(name, name): float(value) for name, value in _PART.findall(item)}:
            yield parts


def _per_second(policy: Mapping[str, float]) -> float:
    return policy.get("remaining", math.inf) / (policy.get("reset") or 1.0)


def _until(reset: float | None, now: float) -> float | None:
    if reset is None or reset < EPOCH:
        return reset
    return max(0.0, (reset / 1000 if reset >= EPOCH_MS else reset) - now)


def _number(text: str) -> float | None:
    found = _NUMBER.fullmatch(text)
    return float(found[1]) if found else None

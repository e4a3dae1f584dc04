"""What answers say of a limit, in every form that is in use."""

from collections.abc import Mapping

import pytest

from drill.limits import Told, told

NOW = 1_792_000_000.0
"""2026-10-14 17:46:40 UTC, in seconds of the epoch."""


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("54", 54.0),
        (" 1.5 ", 1.5),
        ("0", 0.0),
        ("Wed, 14 Oct 2026 17:47:10 GMT", 30.0),
        ("Wed, 14 Oct 2026 17:46:00 GMT", 0.0),
        ("soon", None),
        ("", None),
        ("-5", None),
        ("Wed, 14 Oct 99999 17:47:10 GMT", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(text: str, seconds: float | None) -> None:
    assert told(429, {"Retry-After": text}, NOW).retry_after_s == seconds


@pytest.mark.parametrize(
    ("headers", "remaining", "reset", "limit"),
    [
        ({"X-RateLimit-Remaining": "3", "X-RateLimit-Reset": "7", "X-RateLimit-Limit": "60"}, 3, 7, 60),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(int(NOW) + 12)}, 0, 12, None),
        ({"X-RateLimit-Reset": str(int(NOW * 1000) + 9000)}, None, 9, None),
        ({"X-RateLimit-Reset": "999999999"}, None, 999_999_999, None),
        ({"X-RateLimit-Reset": "1000000000"}, None, 0, None),  # long ago
        ({"X-RateLimit-Reset": "1000000000000"}, None, 0, None),
        ({"X-RateLimit-Reset": str(int(NOW * 1000) - 9000)}, None, 0, None),
        ({"X-Rate-Limit-Remaining": "5", "X-Rate-Limit-Limit": "100, 100;w=60"}, 5, None, 100),
        ({"RateLimit-Limit": "10", "RateLimit-Remaining": "1", "RateLimit-Reset": "50"}, 1, 50, 10),
        ({"RateLimit": "limit=100, remaining=3, reset=7"}, 3, 7, 100),
        ({"RateLimit": '"default";r=50;t=30'}, 50, 30, None),
        ({"RateLimit": '"hour";r=900;t=1800, "second";r=1;t=10'}, 1, 10, None),
        ({"RateLimit": '"burst";r=5, "minute";r=40;t=10'}, 40, 10, None),  # 5 a second and 4
        ({"RateLimit": '"now";r=5;t=1, "minute";r=60;t=10'}, 5, 1, None),
        ({"RateLimit": '"over";r=5;t=0, "minute";r=60;t=10'}, 5, 0, None),
        ({"RateLimit": '"quota";t=9, "minute";r=60;t=10'}, 60, 10, None),
        ({"X-RateLimit-Remaining": "many", "RateLimit": "no idea"}, None, None, None),
        ({"X-RateLimit-Reset": "1s", "X-RateLimit-Remaining": "9"}, 9, 1, None),
    ],
)
def test_what_remains_is_read_in_every_form(
    headers: Mapping[str, str], remaining: float | None, reset: float | None, limit: float | None
) -> None:
    assert told(200, headers, NOW) == Told(200, None, remaining, reset, limit)


@pytest.mark.parametrize(
    ("status", "headers", "limited"),
    [
        (429, {}, True),
        (503, {}, False),
        (503, {"X-RateLimit-Remaining": "1"}, False),
        (503, {"Retry-After": "3"}, False),
        (503, {"X-RateLimit-Remaining": "0"}, True),
        (200, {"X-RateLimit-Remaining": "0"}, False),
    ],
)
def test_only_one_request_too_many_is_limited(status: int, headers: Mapping[str, str], limited: bool) -> None:
    """503 alone is a service that is down, which is not the drill's doing."""
    assert told(status, headers, NOW).limited is limited


@pytest.mark.parametrize(
    ("status", "headers", "unavailable"),
    [
        (503, {}, False),
        (503, {"Retry-After": "3"}, True),
        (503, {"X-RateLimit-Remaining": "0"}, True),
        (503, {"X-RateLimit-Remaining": "1"}, False),
        (503, {"Retry-After": "0"}, False),
        (429, {"Retry-After": "3"}, False),
        (200, {"Retry-After": "3"}, False),
    ],
)
def test_a_503_that_asks_to_wait_is_unavailable_to_everybody(
    status: int, headers: Mapping[str, str], unavailable: bool
) -> None:
    assert told(status, headers, NOW).unavailable is unavailable


def test_how_long_to_wait_is_what_retry_after_says_else_the_reset() -> None:
    assert Told(429, 5.0, 0, 9.0).wait_s == 5.0
    assert Told(429, None, 0, 9.0).wait_s == 9.0
    assert Told(429).wait_s is None

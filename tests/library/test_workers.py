"""Several workers behind one address: what readings show of them, and what nothing shows."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from drill.checks.workers import ASKED, TOTAL, partly_counted, several_workers
from drill.context import Drill
from drill.http import Reply
from drill.limits import Apart
from drill.observation import Reading
from tests.library.server import CLASSIC, Answer, ScriptedService, as_json, scripted
from tests.library.world import A, B, make_drill, reading, snapshot

SEARCH = "/internal/retrieval/search"


def readings(*seen: tuple[float, float], instance: str = A) -> list[Reading]:
    """Return readings of (start time, requests)."""
    return [
        reading(float(at), snapshot(instance, {TOTAL: requests}, started=started))
        for at, (started, requests) in enumerate(seen)
    ]


@pytest.mark.parametrize(
    ("starts", "restarts", "seen"),
    [
        ((1, 1, 1), False, ""),
        ((1, 2, 2), False, "a:1 shows several start times"),
        ((1, 1, 2), False, "a:1 shows several start times"),
        ((1, 2, 2), True, ""),
        ((1, 2, 3), True, ""),
        ((1, 2, 1), True, "a:1 shows several start times"),
        ((1, 2, 3, 1), True, "a:1 shows several start times"),
    ],
)
def test_a_start_time_that_changes_is_a_restart_where_one_may_be_unless_it_comes_back(
    starts: tuple[float, ...], restarts: bool, seen: str
) -> None:
    assert several_workers(readings(*((start, 5) for start in starts)), restarts=restarts) == seen


@pytest.mark.parametrize("restarts", [False, True])
@pytest.mark.parametrize(
    ("totals", "several"), [((5, 5, 5), False), ((5, 6, 7), False), ((5, 6, 5), True), ((5, 4.5), True)]
)
def test_a_counter_that_goes_down_in_one_process_is_that_of_two(
    totals: tuple[float, ...], several: bool, restarts: bool
) -> None:
    seen = several_workers(readings(*((1, total) for total in totals)), restarts=restarts)
    assert seen == (f"a:1: {TOTAL} went down without a restart" if several else "")


def test_a_counter_that_begins_anew_after_a_restart_shows_nothing() -> None:
    assert several_workers(readings((1, 50), (2, 3), (2, 4)), restarts=True) == ""


def test_what_is_seen_of_one_instance_is_not_held_against_another() -> None:
    first, second = (snapshot(A, started=1.0), snapshot(B, started=2.0)), (snapshot(A, started=1.0),)
    assert several_workers([reading(0.0, *second), reading(1.0, *first)], restarts=False) == ""
    odd = [reading(0.0, *first), reading(1.0, snapshot(A, started=1.0), snapshot(B, started=3.0))]
    assert several_workers(odd, restarts=False) == "b:2 shows several start times"


@pytest.fixture
def server() -> Iterator[ScriptedService]:
    with scripted() as server:
        server.script["OPTIONS", SEARCH] = as_json({}, 405)
        yield server


@pytest.fixture
def drill(tmp_path: Path, server: ScriptedService) -> Drill:
    return make_drill(tmp_path, toml=f'[service]\nbase_url = "{server.url}"')


def counting(server: ScriptedService, most: int, *, again: float = 1.0) -> None:
    """Let the service count no more than ``most`` of the requests that the drill sends; ``again``: its last start."""

    def page(_body: object) -> Answer:
        asked = sum(method == "OPTIONS" for method, _ in server.asked)
        started = again if asked else 1.0
        lines = (
            "# TYPE http_requests counter",
            f"process_start_time_seconds {started}",
            'http_requests_total{method="GET"} 99',
            f'http_requests_total{{method="OPTIONS"}} {min(asked, most)}',
            "",
        )
        return Answer("\n".join(lines).encode(), kind=CLASSIC)

    server.script["GET", "/metrics"] = page


@pytest.mark.parametrize(("counted", "partly"), [(0, False), (1, True), (ASKED - 1, True), (ASKED, False)])
def test_an_instance_that_counts_some_of_the_drill_s_own_requests_and_not_all_is_one_worker_of_several(
    drill: Drill, server: ScriptedService, counted: int, partly: bool
) -> None:
    counting(server, counted)
    seen = f"{server.url[7:]} counts {counted} of {ASKED} requests that only this drill sends"
    assert partly_counted(drill) == (seen if partly else "")


@pytest.mark.parametrize(
    "untold",
    [Reply(429, "", b"", 0.01, apart=Apart.LIMITED), Reply(0, "", b"", 0.01, error="connection broken off")],
    ids=["limited", "broken off"],
)
def test_a_request_that_was_not_answered_need_not_be_counted(
    drill: Drill, server: ScriptedService, untold: Reply
) -> None:
    """A gateway turns some away: whoever counts the rest counts all that it gets."""
    replies = [untold] * 3 + [Reply(405, "", b"", 0.01)] * (ASKED - 3)

    def page(_body: object) -> Answer:
        counted = f'http_requests_total{{method="OPTIONS"}} {0 if replies else ASKED - 3}'
        text = f"# TYPE http_requests counter\nprocess_start_time_seconds 1.0\n{counted}\n"
        return Answer(text.encode(), kind=CLASSIC)

    server.script["GET", "/metrics"] = page
    drill.__dict__["client"] = SimpleNamespace(get=drill.client.get, request=lambda *_, **__: replies.pop())
    assert partly_counted(drill) == ""
    assert not replies


def test_an_instance_that_counts_a_little_later_is_waited_for(drill: Drill, server: ScriptedService) -> None:
    seen = iter([0, 3, ASKED])

    def page(_body: object) -> Answer:
        counting(server, next(seen))
        whole = server.script["GET", "/metrics"]
        server.script["GET", "/metrics"] = page
        return whole if isinstance(whole, Answer) else whole({})

    server.script["GET", "/metrics"] = page
    assert partly_counted(drill) == ""
    assert next(seen, None) is None


def test_an_instance_that_restarts_meanwhile_shows_nothing(drill: Drill, server: ScriptedService) -> None:
    counting(server, 3, again=2.0)
    assert partly_counted(drill) == ""


def test_an_instance_whose_metrics_cannot_be_read_shows_nothing(drill: Drill) -> None:
    assert partly_counted(drill) == ""

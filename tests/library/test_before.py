"""The look beside the write: what it sees counts, what comes too late does not, and nobody waits for it for long."""

import threading
import time
from pathlib import Path
from typing import Any, cast

import pytest

from drill import before as before_module
from drill.before import LookBefore, answers_searches, still_down
from drill.context import Drill
from drill.http import Reply
from drill.limits import Apart
from drill.probe import ProbeResult
from drill.service import Health
from tests.library.world import A, B, Probes, make_drill, reading, snapshot, with_probes


def health(status: int, instance: str = A) -> Health:
    return Health(instance, Reply(status, "text/plain", b"", 0.01))


class Service:
    """Stands for instances that answer a health request when they are let."""

    def __init__(self, *answers: Health) -> None:
        self.answers = list(answers)
        self.let = threading.Event()

    def health(self, _instances: object = None) -> list[Health]:
        self.let.wait(10)
        return self.answers


@pytest.fixture
def drill(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Drill:
    drill = make_drill(tmp_path, toml=f'[service]\ninstances = ["{A}", "{B}"]\n')
    monkeypatch.setattr(Drill, "glance_at_metrics", lambda _self: reading(0.0, snapshot(A)))
    drill.__dict__["source"] = cast("Any", None)
    return drill


def looking(drill: Drill, service: Service) -> LookBefore:
    drill.__dict__["service"] = service
    drill.look.begin()
    return drill.look


def test_what_answers_in_time_is_known(drill: Drill) -> None:
    service = Service(health(200), health(503, B))
    look = looking(drill, service)
    service.let.set()
    assert look._done.wait(10)
    look.end()
    assert (look.was_up(A), look.was_up(B), look.was_up("http://c:3")) == (True, False, None)
    assert [one.instance for one in look.sick()] == [B]
    assert look.reading is not None


def test_what_comes_when_the_reload_has_begun_is_not(drill: Drill, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be of an instance that is being stopped."""
    monkeypatch.setattr(before_module, "BESIDE_S", 0.05)
    service = Service(health(503))
    look = looking(drill, service)
    began = time.monotonic()
    look.end()
    assert time.monotonic() - began < 5.0, "nobody waits for the look itself"
    service.let.set()
    assert look._done.wait(10)
    assert (look.was_up(A), look.sick(), look.reading) == (None, [], None)


def test_metrics_that_another_row_read_before_the_reload_will_do(drill: Drill, monkeypatch: pytest.MonkeyPatch) -> None:
    """The look itself may hang; what is kept after the reload has begun is none of before."""
    monkeypatch.setattr(before_module, "BESIDE_S", 0.05)
    read = reading(1.0, snapshot(A))
    drill.look.keep(reading(0.5, snapshot(B)))
    assert drill.look.reading is None, "nothing was written that it would be before of"
    look = looking(drill, Service())
    look.keep(read)
    look.end()
    look.keep(reading(2.0, snapshot(B)))
    assert look.reading is read


def test_an_instance_that_was_well_once_was_well(drill: Drill) -> None:
    look = drill.look
    look.note([health(503)])
    look.note([health(200)])
    look.note([health(503)])
    assert look.was_up(A) is True


def test_a_look_that_was_never_begun_is_not_waited_for(drill: Drill, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(before_module, "BESIDE_S", 3600.0)
    drill.look.end()
    assert drill.look.was_up(A) is None


def probed(drill: Drill, *answered: bool) -> Drill:
    found = [ProbeResult(float(at), A, 0.01, ok, "" if ok else "HTTP 500") for at, ok in enumerate(answered)]
    return with_probes(drill, Probes(found))


@pytest.mark.parametrize(
    ("answered", "since", "expected"),
    [
        ((), 0.0, False),
        ((True,), 0.0, True),
        ((True,), 1.0, False),
        ((False, True), 0.0, False),
        ((False, False, False, True, True, True), 0.0, True),
        ((True, True, True, False, False, False), 0.0, False),
    ],
)
def test_an_instance_answers_searches_if_most_of_its_last_probes_were_answered(
    drill: Drill, answered: tuple[bool, ...], since: float, expected: bool
) -> None:
    assert answers_searches(probed(drill, *answered), A, since) is expected


def test_searches_that_the_service_limited_do_not_say_that_it_is_down(drill: Drill) -> None:
    found = [ProbeResult(0.0, A, 0.01, ok=True, error="")]
    found += [ProbeResult(float(at), A, 0.0, ok=False, error="HTTP 429", apart=Apart.LIMITED) for at in range(1, 9)]
    assert answers_searches(with_probes(drill, Probes(found)), A, 0.0)
    assert not answers_searches(with_probes(drill, Probes(found)), A, 1.0)


@pytest.mark.parametrize(
    ("before", "after", "searches", "down"),
    [
        (200, 503, True, True),
        (503, 503, True, False),
        (503, 503, False, True),
        (404, 404, True, False),
        (503, 200, False, False),
        (None, 503, True, False),
        (None, 503, False, True),
    ],
)
def test_health_decides_where_it_was_good_before_and_searches_where_it_was_not(
    drill: Drill, before: int | None, after: int, searches: bool, down: bool
) -> None:
    drill.look.begun = True
    if before is not None:
        drill.look.note([health(before)])
    assert bool(still_down(probed(drill, searches), [health(after)], 0.0)) is down


def test_where_nothing_was_changed_health_decides(drill: Drill) -> None:
    """A file that was rolled back already: there was no write to look beside."""
    assert still_down(probed(drill, True), [health(503)], 0.0)

"""When an instance is back, late or broken: each look at hand-made processes, health and searches, without a clock."""

import json
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from email.utils import formatdate
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from drill.comeback import EFFECT_S, Clocks, Comeback, new_processes
from drill.context import Drill
from drill.http import Reply
from drill.observation import Reading
from drill.probe import ProbeResult
from drill.proof.flags import Flag
from drill.proof.spoken import Spoken
from drill.service import Health
from tests.library.world import A, B, Probes, make_drill, reading, snapshot, with_probes

OLD, NEW = 1000.0, 2000.0
BACKEND = "RETRIEVAL_BACKEND"


class Instances:
    """Stands for the service: answers health with these statuses, and is seen as these readings."""

    def __init__(self, statuses: Mapping[str, int]) -> None:
        self.instances: tuple[str, ...] = (A, B)
        self.statuses = dict(statuses)
        self.asked: list[str] = []

    def health(self, instances: Sequence[str] | None = None) -> list[Health]:
        asked = self.instances if instances is None else instances
        self.asked += asked
        return [Health(name, Reply(self.statuses[name], "", b"", 0.01)) for name in asked]


class Scene:
    """A drill whose instances, readings and probes are made by hand."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.drill = make_drill(folder, toml=f'[service]\ninstances = ["{A}", "{B}"]\n')
        self.service = Instances({A: 200, B: 200})
        self.drill.__dict__["service"] = cast("Any", self.service)
        with_probes(self.drill, Probes())
        self.readings: list[Reading] = []
        monkeypatch.setattr(Drill, "glance_at_metrics", lambda _self: self.readings.pop(0))
        self.before: Reading | None = reading(0.0, snapshot(A, started=OLD), snapshot(B, started=OLD))

    def comeback(self, *was: bool | None, **choices: Any) -> Comeback:
        up = dict(zip((A, B), was or (True, True), strict=True))
        return Comeback(self.drill, self.before, was_up=up.get, began=0.0, **choices)

    def shows(self, a: float | None, b: float | None, at: float = 1.0) -> "Scene":
        """Have the next glance show processes that started then; ``None``: none can be read."""
        found = [snapshot(name, started=start) for name, start in ((A, a), (B, b)) if start]
        unread = {name: "connection refused" for name, start in ((A, a), (B, b)) if not start}
        self.readings.append(reading(at, *found, unread=unread))
        return self

    def probed(self, *answered: bool, instance: str = A) -> "Scene":
        found = [ProbeResult(1e9 + at, instance, 0.01, ok, "") for at, ok in enumerate(answered)]
        with_probes(self.drill, Probes(found))
        return self


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    return Scene(tmp_path, monkeypatch)


def test_all_are_back_when_each_is_well_as_a_new_process(scene: Scene) -> None:
    back = scene.shows(NEW, NEW).comeback()
    assert back.look()
    assert (back.late, back.broken, back.proven) == ([], [], True)


def test_a_process_that_is_well_and_the_old_one_is_late(scene: Scene) -> None:
    back = scene.shows(NEW, OLD).comeback()
    assert not back.look()
    assert (back.late, back.broken, back.proven) == ([B], [], False)


def test_who_is_back_is_not_asked_again_and_stays_back(scene: Scene) -> None:
    """A health that comes and goes, or a crash later on, is for other rows to judge."""
    back = scene.shows(NEW, OLD).shows(NEW, NEW).comeback()
    back.look()
    scene.service.statuses[A] = 503
    assert back.look()
    assert scene.service.asked == [A, B, B]


def test_one_that_was_up_and_is_down_is_broken(scene: Scene) -> None:
    scene.service.statuses[B] = 503
    back = scene.shows(NEW, NEW).comeback()
    assert not back.look()
    assert [one.instance for one in back.broken] == [B]
    assert back.late == []


def test_one_that_was_down_is_neither_broken_nor_late(scene: Scene) -> None:
    scene.service.statuses[B] = 503
    back = scene.shows(NEW, None).comeback(True, False)
    assert not back.look()
    assert (back.broken, back.late) == ([], [])


@pytest.mark.parametrize(("answered", "broken"), [(True, False), (False, True)])
def test_where_it_is_not_known_searches_decide(scene: Scene, answered: bool, broken: bool) -> None:
    scene.service.statuses[B] = 503
    back = scene.probed(answered, instance=B).shows(NEW, OLD).comeback(True, None)
    assert not back.look()
    assert bool(back.broken) is broken


@pytest.mark.parametrize(("was", "back_again"), [(False, True), (None, True), (True, False)])
def test_searches_stand_for_a_health_that_was_not_good_before(scene: Scene, was: bool | None, back_again: bool) -> None:
    scene.service.statuses[A] = 503
    back = scene.probed(True).shows(NEW, NEW).comeback(was, True)
    assert back.look() is back_again


def test_searches_that_the_old_process_answered_do_not_count(scene: Scene) -> None:
    """They must have been due since the new one was seen."""
    scene.service.statuses[A] = 503
    found = [ProbeResult(0.5, A, 0.01, ok=True, error="")]
    with_probes(scene.drill, Probes(found))
    assert not scene.shows(NEW, NEW).comeback(False, True).look()


def test_an_instance_that_could_be_read_and_cannot_is_waited_for(scene: Scene) -> None:
    back = scene.shows(NEW, None).comeback()
    assert not back.look()
    assert (back.late, back.broken) == ([], []), "it is on its way, and well by its health"


def test_where_no_restart_is_expected_health_is_enough(scene: Scene) -> None:
    back = scene.comeback(expects_restart=False)
    assert back.look()
    assert not back.proven


def counted(a: float, b: float, at: float, backend: str = "faiss", started: float | None = OLD) -> Reading:
    key = f"retrieval_requests_total{{backend={backend}}}"
    return reading(at, snapshot(A, {key: a}, started=started), snapshot(B, {key: b}, started=started))


def served(scene: Scene, backend: str = "faiss", started: float | None = OLD) -> None:
    """Have two glances, a while apart, between which both instances served their probes from ``backend``."""
    scene.readings = [counted(5, 5, 1.0, backend, started), counted(9, 9, 2.0 + EFFECT_S, backend, started)]
    found = [ProbeResult(1.5, name, 0.01, ok=True, error="") for name in (A, B)]
    with_probes(scene.drill, Probes(found))


@pytest.mark.parametrize(
    ("backend", "rolled_back", "back"),
    [("faiss", [BACKEND], True), ("faiss", ["FF_RETRIEVAL_SHADOW_READ"], False), ("pgvector", [BACKEND], False)],
)
def test_a_process_that_the_traffic_shows_on_faiss_is_not_waited_for_if_that_is_new(
    scene: Scene, backend: str, rolled_back: list[str], back: bool
) -> None:
    served(scene, backend)
    comeback = scene.comeback(rolled_back=rolled_back)
    assert not comeback.look()
    assert comeback.look() is back
    assert comeback.proven is back
    assert comeback.late == ([] if back else [A, B])


@pytest.mark.parametrize(("backend", "back"), [("faiss", True), ("pgvector", False)])
def test_processes_that_do_not_tell_their_start_are_back_once_nothing_speaks_against_it(
    scene: Scene, backend: str, back: bool
) -> None:
    scene.before = counted(1, 1, 0.0, "pgvector", None)
    served(scene, backend, None)
    comeback = scene.comeback()
    assert not comeback.look(), "the traffic has not been looked at yet"
    assert comeback.look() is back
    assert not comeback.proven, "a doubt is no proof"
    served(scene, backend, None)
    comeback = scene.comeback(rolled_back=[BACKEND])
    assert not comeback.look()
    assert comeback.look() is back
    assert comeback.proven is back, "but the traffic is one"


@pytest.mark.parametrize(
    ("told", "back"),
    [({Flag.BACKEND: True}, True), ({Flag.BACKEND: False}, False), ({Flag.DUAL_WRITE: True}, False), ({}, False)],
)
def test_a_process_that_says_that_its_flag_is_rolled_back_is_not_waited_for(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, told: dict[Flag, bool], back: bool
) -> None:
    """Once a look: it takes no worker's flags for those of all, and is no proof."""
    said = {A: Spoken(told), B: Spoken({Flag.BACKEND: True})}
    asked: list[int] = []

    def ask(_drill: Drill, *, times: int) -> Mapping[str, Spoken]:
        asked.append(times)
        return said

    monkeypatch.setattr("drill.proof.spoken.ask", ask)
    comeback = scene.shows(OLD, OLD).comeback(rolled_back=[BACKEND])
    assert comeback.look() is back
    assert not comeback.proven
    assert asked == [1]


@pytest.mark.parametrize(("b", "growth", "proven"), [(True, 4.0, True), (True, 0.0, False), (False, 4.0, False)])
def test_where_no_process_tells_its_start_only_what_all_of_them_serve_proves_it(
    scene: Scene, b: bool, growth: float, proven: bool
) -> None:
    """All are back, for nothing speaks against it; one that is idle, or cannot be read, is proven by nothing."""
    read = [
        counted(1, 1, 0.0, "pgvector", None),
        counted(5, 5, 1.0, "faiss", None),
        counted(5 + growth, 9, 2.0 + EFFECT_S, "faiss", None),
    ]
    if not b:
        read = [replace(one, snapshots={A: one.snapshots[A]}, unread={B: "connection refused"}) for one in read]
    scene.before, *scene.readings = read
    comeback = scene.comeback(rolled_back=[BACKEND])
    assert [comeback.look(), comeback.look()] == [False, True]
    assert comeback.proven is proven


def test_behind_one_address_every_process_that_was_met_must_be_new(scene: Scene) -> None:
    scene.service.instances = (A,)
    scene.before = replace(reading(0.0, snapshot(A, started=OLD)), behind_one_address="1 met")
    first, second = snapshot(f"{A} (1)", started=OLD), snapshot(f"{A} (2)", started=NEW)
    scene.readings = [
        replace(reading(1.0, first, second), behind_one_address="2 met"),
        replace(reading(2.0, second), behind_one_address="1 met"),
    ]
    back = scene.comeback()
    assert not back.look()
    assert back.late == [A]
    assert back.look()


@pytest.mark.parametrize(("deadline", "looks"), [(0.0, 1), (float("inf"), 3)])
def test_it_is_looked_until_all_are_back_or_the_time_is_over_and_once_at_least(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, deadline: float, looks: int
) -> None:
    monkeypatch.setattr("drill.comeback.pause_s", lambda _waited: 0.0)
    back = scene.shows(OLD, OLD).shows(NEW, OLD).shows(NEW, NEW).comeback()
    back.wait(deadline)
    assert 3 - len(scene.readings) == looks
    assert (back.late == []) is (looks == 3)


class StillWaitingError(Exception):
    """Stands for the time that is waited."""


@pytest.mark.parametrize(
    ("known", "shown", "status", "waits"),
    [
        (True, None, 200, True),  # it could be read before, and cannot: stopped
        (True, NEW, 503, True),  # another one starts
        (True, OLD, 200, False),
        (True, OLD, 503, False),
        (False, None, 503, True),  # its metrics never told; its health does
        (False, None, 200, False),
    ],
)
def test_a_restart_that_is_seen_to_begin_is_waited_for_beyond_the_time_and_no_other(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, known: bool, shown: float | None, status: int, waits: bool
) -> None:
    def pause(_waited: float) -> float:
        raise StillWaitingError

    monkeypatch.setattr("drill.comeback.pause_s", pause)
    if not known:
        scene.before = reading(0.0, snapshot(B, started=OLD), unread={A: "HTTP 404"})
    scene.service.statuses[A] = status
    back = scene.shows(shown, OLD).comeback()
    with pytest.raises(StillWaitingError) if waits else nullcontext():
        back.wait(0.0, float("inf"))


@pytest.mark.parametrize("known", [True, False])
def test_what_could_never_be_read_is_not_waited_for_as_one_that_is_gone(scene: Scene, known: bool) -> None:
    """Its metrics tell nothing, before or after: health must do, once the others speak against nothing."""
    scene.before = reading(0.0, snapshot(A, started=OLD), unread={B: "HTTP 404"}) if known else None
    back = scene.shows(NEW, None).shows(NEW, None, 9.0).comeback()
    assert not back.look()
    scene.drill.written_at = time.monotonic() - time.time() + NEW
    assert back.look()


@pytest.mark.parametrize(("gap_s", "at"), [(1.5, 1.0), (36e9, 9.0)])
def test_the_traffic_is_looked_at_over_a_while_and_over_two_readings(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, gap_s: float, at: float
) -> None:
    """The newest scrape may be the same one again."""
    monkeypatch.setattr("drill.comeback.EFFECT_S", gap_s)
    scene.before = counted(1, 1, 0.0, "pgvector", None)
    scene.readings = [counted(5, 5, 1.0, "faiss", None), counted(9, 9, at, "faiss", None)]
    back = scene.comeback()
    assert [back.look(), back.look()] == [False, False]


def dated(drill: Drill, ahead_s: float | None) -> Drill:
    """Have the host's clock be so much ahead, as its answers show; ``None``: they are not dated."""
    drill.written_at = time.monotonic()
    if ahead_s is not None:
        drill.clocks.note(A, formatdate(time.time() + ahead_s, usegmt=True))
    return drill


@pytest.mark.parametrize(
    ("ahead_s", "started_s", "new"),
    [
        (0, 1.5, True),
        (0, -0.8, True),
        (0, -30.0, False),
        (None, 1.5, True),
        (None, -30.0, False),
        (600, 601.5, True),
        (600, 570.0, False),
        (-600, -598.5, True),
        (-600, -630.0, False),
    ],
)
def test_a_process_that_started_after_the_write_is_a_new_one_by_the_clock_of_its_host(
    tmp_path: Path, ahead_s: float | None, started_s: float, new: bool
) -> None:
    """A kernel tells starts up to a second early; clocks of hosts differ by any amount."""
    drill = dated(make_drill(tmp_path), ahead_s)
    after = reading(1.0, snapshot(A, started=time.time() + started_s))
    for before in (None, Reading(0, 0, {}, {A: "connection refused"})):
        assert new_processes(drill, before, after) == ([A] if new else [])


@pytest.mark.parametrize(
    ("dates", "ahead"),
    [
        ([0, 10], 10),  # an answer may come late: the clock is as far ahead as the promptest shows
        ([10, 0], 10),
        ([0, 29, 58], 58),
        ([0, 30], 0),  # the clock was set: a process may have started by either
        ([0, 600, 605], 0),
        ([600, 0, 5], 5),
    ],
)
def test_a_clock_that_was_set_has_two_distances_and_late_answers_make_none(dates: list[int], ahead: float) -> None:
    clocks = Clocks(cast("Any", SimpleNamespace(seconds=lambda: 1e9)))
    for date in dates:
        clocks.note(A, formatdate(1e9 + date, usegmt=True))
    assert clocks.ahead(A) == ahead


def test_where_there_is_a_process_to_compare_with_no_clock_is_asked(tmp_path: Path) -> None:
    drill = dated(make_drill(tmp_path), 0)
    before = reading(0.0, snapshot(A, started=5.0), snapshot(B, started=time.time() + 5))
    after = reading(1.0, snapshot(A, started=6.0), before.snapshots[B])
    assert new_processes(drill, before, after) == [A]


def test_a_date_that_is_none_is_passed_over(tmp_path: Path) -> None:
    drill = make_drill(tmp_path)
    for text in ("", "yesterday", json.dumps({})):
        drill.clocks.note(A, text)
    assert drill.clocks.ahead(A) == 0.0


def test_behind_one_address_what_was_met_before_decides_and_no_clock(tmp_path: Path) -> None:
    drill = dated(make_drill(tmp_path), 0)
    before = reading(0.0, snapshot(A, started=5.0))
    met = snapshot(f"{A} (2)", started=5.0), snapshot(f"{A} (3)", started=6.0)
    after = replace(reading(1.0, *met), behind_one_address="2 met")
    assert new_processes(drill, before, after) == [f"{A} (3)"]
    assert new_processes(drill, None, replace(after, snapshots={A: snapshot(A, started=time.time() + 5)})) == [A]


def test_without_a_write_nothing_is_new_that_cannot_be_compared(tmp_path: Path) -> None:
    after = reading(1.0, snapshot(A, started=time.time() + 5))
    assert new_processes(make_drill(tmp_path), None, after) == []


def test_a_process_that_does_not_tell_its_start_is_not_called_new(tmp_path: Path) -> None:
    assert new_processes(dated(make_drill(tmp_path), 0), None, reading(1.0, snapshot(A, started=None))) == []

"""A rung is judged on the processes that have taken it, however late they come, and by what it broke."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from drill import comeback as comeback_module
from drill.context import Drill
from drill.reopen.ladder import Ladder
from drill.reopen.rungs import Rung, shadow_rungs
from tests.library.restarting import Restarting, drill_on, end, reloaded_by
from tests.library.server import Answer, as_json, running
from tests.library.world import ROLLED_BACK


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comeback_module, "EFFECT_S", 0.1)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Restarting]:
    with running(Restarting()) as server:
        server.env_file = tmp_path / ".env"
        yield server


def ladder(folder: Path, server: Restarting, timeout_s: float) -> tuple[Drill, Ladder, Rung]:
    drill = drill_on(folder, server, env=ROLLED_BACK, timeout_s=timeout_s)
    return drill, Ladder(drill), shadow_rungs(drill.config, {})[0]


def test_a_rung_waits_for_a_restart_that_comes_late(tmp_path: Path, server: Restarting) -> None:
    """The command has returned by then, and the old process answers well."""
    drill, climbed, rung = ladder(tmp_path, server, 3600)
    reloaded_by(drill, "true")
    ticks: list[str] = []

    def tick(text: str) -> None:
        ticks.append(text)
        if sum("come back" in one for one in ticks) == 3:
            (tmp_path / "taken").write_text(drill.env_file.path.read_text())

    drill.tick = tick
    assert climbed._take(rung) == ""
    end(drill)
    assert drill.new_processes == [server.url]


def test_a_service_that_takes_a_rung_without_a_restart_is_waited_for_once(tmp_path: Path, server: Restarting) -> None:
    server.restarts = False
    drill, climbed, rung = ladder(tmp_path, server, 0.5)
    before = climbed._restarts
    assert climbed._take(rung) == ""
    assert (before, climbed._restarts) == (True, False)
    end(drill)


@pytest.mark.parametrize("odd", [as_json({}, 503), Answer(b"OK", 200, "text/html"), as_json({}, 404)])
def test_a_health_that_was_so_before_is_no_reason_to_leave_a_rung(
    tmp_path: Path, server: Restarting, odd: Answer
) -> None:
    server.constant = odd
    drill, climbed, rung = ladder(tmp_path, server, 3600)
    drill.prober  # noqa: B018 - searches decide
    assert climbed._take(rung) == ""
    end(drill)


def test_a_health_that_a_rung_makes_bad_is_one(tmp_path: Path, server: Restarting) -> None:
    server.dead_on = "SHADOW_READ=ON"
    drill, climbed, rung = ladder(tmp_path, server, 0.5)
    assert "not healthy within 0.5 s" in climbed._take(rung)
    end(drill)

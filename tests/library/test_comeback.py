"""Before and after: what the change broke is put back, what was so before is not, and a late restart is waited for."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from drill import before as before_module
from drill import comeback as comeback_module
from drill import limiter as limiter_module
from drill import rollback as rollback_module
from drill import service as service_module
from drill.checks import preflight
from drill.context import Drill
from drill.record import Evidence
from drill.rollback import Progress, Rollback
from drill.runner import Runner
from drill.steps.flags import disable_shadow_read, force_faiss
from drill.verdict import Verdict
from tests.library.restarting import Restarting, drill_on, end, impatient, reloaded_by
from tests.library.server import Answer, as_json, running
from tests.library.world import MIGRATING, ROLLED_BACK

FOREVER_S = 3600.0
"""A reload timeout that no test may have to wait for."""


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollback_module, "PROOF_S", 0.3)
    monkeypatch.setattr(rollback_module, "PROOF_PROBES", 2)
    monkeypatch.setattr(comeback_module, "EFFECT_S", 0.3)
    monkeypatch.setattr(service_module, "POLL_S", 0.02)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Restarting]:
    with running(Restarting()) as server:
        server.env_file = tmp_path / ".env"
        yield server


@pytest.fixture
def started(tmp_path: Path, server: Restarting) -> Iterator[list[Drill]]:
    del tmp_path, server
    drills: list[Drill] = []
    yield drills
    for drill in drills:
        end(drill)


@pytest.fixture
def drill(tmp_path: Path, server: Restarting, started: list[Drill]) -> Drill:
    started.append(drill_on(tmp_path, server, timeout_s=FOREVER_S))
    return started[0]


def rolled_back(drill: Drill) -> tuple[Rollback, Evidence]:
    rollback = Rollback(drill)
    rollback.write()
    rollback.look()
    return rollback, force_faiss(drill, rollback)[1]


def after_ticks(count: int, act: Callable[[], object]) -> Callable[[str], None]:
    """Return a tick that acts when it has been waited for the instances so often."""
    ticks = 0

    def tick(text: str) -> None:
        nonlocal ticks
        ticks += "come back" in text
        if ticks == count:
            ticks += 1
            act()

    return tick


def text_of(drill: Drill) -> str:
    return drill.env_file.path.read_text()


def take(drill: Drill) -> Callable[[], object]:
    taken = drill.env_file.path.with_name("taken")
    return lambda: taken.write_bytes(drill.env_file.path.read_bytes())


@pytest.mark.parametrize(
    "odd",
    [
        Answer(b"OK", 200, "text/html"),
        Answer(b"", 204, ""),
        as_json({"status": "degraded"}, 503),
        Answer(b"", 302, "text/html", {"Location": "/login"}),
        as_json({}, 401),
        as_json({}, 404),
        as_json({}, 500),
    ],
    ids=lambda answer: f"{answer.status} {answer.kind}",
)
def test_a_health_that_was_so_before_undoes_no_rollback(drill: Drill, server: Restarting, odd: Answer) -> None:
    """Whatever it says: searches are answered by FAISS."""
    server.constant = odd
    rollback, evidence = rolled_back(drill)
    assert (rollback.progress, evidence.verdict) == (Progress.EFFECTIVE, Verdict.PASS)
    assert (text_of(drill), drill.record.restored) == (ROLLED_BACK, False)


def test_a_health_that_was_good_and_is_bad_after_the_restart_is_what_the_change_broke(
    drill: Drill, server: Restarting
) -> None:
    server.dead_on = "BACKEND=faiss"
    rollback, evidence = rolled_back(impatient(drill))
    assert rollback.progress is Progress.RESTORED
    assert "not healthy within 0.4 s ([service] reload_timeout_s)" in evidence.reason
    assert text_of(drill) == MIGRATING


@pytest.mark.parametrize("asks_to_wait", [{}, {"Retry-After": "3600"}])
def test_a_service_that_is_well_and_warms_up_is_judged_once_it_answers_searches(
    drill: Drill, server: Restarting, monkeypatch: pytest.MonkeyPatch, asks_to_wait: dict[str, str]
) -> None:
    """The wait is part of the reload, and the windows begin after it; it ends when it ends, whatever time was told."""
    monkeypatch.setattr(limiter_module, "DOWN_S", 0.3)
    warming, waits = [True], []
    search = server.search
    server.script["POST", "/internal/retrieval/search"] = lambda body: (
        Answer(b"", 503, "text/plain", asks_to_wait)
        if server.current() and server.starts > 1 and warming[0]
        else search(body)
    )

    def tick(text: str) -> None:
        waits.append("searches" in text)
        warming[0] = sum(waits) < 3

    drill.tick = tick
    rollback = Rollback(drill)
    rollback.write()
    rollback.look()
    assert force_faiss(drill, rollback)[1].verdict is Verdict.PASS
    assert sum(waits) >= 3
    assert rollback.reload_s is not None
    assert rollback.reload_s < limiter_module.LONGEST_S


def test_a_health_that_comes_and_goes_undoes_no_rollback(drill: Drill, server: Restarting) -> None:
    answers = iter([200] + [503, 503, 200, 503, 503] * 1000)
    server.script["GET", "/health"] = lambda _body: as_json({}, next(answers))
    rollback, evidence = rolled_back(drill)
    assert (rollback.progress, evidence.verdict) == (Progress.EFFECTIVE, Verdict.PASS)


def test_a_service_that_limits_how_often_its_health_is_asked_is_not_down(drill: Drill, server: Restarting) -> None:
    """The drill's own asking must not undo its rollback."""
    server.script["GET", "/health"] = lambda _body: as_json({}, 200 if server.starts == 1 else 429)
    rollback, evidence = rolled_back(drill)
    assert (rollback.progress, evidence.verdict) == (Progress.EFFECTIVE, Verdict.PASS)


@pytest.mark.parametrize(("searches", "progress"), [(200, Progress.EFFECTIVE), (500, Progress.RESTORED)])
def test_where_it_is_not_known_how_it_was_searches_decide(
    drill: Drill, server: Restarting, monkeypatch: pytest.MonkeyPatch, searches: int, progress: Progress
) -> None:
    """The look beside the write took too long: neither reload nor verdict waits for it."""
    monkeypatch.setattr(before_module, "BESIDE_S", 0.0)
    monkeypatch.setattr(before_module.LookBefore, "note", lambda _self, _found: None)
    server.constant = as_json({}, 503)
    if searches != 200:
        server.script["POST", "/internal/retrieval/search"] = as_json({}, searches)
    rollback, _ = rolled_back(drill if searches == 200 else impatient(drill))
    assert rollback.progress is progress


def test_one_of_two_that_was_down_before_undoes_no_rollback_and_is_not_waited_for_when_it_is_put_back(
    tmp_path: Path, server: Restarting, started: list[Drill]
) -> None:
    with running(Restarting()) as other:
        other.env_file, other.boots_on = tmp_path / "other" / ".env", "nothing that there is"
        drill = drill_on(tmp_path, server, other, timeout_s=1.0)
        started.append(drill)
        rollback, evidence = rolled_back(drill)
        end(drill)
    assert (rollback.progress, drill.record.restored) == (Progress.EFFECTIVE, False)
    assert text_of(drill) == ROLLED_BACK
    assert evidence.verdict is Verdict.ERROR, "of the instance that is down nothing is proven"


def test_one_of_two_that_was_up_before_and_is_down_after_has_the_env_file_put_back(
    tmp_path: Path, server: Restarting, started: list[Drill]
) -> None:
    with running(Restarting()) as other:
        other.env_file, other.boots_on = tmp_path / ".env", "pgvector"
        drill = drill_on(tmp_path, server, other, timeout_s=1.0)
        started.append(drill)
        rollback, evidence = rolled_back(drill)
        end(drill)
    assert rollback.progress is Progress.RESTORED
    assert other.url in evidence.reason
    assert server.url not in evidence.reason
    assert text_of(drill) == MIGRATING


def test_a_restart_that_comes_after_the_command_has_returned_is_waited_for(drill: Drill, server: Restarting) -> None:
    """The old process answers, and is healthy, until then."""
    reloaded_by(drill, "true")
    drill.tick = after_ticks(5, take(drill))
    rollback, evidence = rolled_back(drill)
    assert (evidence.verdict, rollback.late) == (Verdict.PASS, [])
    assert disable_shadow_read(drill, rollback)[1].verdict is Verdict.PASS
    assert (server.starts, drill.new_processes) == (2, [server.url])


def test_a_restart_that_never_comes_is_said_with_what_is_likely_and_undoes_nothing(drill: Drill) -> None:
    rollback, evidence = rolled_back(impatient(reloaded_by(drill, "true")))
    assert evidence.verdict is Verdict.FAIL
    assert "no new process on 127.0.0.1:" in evidence.reason
    assert "within 0.4 s of the reload ([service] reload_timeout_s)" in evidence.reason
    assert "--no-block" in evidence.reason
    assert (rollback.progress, drill.record.restored, text_of(drill)) == (Progress.EFFECTIVE, False, ROLLED_BACK)


def test_a_service_that_takes_the_file_without_a_restart_is_not_waited_for(drill: Drill, server: Restarting) -> None:
    """As on SIGHUP: the traffic shows it."""
    server.restarts = False
    rollback, evidence = rolled_back(drill)
    assert (rollback.progress, evidence.verdict, server.starts) == (Progress.EFFECTIVE, Verdict.PASS, 1)


@pytest.mark.parametrize(("said", "late"), [("OFF", False), ("ON", True)])
def test_a_process_that_says_that_its_flag_is_off_is_not_waited_for(
    tmp_path: Path, server: Restarting, started: list[Drill], said: str, late: bool
) -> None:
    """Where only dual-write was on, no traffic shows whether the running process has taken the file."""
    server.restarts = False
    server.script["GET", "/flags"] = as_json({"dual_write": said})
    env = ROLLED_BACK.replace("DUAL_WRITE=OFF", "DUAL_WRITE=ON")
    timeout_s = 1.0 if late else FOREVER_S
    drill = drill_on(tmp_path, server, env=env, timeout_s=timeout_s, toml='flags_path = "/flags"')
    started.append(drill)
    rollback, _ = rolled_back(drill)
    assert rollback.late == ([server.url] if late else [])


def test_instances_that_restart_one_after_the_other_are_all_waited_for(
    tmp_path: Path, server: Restarting, started: list[Drill]
) -> None:
    with running(Restarting()) as other:
        other.env_file = tmp_path / "other" / ".env"
        other.env_file.parent.mkdir()
        drill = drill_on(tmp_path, server, other, timeout_s=FOREVER_S)
        started.append(drill)
        drill.tick = after_ticks(5, lambda: other.env_file.with_name("taken").write_text(ROLLED_BACK))
        _, evidence = rolled_back(drill)
        end(drill)
    assert evidence.verdict is Verdict.PASS
    assert (server.starts, other.starts) == (2, 2)


def test_what_restarts_once_more_while_it_is_watched_is_watched_from_there_on(drill: Drill, server: Restarting) -> None:
    rollback = Rollback(drill)
    restarts = [server.restart]

    def once_more() -> None:
        if restarts:
            restarts.pop()()

    rollback.on_settled = once_more
    assert force_faiss(drill, rollback)[1].verdict is Verdict.PASS
    assert server.starts == 3


def test_a_command_that_fails_although_every_instance_restarted_undoes_nothing(tmp_path: Path, drill: Drill) -> None:
    reloaded_by(drill, "sh", "-c", f"cp {tmp_path / '.env'} {tmp_path / 'taken'}; echo warning: 1 orphan; exit 1")
    rollback, evidence = rolled_back(drill)
    assert (rollback.progress, evidence.verdict) == (Progress.EFFECTIVE, Verdict.PASS)
    assert "ended with exit code 1; its last words: warning: 1 orphan" in evidence.reason
    assert evidence.reason.endswith("though every instance is seen to follow")


def test_a_command_that_fails_before_a_restart_that_comes_all_the_same_undoes_nothing(drill: Drill) -> None:
    """As a connection that breaks off does, over which the restart was asked for."""
    drill.tick = after_ticks(3, take(reloaded_by(drill, "false")))
    rollback, evidence = rolled_back(drill)
    assert (rollback.progress, evidence.verdict, text_of(drill)) == (Progress.EFFECTIVE, Verdict.PASS, ROLLED_BACK)


def test_a_command_that_fails_once_it_has_stopped_the_service_is_given_the_time_of_a_reload(
    drill: Drill, server: Restarting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The old process is gone, so a new one is on its way."""
    monkeypatch.setattr(rollback_module, "FAILED_S", 0.0)
    server.boots_on = "BACKEND="
    reloaded_by(drill, "sh", "-c", f"echo stopped > {tmp_path / 'taken'}; exit 1")
    drill.tick = after_ticks(3, take(drill))
    rollback, evidence = rolled_back(drill)
    assert (rollback.progress, evidence.verdict, text_of(drill)) == (Progress.EFFECTIVE, Verdict.PASS, ROLLED_BACK)


def test_a_command_that_fails_and_restarts_nothing_has_the_env_file_put_back_and_the_service_is_not_called_down(
    drill: Drill, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rollback_module, "FAILED_S", 0.3)
    rollback, evidence = rolled_back(reloaded_by(drill, "false"))
    assert (rollback.progress, text_of(drill)) == (Progress.RESTORED, MIGRATING)
    assert "and the service is up, but could not be reloaded: command 'false'" in evidence.reason


@pytest.mark.parametrize("follows", [True, False])
def test_a_command_that_fails_where_no_start_is_told_is_judged_by_the_traffic_and_never_green_by_silence(
    tmp_path: Path, drill: Drill, server: Restarting, follows: bool
) -> None:
    """What serves from FAISS follows, and is not undone; what shows nothing does not follow, and is."""
    server.tells_start = False
    took = f"cp {tmp_path / '.env'} {tmp_path / 'taken'}; " if follows else ""
    rollback, evidence = rolled_back(reloaded_by(drill, "sh", "-c", f"{took}exit 1"))
    where = (Progress.EFFECTIVE, ROLLED_BACK) if follows else (Progress.RESTORED, MIGRATING)
    assert (rollback.progress, text_of(drill)) == where
    assert evidence.verdict is (Verdict.INCONCLUSIVE if follows else Verdict.FAIL), "no start, no restart"
    assert "ended with exit code 1" in evidence.reason


def healing(drill: Drill) -> Runner:
    """Run the rows as a drill does, in their order; return who ran them."""
    runner = Runner(drill, Rollback(drill))
    runner.write_flags()
    runner.begin_probing()
    runner.check("preflight.service", preflight.service)
    runner.check("preflight.metrics", preflight.metrics)
    first = {row: drill.record.entries[row] for row in ("preflight.service", "preflight.metrics")}
    assert {entry.evidence.verdict for entry in first.values()} == {Verdict.NOT_RUN}
    assert all(entry.later and entry.evidence.reason.startswith("before the rollback: ") for entry in first.values())
    runner.step("force_faiss", force_faiss)
    return runner


def test_a_service_that_does_not_boot_on_the_sick_target_is_healed(drill: Drill, server: Restarting) -> None:
    """Nothing is there to compare its process with: that it started after the write shows that it is a new one."""
    server.boots_on = "faiss"
    server.script["OPTIONS", "/internal/retrieval/search"] = as_json({}, 405)
    server.script["OPTIONS", "/internal/retrieval/embed"] = as_json({}, 405)
    server.script["OPTIONS", "/chat/advise"] = as_json({}, 405)
    runner = healing(drill)
    entries = drill.record.entries
    assert runner.rollback.progress is Progress.EFFECTIVE
    assert entries["preflight.service"].evidence.verdict is Verdict.PASS
    assert entries["preflight.service"].evidence.reason.startswith("healed: 1 instance healthy, endpoints present")
    assert "HTTP 503" in entries["preflight.service"].evidence.reason
    assert entries["preflight.metrics"].evidence.verdict is Verdict.PASS
    assert entries["force_faiss"].evidence.verdict is Verdict.PASS
    assert "healed: 127.0.0.1:" in entries["force_faiss"].evidence.reason
    assert drill.new_processes == [server.url]
    assert not any(entry.later for entry in entries.values())


def test_a_service_that_stays_down_is_red_and_keeps_the_flags(drill: Drill, server: Restarting) -> None:
    server.boots_on = "nothing that there is"
    runner = healing(impatient(drill))
    entries = drill.record.entries
    assert (runner.rollback.progress, text_of(drill)) == (Progress.EFFECTIVE, ROLLED_BACK)
    assert entries["preflight.service"].evidence.verdict is Verdict.FAIL
    assert "(before the rollback: " in entries["preflight.service"].evidence.reason
    assert entries["preflight.metrics"].evidence.verdict is Verdict.ERROR
    assert drill.record.exit_code == 1


def test_in_a_dry_run_a_service_that_is_down_is_not_known_at_once(
    tmp_path: Path, server: Restarting, started: list[Drill]
) -> None:
    """Nobody knows yet whether the rollback heals it."""
    server.boots_on = "faiss"
    drill = drill_on(tmp_path, server, apply=False)
    started.append(drill)
    runner = Runner(drill, Rollback(drill))
    assert runner.check("preflight.service", preflight.service).evidence.verdict is Verdict.INCONCLUSIVE

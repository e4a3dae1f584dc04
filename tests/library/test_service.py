"""The service under drill: its health, and how it takes a new env file."""

import json
import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from drill.config import Service
from drill.http import Reply
from drill.limits import Apart
from drill.service import Health, RetrievalService, each
from tests.library.server import Answer, ScriptedService, as_json, scripted
from tests.library.world import shared_client


@pytest.fixture
def server() -> Iterator[ScriptedService]:
    with scripted() as server:
        server.script["GET", "/health"] = as_json({"status": "ok"})
        yield server


def quiet(_text: str) -> None:
    """Take a tick and do nothing."""


def service(*servers: ScriptedService, command: list[str] | None = None, timeout_s: float = 10.0) -> RetrievalService:
    urls = [server.url for server in servers]
    settings = Service(instances=urls, reload_command=command or [], reload_timeout_s=timeout_s)
    return RetrievalService(settings, shared_client())


def python(code: str) -> list[str]:
    return [sys.executable, "-S", "-c", code]


@pytest.mark.parametrize(
    ("answer", "ok"),
    [
        (as_json({}), True),
        (Answer(b"OK", 200, "text/html"), True),
        (Answer(b"", 204, ""), True),
        (Answer(b"", 302, "text/html", {"Location": "/login"}), False),
        (as_json({}, 401), False),
        (as_json({}, 404), False),
        (as_json({"status": "ok"}, 503), False),
    ],
)
def test_an_instance_is_healthy_by_its_status_alone(server: ScriptedService, answer: Answer, ok: bool) -> None:
    """Whatever the page holds, and of whatever kind it is."""
    server.script["GET", "/health"] = answer
    (health,) = service(server).health()
    assert (health.ok, health.instance) == (ok, server.url)


def test_a_search_is_a_post_of_query_size_and_tenant(server: ScriptedService) -> None:
    seen = []

    def answer(body: dict[str, object]) -> Answer:
        seen.append(body)
        return as_json({"results": []})

    server.script["POST", "/internal/retrieval/search"] = answer
    assert service(server).search(server.url, "q", "acme", 3).ok
    assert seen == [{"query": "q", "top_k": 3, "tenant": "acme"}]


def test_all_instances_are_asked_at_the_same_time() -> None:
    meeting = threading.Barrier(3, timeout=10.0)

    def wait(name: str) -> str:
        meeting.wait()
        return name

    assert each(wait, ["a", "b", "c"]) == ["a", "b", "c"]
    assert each(wait, []) == []


def test_without_a_command_only_health_is_awaited(server: ScriptedService, tmp_path: Path) -> None:
    outcome = service(server).reload(tmp_path / ".env", quiet)
    assert outcome.problem == ""
    assert 0 <= outcome.seconds < 5.0


def test_reload_waits_until_every_instance_is_healthy(server: ScriptedService, tmp_path: Path) -> None:
    answers = iter([as_json({}, 503), as_json({}, 503)])
    server.script["GET", "/health"] = lambda _body: next(answers, as_json({}))
    ticks: list[str] = []
    assert service(server).reload(tmp_path / ".env", ticks.append).problem == ""
    assert ticks == ["waiting for the service to be healthy"] * 2


def test_an_instance_that_does_not_become_healthy_in_time_is_named(server: ScriptedService, tmp_path: Path) -> None:
    with scripted() as other:
        other.script["GET", "/health"] = as_json({}, 503)
        outcome = service(server, other, timeout_s=0.2).reload(tmp_path / ".env", quiet)
    assert outcome.problem.startswith("not healthy within 0.2 s")
    assert f"{other.url}: HTTP 503" in outcome.problem
    assert server.url not in outcome.problem
    assert 0.2 <= outcome.seconds < 4.0


def test_a_service_that_limits_the_drill_is_not_down(server: ScriptedService, tmp_path: Path) -> None:
    """Health answered 429 is no reason to undo a rollback."""
    server.script["GET", "/health"] = Answer(b"slow down", 429, "text/plain", {"Retry-After": "1"})
    (health,) = service(server).health()
    assert not health.ok
    assert health.reply.apart is Apart.LIMITED
    assert service(server, timeout_s=0.2).reload(tmp_path / ".env", quiet).problem == ""


def test_a_long_wait_for_health_asks_ever_more_rarely(
    server: ScriptedService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service that takes a minute to boot is asked about a hundred times, not a thousand times."""
    now = [0.0]
    monkeypatch.setattr("drill.service.time.monotonic", lambda: now[0])
    monkeypatch.setattr("drill.service.time.sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))
    sick = service(server, timeout_s=60.0)
    asked: list[float] = []

    def health(_instances: object) -> list[Health]:
        asked.append(now[0])
        return [Health(server.url, Reply(503, "", b"", 0.0))]

    monkeypatch.setattr(sick, "health", health)
    assert sick.reload(tmp_path / ".env", quiet).problem.startswith("not healthy within 60 s")
    assert asked[1] == pytest.approx(0.1)
    assert len(asked) < 110


def test_the_command_is_told_the_env_file_and_is_no_shell(server: ScriptedService, tmp_path: Path) -> None:
    code = "import json, os, sys; json.dump([os.environ['DRILL_ENV_FILE'], sys.argv[1:]], open(sys.argv[1], 'w'))"
    command = [*python(code), str(tmp_path / "seen"), "$HOME; *"]
    assert service(server, command=command).reload(tmp_path / ".env", quiet).problem == ""
    env_file, arguments = json.loads((tmp_path / "seen").read_text())
    assert env_file == str(tmp_path / ".env")
    assert arguments == [str(tmp_path / "seen"), "$HOME; *"]


def test_the_env_file_is_told_by_its_absolute_path(
    server: ScriptedService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    command = python("import os, pathlib; pathlib.Path('seen').write_text(os.environ['DRILL_ENV_FILE'])")
    assert service(server, command=command).reload(Path(".env"), quiet).problem == ""
    assert (tmp_path / "seen").read_text() == str(tmp_path / ".env")


def test_a_command_that_fails_is_a_problem_and_its_output_is_never_shown(
    server: ScriptedService, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    code = "import sys; print('hunter2'); print('hunter2', file=sys.stderr); sys.exit(7)"
    outcome = service(server, command=python(code)).reload(tmp_path / ".env", quiet)
    assert outcome.problem.endswith("ended with exit code 7")
    assert "hunter2" not in outcome.problem
    assert capfd.readouterr() == ("", "")
    assert server.asked == []


def test_a_command_that_is_killed_is_a_problem(server: ScriptedService, tmp_path: Path) -> None:
    outcome = service(server, command=python("import os; os.kill(os.getpid(), 9)")).reload(tmp_path / ".env", quiet)
    assert outcome.problem.endswith("ended with exit code -9")


def test_a_command_that_cannot_be_started_is_a_problem(server: ScriptedService, tmp_path: Path) -> None:
    outcome = service(server, command=[str(tmp_path / "missing")]).reload(tmp_path / ".env", quiet)
    assert outcome.problem.startswith("command 'missing' could not be started (FileNotFoundError)")
    assert str(tmp_path) not in outcome.problem


def alive(pid: int) -> bool:
    """Return whether a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def gone(pid: int) -> bool:
    deadline = time.monotonic() + 5.0
    while alive(pid) and time.monotonic() < deadline:
        threading.Event().wait(0.01)
    return not alive(pid)


HANGING = """
import os, pathlib, signal, sys, time
if os.fork() == 0:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    pathlib.Path(sys.argv[1] + ".new").write_text(str(os.getpid()))
    os.rename(sys.argv[1] + ".new", sys.argv[1])
time.sleep(60)
"""


def test_a_command_that_hangs_is_ended_with_its_whole_process_group(server: ScriptedService, tmp_path: Path) -> None:
    child = tmp_path / "child"
    ticks: list[str] = []
    outcome = service(server, command=[*python(HANGING), str(child)], timeout_s=1.0).reload(
        tmp_path / ".env", ticks.append
    )
    assert "did not end within 1 s" in outcome.problem
    assert outcome.seconds < 8.0
    assert set(ticks) == {"restarting the service"}
    assert gone(int(child.read_text()))


def test_an_interruption_ends_the_command_and_goes_on(server: ScriptedService, tmp_path: Path) -> None:
    child = tmp_path / "child"

    def interrupt(_text: str) -> None:
        if child.exists():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        service(server, command=[*python(HANGING), str(child)], timeout_s=20.0).reload(tmp_path / ".env", interrupt)
    assert gone(int(child.read_text()))


def test_what_a_command_left_running_is_the_service_and_lives_on(server: ScriptedService, tmp_path: Path) -> None:
    child = tmp_path / "child"
    code = (
        "import os, pathlib, sys, time\npid = os.fork()\nif pid == 0: time.sleep(60)\n"
        "pathlib.Path(sys.argv[1]).write_text(str(pid))"
    )
    assert service(server, command=[*python(code), str(child)]).reload(tmp_path / ".env", quiet).problem == ""
    pid = int(child.read_text())
    assert alive(pid)
    os.kill(pid, 9)
    assert gone(pid)

"""The rollback itself: one edit, one reload, the proof, and the way back."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from drill import rollback as rollback_module
from drill.checks import environment_kept
from drill.context import Drill
from drill.envfile import EditPlan, EnvWriteFailed
from drill.errors import Refused
from drill.record import Evidence
from drill.rollback import Progress, Rollback
from drill.steps.flags import disable_shadow_read, force_faiss
from drill.verdict import Outcome, Verdict
from tests.library.restarting import Restarting, drill_on, end, impatient
from tests.library.server import CLASSIC, Answer, running
from tests.library.world import MIGRATING, ROLLED_BACK, make_drill


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollback_module, "PROOF_S", 0.3)
    monkeypatch.setattr(rollback_module, "PROOF_PROBES", 2)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Restarting]:
    with running(Restarting()) as server:
        server.env_file = tmp_path / ".env"
        yield server


@pytest.fixture
def drill(tmp_path: Path, server: Restarting) -> Iterator[Drill]:
    drill = drill_on(tmp_path, server)
    yield drill
    end(drill)


def text_of(drill: Drill) -> str:
    return drill.env_file.path.read_text()


def test_a_rollback_is_written_taken_and_proven(drill: Drill) -> None:
    rollback = Rollback(drill)
    settled: list[str] = []
    rollback.on_settled = lambda: settled.append(rollback.progress)
    rollback.perform()
    assert (rollback.progress, rollback.problem, settled) == (Progress.EFFECTIVE, "", ["written"])
    assert text_of(drill) == ROLLED_BACK
    assert (drill.record.flags_written, drill.rolled_back, drill.judged) == (True, True, True)
    assert drill.new_processes == list(drill.service.instances)
    assert drill.written_at is not None
    assert rollback.proven_at is not None
    assert rollback.proven_at > drill.written_at
    outcome, evidence = force_faiss(drill, rollback)
    assert (outcome, evidence.verdict) == (Outcome.APPLIED, Verdict.PASS)
    assert evidence.reason.startswith("RETRIEVAL_BACKEND: ")
    assert drill.record.time_to_safety_s == pytest.approx(rollback.proven_at - drill.written_at, abs=1e-3)


def test_steps_share_one_edit_and_one_reload(drill: Drill, server: Restarting) -> None:
    rollback = Rollback(drill)
    rollback.write()
    rollback.write()
    assert disable_shadow_read(drill, rollback)[1].verdict is Verdict.PASS
    assert force_faiss(drill, rollback)[1].verdict is Verdict.PASS
    assert server.starts == 2
    assert drill.events.path.read_text().count('"set_flags"') == 2


def test_a_rollback_that_took_too_long_fails_its_step(drill: Drill) -> None:
    drill.config = replace(drill.config, slo=replace(drill.config.slo, rto_s=0.1))
    _, evidence = force_faiss(drill, Rollback(drill))
    assert evidence.verdict is Verdict.FAIL
    assert "[slo] rto_s is 0.1 s" in evidence.reason


def test_a_service_that_does_not_come_back_gets_its_env_file_back(drill: Drill, server: Restarting) -> None:
    server.dead_on = "BACKEND=faiss"
    rollback = Rollback(impatient(drill))
    outcome, evidence = force_faiss(drill, rollback)
    assert (outcome, evidence.verdict) == (Outcome.ERROR, Verdict.FAIL)
    assert "the previous env file was restored, the service is back on it" in evidence.reason
    assert text_of(drill) == MIGRATING
    assert (drill.record.restored, drill.rolled_back, drill.judged) == (True, False, False)
    assert (rollback.progress, drill.record.exit_code) == (Progress.RESTORED, 1)


def test_flags_that_somebody_puts_back_before_the_reload_restart_no_service(
    drill: Drill, server: Restarting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A restart would cost users and change nothing. A comment of somebody's is no reason to wait."""
    monkeypatch.setattr(environment_kept, "STILL_S", 0.0)
    rollback = Rollback(drill)
    rollback.write()
    drill.env_file.path.write_text(MIGRATING)
    for step in (disable_shadow_read, force_faiss):
        with pytest.raises(
            Refused, match=r"^the service was not reloaded: \.env does not read as this drill wrote it: "
        ):
            step(drill, rollback)
    assert not drill.env_file.path.with_name("taken").exists()
    assert (rollback.progress, drill.judged, server.starts) == (Progress.WRITTEN, False, 1)
    assert environment_kept.environment(drill).verdict is Verdict.FAIL
    drill.env_file.path.write_text(f"# managed\n{ROLLED_BACK}")
    assert force_faiss(drill, rollback)[1].verdict is Verdict.PASS


def test_the_flags_of_some_steps_are_set_in_the_bytes_that_were_planned_for(tmp_path: Path) -> None:
    drill = make_drill(tmp_path, env=MIGRATING, apply=True, selected=frozenset({"force_faiss"}))
    drill.env_file.path.write_text(f"{MIGRATING}NEW=1\n")
    with pytest.raises(Refused, match="changed since it was planned"):
        Rollback(drill).write()
    drill.env_file.path.write_text(MIGRATING)
    Rollback(drill).write()
    assert text_of(drill) == MIGRATING.replace("BACKEND=pgvector", "BACKEND=faiss")


def test_a_reload_command_that_fails_is_heard(tmp_path: Path, server: Restarting) -> None:
    """What it said last stands in the row, and never a secret of the env file."""
    env = f"{MIGRATING}API_KEY=hunter2-hunter2\n"
    drill = drill_on(tmp_path, server, env=env)
    command = ["sh", "-c", 'cat "$DRILL_ENV_FILE"; echo "Unit retrieval.service not found."; exit 5']
    drill.config = replace(drill.config, service=replace(drill.config.service, reload_command=command))
    _, evidence = force_faiss(drill, Rollback(drill))
    end(drill)
    assert "command 'sh' ended with exit code 5; its last words: " in evidence.reason
    assert "Unit retrieval.service not found." in evidence.reason
    assert "hunter2" not in evidence.reason + (drill.work_dir / "commands.log").read_text()


def test_a_service_that_stays_down_is_said_to(drill: Drill, server: Restarting) -> None:
    server.dead_on, server.dead_from = "BACKEND", 2
    _, evidence = force_faiss(drill, Rollback(impatient(drill)))
    assert "but the service is still down" in evidence.reason


def test_where_it_is_told_so_the_env_file_stays_rolled_back(tmp_path: Path, server: Restarting) -> None:
    server.dead_on = "BACKEND=faiss"
    drill = drill_on(tmp_path, server, toml='on_boot_failure = "leave"')
    rollback = Rollback(impatient(drill))
    rollback.perform()
    end(drill)
    assert rollback.progress is Progress.LEFT_DOWN
    assert text_of(drill) == ROLLED_BACK
    assert (drill.record.restored, drill.judged) == (False, False)


def test_a_dry_run_changes_nothing_and_says_what_it_would(tmp_path: Path, server: Restarting) -> None:
    drill = drill_on(tmp_path, server, apply=False)
    outcome, evidence = force_faiss(drill, Rollback(drill))
    assert (outcome, evidence.verdict) == (Outcome.WOULD_CHANGE, Verdict.PASS)
    assert "dry-run: nothing was written" in evidence.reason
    assert text_of(drill) == MIGRATING
    assert not (tmp_path / "taken").exists(), "a dry-run reloads nothing"
    assert server.starts == 1


def test_a_file_that_is_rolled_back_already_is_not_written_but_judged(tmp_path: Path, server: Restarting) -> None:
    drill = drill_on(tmp_path, server, env=ROLLED_BACK)
    outcome, evidence = force_faiss(drill, Rollback(drill))
    end(drill)
    assert (outcome, evidence.verdict) == (Outcome.NO_CHANGE, Verdict.PASS)
    assert evidence.reason.startswith("RETRIEVAL_BACKEND=faiss already; ")
    assert (drill.record.flags_written, drill.record.time_to_safety_s) == (False, None)
    assert not (tmp_path / ".env.bak").exists()


@pytest.mark.parametrize(
    ("error", "written"),
    [
        (Refused("changed meanwhile"), False),
        (EnvWriteFailed("disk full", changed=False), False),
        (EnvWriteFailed("neither old nor new", changed=True), True),
    ],
)
def test_a_write_that_fails_says_whether_the_flags_are_on_disk(
    drill: Drill, monkeypatch: pytest.MonkeyPatch, error: Exception, written: bool
) -> None:
    def fail(_plan: object) -> None:
        raise error

    monkeypatch.setattr(drill.env_file, "apply", fail)
    rollback = Rollback(drill)
    with pytest.raises(type(error)):
        rollback.write()
    assert (rollback.progress, drill.record.flags_written) == (Progress.PLANNED, written)


def test_flags_that_are_written_but_not_proven_to_last_are_taken_by_the_service_and_never_green(
    drill: Drill, monkeypatch: pytest.MonkeyPatch
) -> None:
    apply = drill.env_file.apply

    def doubtful(plan: EditPlan) -> None:
        apply(plan)
        raise EnvWriteFailed("written, but not proven to last (EIO)", changed=True, written=True)

    monkeypatch.setattr(drill.env_file, "apply", doubtful)
    rollback = Rollback(drill)
    rollback.write()
    outcome, evidence = force_faiss(drill, rollback)
    assert (rollback.progress, drill.rolled_back, drill.record.flags_written) == (Progress.EFFECTIVE, True, True)
    assert (outcome, evidence.verdict) == (Outcome.APPLIED, Verdict.FAIL)
    assert "not proven to last (EIO); in the traffic pass" in evidence.reason


def test_a_second_try_of_a_write_does_not_take_back_that_the_first_has_changed_the_file(
    drill: Drill, monkeypatch: pytest.MonkeyPatch
) -> None:
    errors: list[Exception] = [EnvWriteFailed("neither old nor new", changed=True), Refused("changed since planned")]

    def fail(_plan: object) -> None:
        raise errors.pop(0)

    monkeypatch.setattr(drill.env_file, "apply", fail)
    rollback = Rollback(drill)
    for error in (EnvWriteFailed, Refused):
        with pytest.raises(error):
            rollback.write()
    assert drill.record.flags_written


def test_a_put_back_that_is_refused_is_tried_once_and_said(drill: Drill, server: Restarting) -> None:
    server.dead_on = "BACKEND=faiss"
    rollback = Rollback(impatient(drill))
    rollback.write()
    drill.env_file.path.write_text(ROLLED_BACK + "EDITED=meanwhile\n")
    for step in (disable_shadow_read, force_faiss):
        outcome, evidence = step(drill, rollback)
        assert (outcome, evidence.verdict) == (Outcome.ERROR, Verdict.FAIL)
        assert "the previous env file could not be put back: .env was changed by someone else" in evidence.reason
    assert (rollback.progress, drill.record.restored) == (Progress.LEFT_DOWN, False)
    assert drill.events.path.read_text().count('"kind": "intent", "action": "reload"') == 1
    assert text_of(drill).endswith("EDITED=meanwhile\n")


def test_only_flags_of_selected_steps_are_written(tmp_path: Path, server: Restarting) -> None:
    drill = drill_on(tmp_path, server)
    drill.selected = frozenset({"force_faiss"})
    Rollback(drill).write()
    assert text_of(drill) == MIGRATING.replace("BACKEND=pgvector", "BACKEND=faiss")
    assert drill.record.changes == {"RETRIEVAL_BACKEND": "faiss"}


def test_an_instance_on_another_backend_is_not_proven(drill: Drill, server: Restarting) -> None:
    rollback = Rollback(drill)
    rollback.perform()
    server.script["GET", "/metrics"] = lambda body: Answer(
        server.metrics(body).body.replace(b"faiss", b"pgvector"), kind=CLASSIC
    )
    evidence: Evidence = force_faiss(drill, rollback)[1]
    assert evidence.verdict is Verdict.FAIL
    (name,) = drill.record.disobeyed
    assert server.url.endswith(name)
    assert drill.record.disobeyed[name] == {"RETRIEVAL_BACKEND=faiss": ""}
    assert drill.record.next_step.startswith(f"not obeyed by {name}: RETRIEVAL_BACKEND=faiss. Find what sets")
    assert drill.record.time_to_safety_s is None

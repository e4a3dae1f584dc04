"""Running rows: whatever happens, a row ends with a verdict and a reason."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from drill.context import Drill
from drill.envfile import EnvWriteFailed
from drill.errors import CannotMeasure, NoFallback, Refused, UsageError
from drill.record import Evidence
from drill.rollback import Rollback
from drill.runner import Runner
from drill.verdict import Outcome, Result, Verdict
from tests.library.world import MIGRATING, make_drill, served

GOOD = Evidence(Verdict.PASS, "good")
ROW = "preflight.service"


@pytest.fixture
def drill(tmp_path: Path) -> Drill:
    return make_drill(tmp_path)


@pytest.fixture
def runner(drill: Drill) -> Runner:
    return Runner(drill, Rollback(drill))


def raising(error: BaseException) -> Callable[..., Evidence]:
    def look(*_args: object) -> Evidence:
        raise error

    return look


def last_event(drill: Drill) -> dict[str, object]:
    line: dict[str, object] = json.loads(drill.events.path.read_text().splitlines()[-1])
    return line


def test_a_row_keeps_its_evidence_and_its_duration_and_is_written_down(runner: Runner) -> None:
    entry = runner.check(ROW, lambda _drill: GOOD)
    assert (entry.id, entry.evidence, entry.outcome) == (ROW, GOOD, Outcome.NOT_RUN)
    assert entry is runner.drill.record.entries[ROW]
    assert entry.duration_s > 0
    assert runner.green(ROW)
    assert not runner.green("preflight.faiss")
    event = last_event(runner.drill)
    assert (event["id"], event["verdict"], event["reason"]) == (ROW, "pass", "good")


def test_a_step_keeps_its_outcome(runner: Runner) -> None:
    entry = runner.step(
        "force_faiss", lambda _drill, rollback: (Outcome.APPLIED, Evidence(Verdict.PASS, rollback.progress))
    )
    assert (entry.outcome, entry.evidence.reason) == (Outcome.APPLIED, "planned")


def test_what_cannot_be_measured_is_an_error(runner: Runner) -> None:
    entry = runner.check(ROW, raising(CannotMeasure("the source is silent")))
    assert (entry.outcome, entry.evidence) == (Outcome.ERROR, Evidence(Verdict.ERROR, "the source is silent"))
    assert runner.drill.record.refused == ""


def test_a_defect_is_an_error_named_by_type_and_place_without_its_message(runner: Runner) -> None:
    entry = runner.check(ROW, raising(RuntimeError("password=hunter2")))
    assert (entry.outcome, entry.evidence.verdict) == (Outcome.ERROR, Verdict.ERROR)
    assert "RuntimeError at test_runner.py:" in entry.evidence.reason
    assert "hunter2" not in entry.evidence.reason
    assert last_event(runner.drill)["verdict"] == "error"


@pytest.mark.parametrize("error", [Refused("no"), NoFallback("no"), UsageError("no")])
def test_a_refusal_before_a_write_refuses_the_drill(runner: Runner, error: Exception) -> None:
    entry = runner.check(ROW, raising(error))
    assert (entry.outcome, entry.evidence) == (Outcome.REFUSED, Evidence(Verdict.FAIL, "no"))
    assert runner.drill.record.refused == "no"
    assert runner.drill.record.result is Result.REFUSED


def test_a_refusal_after_a_write_fails_its_row_only(runner: Runner) -> None:
    runner.drill.record.flags_written = True
    entry = runner.check(ROW, raising(Refused("no")))
    assert (entry.outcome, entry.evidence.verdict) == (Outcome.REFUSED, Verdict.FAIL)
    assert runner.drill.record.refused == ""
    assert runner.drill.record.result is Result.FAILURE
    assert last_event(runner.drill)["verdict"] == "fail"


def test_a_failed_write_is_a_failure_and_no_refusal(runner: Runner) -> None:
    entry = runner.step("force_faiss", raising(EnvWriteFailed("disk full", changed=False)))  # type: ignore[arg-type]
    assert (entry.outcome, entry.evidence) == (Outcome.ERROR, Evidence(Verdict.FAIL, "disk full"))
    assert runner.drill.record.refused == ""


class Signalled(KeyboardInterrupt):
    """As the signal handler raises."""


def test_an_interruption_passes_through_and_leaves_the_row_closed(runner: Runner) -> None:
    with pytest.raises(Signalled):
        runner.check(ROW, raising(Signalled("SIGTERM")))
    entry = runner.drill.record.entries[ROW]
    assert (entry.outcome, entry.evidence) == (Outcome.ERROR, Evidence(Verdict.INCONCLUSIVE, "interrupted (SIGTERM)"))
    assert entry.duration_s > 0
    assert runner.drill.record.interrupted == "SIGTERM"
    assert last_event(runner.drill)["verdict"] == "inconclusive"


def test_smoke_and_observation_are_judged_where_the_flags_are_rolled_back(runner: Runner) -> None:
    runner.drill.observed = served()
    assert runner.smoke("smoke.search", lambda _drill: GOOD).evidence is GOOD
    assert runner.observe(
        "slo.errors", lambda _drill, window: Evidence(Verdict.PASS, f"{window.seconds:g}")
    ).evidence == (Evidence(Verdict.PASS, "30"))


def test_before_the_rollback_smoke_is_shown_but_not_judged_and_observation_does_not_begin(tmp_path: Path) -> None:
    drill = make_drill(tmp_path, env=MIGRATING)
    runner = Runner(drill, Rollback(drill))
    bad = Evidence(Verdict.FAIL, "no results")
    smoke = runner.smoke("smoke.search", lambda _drill: bad).evidence
    assert (smoke.verdict, smoke.reason) == (
        Verdict.NOT_RUN,
        "dry-run: judged after --apply; before the rollback: fail: no results",
    )
    observed = runner.observe("slo.errors", raising(AssertionError())).evidence
    assert (observed.verdict, observed.reason) == (Verdict.NOT_RUN, "dry-run: judged after --apply")
    assert not drill.probing


@pytest.mark.parametrize(
    ("restored", "why"), [(True, "the rollback was undone"), (False, "the flags are not rolled back")]
)
def test_with_apply_a_state_that_is_not_rolled_back_is_not_judged(tmp_path: Path, restored: bool, why: str) -> None:
    drill = make_drill(tmp_path, env=MIGRATING, apply=True)
    drill.record.restored = restored
    assert Runner(drill, Rollback(drill)).observe("slo.errors", raising(AssertionError())).evidence.reason == why


def test_the_flags_are_written_early_with_apply_only(tmp_path: Path) -> None:
    for apply in (False, True):
        folder = tmp_path / str(apply)
        folder.mkdir()
        drill = make_drill(folder, env=MIGRATING, apply=apply, selected=ALL)
        Runner(drill, Rollback(drill)).write_flags()
        text = (folder / ".env").read_text()
        assert ("FF_RETRIEVAL_DUAL_WRITE=OFF" in text) is apply
        assert drill.record.flags_written is apply


def test_a_refused_drill_writes_no_flags(tmp_path: Path) -> None:
    drill = make_drill(tmp_path, env=MIGRATING, apply=True, selected=ALL)
    drill.record.refused = "window closed"
    Runner(drill, Rollback(drill)).write_flags()
    assert (tmp_path / ".env").read_text() == MIGRATING


ALL = frozenset({"disable_dual_write", "disable_shadow_read", "force_faiss"})


def test_a_row_runs_once_whoever_repeats_its_test(runner: Runner) -> None:
    first = runner.check(ROW, lambda _drill: GOOD)
    assert runner.check(ROW, raising(AssertionError())) is first
    assert first.evidence is GOOD


@pytest.mark.parametrize("way", ["step", "flags"])
def test_nothing_is_written_before_the_gates_were_looked_at(tmp_path: Path, way: str) -> None:
    toml = '[window]\ncloses = "2020-01-01T00:00:00Z"\n'
    drill = make_drill(tmp_path, env=MIGRATING, apply=True, selected=ALL, toml=toml)
    runner = Runner(drill, Rollback(drill))
    if way == "flags":
        runner.write_flags()  # says nothing itself: the step tries again
        assert (tmp_path / ".env").read_text() == MIGRATING
    entry = runner.step("force_faiss", lambda _drill, rollback: (rollback.write(), (Outcome.APPLIED, GOOD))[1])  # type: ignore[func-returns-value]
    assert (entry.outcome, entry.evidence.verdict) == (Outcome.REFUSED, Verdict.FAIL)
    assert drill.record.result is Result.REFUSED
    assert (tmp_path / ".env").read_text() == MIGRATING

"""Step 2 under a held plan: a delta that has moved holds up the purge at most, never the flags."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from drill.context import Drill
from drill.plans import make_plan
from drill.purge import Delta, PurgeReport, PurgeStatus
from drill.purge.model import FaissDamaged, Since
from drill.record import Evidence
from drill.rollback import Rollback
from drill.steps import purge
from drill.verdict import Outcome, Result, Verdict
from tests.library.world import MIGRATING, Inventory, close_drills, make_drill, with_primary

PLANNED = {"orphans": 0, "stale": 12, "missing": 0}


class Ended:
    """Stands for a purge that ends so."""

    def __init__(self, status: PurgeStatus, stale: int | None, purged: int) -> None:
        self.report = PurgeReport(status, "as it ended", 0, stale, 0, purged, 0, 0, 0, None, (), {}, 1.0)

    def run(self, approve: Callable[[Delta], None]) -> PurgeReport:
        if self.report.status is not PurgeStatus.NOTHING_TO_PURGE:
            try:
                approve(Delta((), {}, ""))
            except FaissDamaged as held:
                return replace(self.report, status=PurgeStatus.DEFERRED, reason=str(held), purged=0)
        return self.report


def step(
    folder: Path, monkeypatch: pytest.MonkeyPatch, ended: Ended, planned: dict[str, int] | None
) -> tuple[Drill, Outcome, Evidence]:
    drill = with_primary(make_drill(folder, env=MIGRATING, apply=True, toml='[target]\nkind = "pgvector"'))
    drill.purge_mode = "auto"
    drill.record.entries["disable_dual_write"].evidence = Evidence(Verdict.PASS, "off", proof="effect")
    if planned is not None:
        env, urls = drill.plan.old_bytes, drill.config.service.urls
        drill.held_plan = make_plan("p-1", ".env", env, {}, urls, planned, apply=False, env_id=drill.record.env_id)
    monkeypatch.setattr(purge, "new_purge", lambda _drill: ended)
    return drill, *purge.purge_delta(drill, Rollback(drill))


def test_a_delta_that_has_moved_is_planned_anew_within_the_bounds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """12 stale when it was planned, 35 now: writes go on half succeeding in an incident."""
    ended = Ended(PurgeStatus.PURGED, 35, 35)
    _, outcome, evidence = step(tmp_path, monkeypatch, ended, PLANNED)
    assert (outcome, evidence.verdict) == (Outcome.APPLIED, Verdict.PASS)
    assert "(35 stale, plan p-1 saw 12): planned anew, within [purge] max_fraction" in evidence.reason


def test_a_delta_that_has_grown_beyond_the_bounds_is_deferred_with_the_command_that_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is no failure of the rollback, and nothing is deleted."""
    drill, outcome, evidence = step(tmp_path, monkeypatch, Ended(PurgeStatus.REFUSED, 900, 0), PLANNED)
    assert (outcome, evidence.verdict) == (Outcome.NOT_RUN, Verdict.INCONCLUSIVE)
    assert "deferred, go on with `python -m drill purge plan --env-file " in evidence.reason
    assert drill.record.purge.deferred
    assert drill.record.result is Result.INCONCLUSIVE


@pytest.mark.parametrize("planned", [None, {"orphans": 0, "stale": 900, "missing": 0}])
def test_a_refusal_of_what_was_planned_is_a_failure_as_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, planned: dict[str, int] | None
) -> None:
    """The bounds are those of the configuration, with a plan or without."""
    _, outcome, evidence = step(tmp_path, monkeypatch, Ended(PurgeStatus.REFUSED, 900, 0), planned)
    assert (outcome, evidence.verdict, evidence.reason) == (Outcome.REFUSED, Verdict.FAIL, "as it ended")


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (PurgeStatus.INCOMPLETE, Verdict.FAIL),
        (PurgeStatus.DEFERRED, Verdict.INCONCLUSIVE),
        (PurgeStatus.COULD_NOT_COMPARE, Verdict.ERROR),
    ],
)
def test_a_moved_delta_makes_no_other_end_better(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: PurgeStatus, verdict: Verdict
) -> None:
    """Documents that should be gone and are not stay a failure."""
    assert step(tmp_path, monkeypatch, Ended(status, 35, 0), PLANNED)[2].verdict is verdict


@pytest.mark.parametrize("lost", [False, True])
def test_nothing_is_purged_by_a_faiss_that_has_lost_documents(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, lost: bool
) -> None:
    """What FAISS lost looks like orphans on the target, and is the last copy there."""
    before = Inventory({"default": {f"d{number}" for number in range(50)}}).look("default", sample=50)
    now = Inventory({"default": {f"d{number}" for number in range(20 if lost else 50)}})
    drill = with_primary(make_drill(tmp_path, env=MIGRATING, apply=True, toml='[target]\nkind = "pgvector"'), now)
    drill.purge_mode = "auto"
    drill.faiss_before = {"default": before}
    drill.record.entries["disable_dual_write"].evidence = Evidence(Verdict.PASS, "off", proof="effect")
    monkeypatch.setattr(purge, "new_purge", lambda _drill: Ended(PurgeStatus.PURGED, 5, 5))
    outcome, evidence = purge.purge_delta(drill, Rollback(drill))
    assert outcome is (Outcome.NOT_RUN if lost else Outcome.APPLIED)
    assert ("last copies of what FAISS lost: default: 20 documents, 50" in evidence.reason) is lost
    assert drill.record.purge.deferred is lost


def test_the_environment_a_process_was_started_with_is_no_ground_for_deleting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The service may read the text "OFF" as true: the row passes by it, the purge waits for better."""
    drill = with_primary(make_drill(tmp_path, env=MIGRATING, apply=True, toml='[target]\nkind = "pgvector"'))
    drill.purge_mode = "auto"
    drill.record.entries["disable_dual_write"].evidence = Evidence(Verdict.PASS, "off", proof="started")
    monkeypatch.setattr(purge, "new_purge", lambda _drill: Ended(PurgeStatus.PURGED, 5, 5))
    outcome, evidence = purge.purge_delta(drill, Rollback(drill))
    assert (outcome, evidence.verdict) == (Outcome.NOT_RUN, Verdict.INCONCLUSIVE)
    assert "started with OFF, not how it reads that" in evidence.reason
    assert drill.record.purge.deferred


def since(left: Since, *, toml: str = "", folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Drill, Evidence]:
    """Return a drill whose purge has left this on the target, and its row."""
    target = f'[target]\nkind = "pgvector"\n[primary]\npath = "faiss"\n{toml}'
    drill = with_primary(make_drill(folder, env=MIGRATING, apply=True, toml=target))
    drill.purge_mode = "auto"
    drill.record.entries["disable_dual_write"].evidence = Evidence(Verdict.PASS, "off", proof="effect")
    ended = Ended(PurgeStatus.PURGED, 5, 5)
    ended.report = replace(ended.report, since=(left,))
    monkeypatch.setattr(purge, "new_purge", lambda _drill: ended)
    return drill, purge.purge_delta(drill, Rollback(drill))[1]


@pytest.mark.parametrize(
    ("left", "toml", "verdict", "said"),
    [
        (Since(changed=40, known=120, allowed=10), "", Verdict.PASS, ""),
        (Since(gone=3, known=120, allowed=10), "", Verdict.INCONCLUSIVE, "[primary] expect_deletes = true"),
        (Since(gone=3, known=120, allowed=10), "expect_deletes = true\n", Verdict.PASS, ""),
        (
            Since(gone=11, known=120, allowed=10),
            "expect_deletes = true\n",
            Verdict.INCONCLUSIVE,
            "11 documents are gone",
        ),
        (Since(changed=3, misfits=1, known=120, allowed=10), "", Verdict.INCONCLUSIVE, "the vector they had"),
        (Since(changed=61, known=120, allowed=10), "", Verdict.INCONCLUSIVE, "61 of 120 documents have another text"),
    ],
)
def test_what_is_left_on_the_target_is_never_called_zero_nor_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, left: Since, toml: str, verdict: Verdict, said: str
) -> None:
    """Users update and, where that is said, delete; what they do not account for is inconclusive."""
    _, evidence = since(left, toml=toml, folder=tmp_path, monkeypatch=monkeypatch)
    assert evidence.verdict is verdict
    assert said in evidence.reason
    assert evidence.unit == f" divergent left, beside {left.left} that FAISS has changed since"
    assert evidence.detail["left, gone from FAISS since the beginning"] == left.gone


@pytest.mark.parametrize("toml", ["", "expect_deletes = true\n"])
def test_a_drill_after_one_that_saw_a_loss_deletes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, toml: str
) -> None:
    """It began with the FAISS that had lost them. A few, where users delete, are no loss."""
    few = Since(gone=3, known=120, allowed=10)
    first, _ = since(few, folder=tmp_path, monkeypatch=monkeypatch)
    close_drills()
    second, evidence = since(Since(), toml=toml, folder=tmp_path, monkeypatch=monkeypatch)
    assert first.work_dir != second.work_dir
    assert evidence.verdict is (Verdict.PASS if toml else Verdict.INCONCLUSIVE)
    assert (f"({first.work_dir.name}: 3 documents are gone" in evidence.reason) != bool(toml)

"""When step 7 is done at all."""

from pathlib import Path

import pytest

from drill.record import Evidence
from drill.rollback import Rollback
from drill.steps import reopen
from drill.verdict import Outcome, Verdict
from tests.library.world import make_drill


def test_step_7_is_not_required_and_not_done_unless_it_was_asked_for(tmp_path: Path) -> None:
    drill = make_drill(tmp_path, apply=True)
    outcome, evidence = reopen.shadow_read(drill, Rollback(drill))
    assert (outcome, evidence.verdict) == (Outcome.NOT_RUN, Verdict.NOT_RUN)
    assert not drill.record.entries["reopen.shadow_read"].required


def test_a_dry_run_names_the_rungs_and_writes_nothing(tmp_path: Path) -> None:
    drill = make_drill(tmp_path, apply=False)
    drill.reopen = True
    before = drill.env_file.path.read_bytes()
    outcome, evidence = reopen.shadow_read(drill, Rollback(drill))
    assert (outcome, evidence.verdict) == (Outcome.WOULD_CHANGE, Verdict.PASS)
    assert "shadow-read 0.1, then shadow-read 1" in evidence.reason
    assert drill.env_file.path.read_bytes() == before


@pytest.mark.parametrize("row", ["slo.errors", "post.backend", "purge_delta"])
def test_nothing_is_reopened_while_any_required_row_is_not_green(tmp_path: Path, row: str) -> None:
    drill = make_drill(tmp_path, apply=True)
    drill.reopen = True
    for name, entry in drill.record.entries.items():
        entry.required = not name.startswith("reopen.")
        entry.evidence = Evidence(Verdict.PASS, "seen")
    drill.record.entries[row].evidence = Evidence(Verdict.INCONCLUSIVE, "no data")
    outcome, evidence = reopen.shadow_read(drill, Rollback(drill))
    assert (outcome, evidence.verdict) == (Outcome.REFUSED, Verdict.NOT_RUN)
    assert row in evidence.reason
    assert drill.record.rungs == []


@pytest.mark.parametrize("apply", [True, False])
def test_a_ladder_without_rungs_is_never_green(tmp_path: Path, *, apply: bool) -> None:
    drill = make_drill(tmp_path, apply=apply, toml="[reopen]\nshadow_sample_rates = []\n")
    drill.reopen = True
    _, evidence = reopen.shadow_read(drill, Rollback(drill))
    assert evidence.verdict is Verdict.INCONCLUSIVE

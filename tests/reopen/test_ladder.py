"""Whatever goes wrong on a rung, the service does not stay on it unproven."""

from pathlib import Path

import pytest

from drill.checks import environment_kept
from drill.envfile import EditPlan
from drill.errors import EnvFileRefused
from drill.record import Evidence
from drill.reopen.ladder import Ladder
from drill.reopen.rungs import Rung, shadow_rungs
from drill.verdict import Verdict
from tests.library.restarting import Restarting, drill_on, end
from tests.library.server import running
from tests.library.world import MIGRATING, ROLLED_BACK, make_drill


@pytest.fixture
def fallen(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the reasons with which a ladder fell back."""
    reasons: list[str] = []

    def fall_back(_ladder: Ladder, evidence: Evidence) -> Evidence:
        reasons.append(evidence.reason)
        return evidence

    monkeypatch.setattr(Ladder, "_fall_back", fall_back)
    return reasons


def broken(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def stand(_ladder: Ladder, _rung: Rung) -> Evidence:
        raise error

    monkeypatch.setattr(Ladder, "_stand", stand)


def test_a_rung_that_cannot_be_written_is_bad_and_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fallen: list[str]
) -> None:
    drill = make_drill(tmp_path, apply=True)
    broken(monkeypatch, EnvFileRefused("somebody changed the file"))
    evidence = Ladder(drill).climb(shadow_rungs(drill.config, {}))
    assert evidence.verdict is Verdict.FAIL
    assert fallen == ["somebody changed the file"]
    assert [rung.name for rung in drill.record.rungs] == ["shadow-read 0.1"]


def test_a_defect_of_the_drill_on_a_rung_is_told_and_the_rung_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fallen: list[str]
) -> None:
    drill = make_drill(tmp_path, apply=True)
    broken(monkeypatch, RuntimeError("a defect"))
    with pytest.raises(RuntimeError):
        Ladder(drill).climb(shadow_rungs(drill.config, {}))
    assert len(fallen) == 1


@pytest.mark.parametrize("when", ["before the rung", "before its reload"])
def test_a_file_that_somebody_puts_back_on_the_way_is_bad_and_the_rung_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fallen: list[str], when: str
) -> None:
    """It is not written over as if nothing were, and no restart takes it."""
    monkeypatch.setattr(environment_kept, "STILL_S", 0.0)
    with running(Restarting()) as server:
        server.env_file = tmp_path / ".env"
        drill = drill_on(tmp_path, server, env=ROLLED_BACK)
        apply = drill.env_file.apply

        def then_put_back(plan: EditPlan) -> None:
            apply(plan)
            drill.env_file.path.write_text(MIGRATING)

        if when == "before the rung":
            drill.env_file.path.write_text(MIGRATING)
        else:
            monkeypatch.setattr(drill.env_file, "apply", then_put_back)
        evidence = Ladder(drill).climb(shadow_rungs(drill.config, {}))
        end(drill)
    assert evidence.verdict is Verdict.FAIL
    assert len(fallen) == 1
    assert "RETRIEVAL_BACKEND is pgvector, was faiss" in fallen[0]
    assert not (tmp_path / "taken").exists()
    assert drill.env_file.path.read_text() == MIGRATING

"""Prerequisites of the plan: what would be changed, whether a held plan still holds, and when it may be done."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from drill.checks import preflight
from drill.context import Drill
from drill.errors import Refused, WindowClosed
from drill.plans import make_plan
from drill.rollback import FLAG_OF_STEP, Rollback
from drill.unfinished import UnfinishedDrill
from drill.verdict import Verdict
from tests.library.world import MIGRATING, ROLLED_BACK, make_drill


@pytest.fixture
def drill(tmp_path: Path) -> Drill:
    return make_drill(tmp_path)


def opened(folder: Path, opens_h: float | None, closes_h: float | None, **choices: object) -> Drill:
    def at(hours: float | None) -> str:
        return "" if hours is None else (datetime.now(UTC) + timedelta(hours=hours)).isoformat()

    return make_drill(folder, toml=f'[window]\nopens = "{at(opens_h)}"\ncloses = "{at(closes_h)}"', **choices)


@pytest.mark.parametrize(
    ("opens_h", "closes_h", "verdict"),
    [
        (None, None, Verdict.PASS),
        (-1, 1, Verdict.PASS),
        (-1, None, Verdict.PASS),
        (None, 1, Verdict.PASS),
        (1, 2, Verdict.FAIL),
        (1, None, Verdict.FAIL),
        (-2, -1, Verdict.FAIL),
        (None, -1, Verdict.FAIL),
    ],
)
def test_the_firing_window(tmp_path: Path, opens_h: float | None, closes_h: float | None, verdict: Verdict) -> None:
    assert preflight.window(opened(tmp_path, opens_h, closes_h)).verdict is verdict


@pytest.mark.parametrize(
    ("opens", "closes", "verdict", "span"),
    [
        ("2026-01-01T12:00:00+00:00", "", Verdict.PASS, "2026-01-01T12:00:00+00:00 to any time"),
        ("2026-01-01T12:00:01+00:00", "", Verdict.FAIL, "2026-01-01T12:00:01+00:00 to any time"),
        ("", "2026-01-01T12:00:01+00:00", Verdict.PASS, "any time to 2026-01-01T12:00:01+00:00"),
        ("", "2026-01-01T12:00:00+00:00", Verdict.FAIL, "any time to 2026-01-01T12:00:00+00:00"),
    ],
)
def test_the_window_holds_its_first_moment_and_not_its_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, opens: str, closes: str, verdict: Verdict, span: str
) -> None:
    drill = make_drill(tmp_path, toml=f'[window]\nopens = "{opens}"\ncloses = "{closes}"')
    monkeypatch.setattr(drill.clock, "now", lambda: datetime(2026, 1, 1, 12, tzinfo=UTC))
    evidence = preflight.window(drill)
    assert evidence.verdict is verdict
    assert f"({span})" in evidence.reason


def test_drills_that_were_killed_are_named_beside_the_window(drill: Drill, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "killed" not in preflight.window(drill).reason
    monkeypatch.setattr(preflight, "find_unfinished", lambda _folder: [UnfinishedDrill("d-7", Path("x"), ())])
    evidence = preflight.window(drill)
    assert evidence.verdict is Verdict.PASS
    assert evidence.reason.endswith("; killed earlier, entered as interrupted by this run: d-7")
    assert evidence.detail == {"unfinished drills": 1}


def test_outside_the_window_apply_is_refused_but_for_an_incident(tmp_path: Path) -> None:
    drill = opened(tmp_path, 1, 2, apply=True)
    with pytest.raises(WindowClosed, match="outside the firing window"):
        preflight.window(drill)
    drill.record.notes = "incident-4711 pgvector down"
    assert preflight.window(drill).verdict is Verdict.PASS


def test_the_plan_names_the_flags_that_change(tmp_path: Path, drill: Drill) -> None:
    assert preflight.env_file(drill).reason.startswith("nothing to change")
    folder = tmp_path / "migrating"
    folder.mkdir()
    evidence = preflight.env_file(make_drill(folder, env=f"{MIGRATING}API_KEY=hunter2\n"))
    assert evidence.verdict is Verdict.PASS
    assert {"FF_RETRIEVAL_DUAL_WRITE", "FF_RETRIEVAL_SHADOW_READ", "RETRIEVAL_BACKEND"} <= set(evidence.detail)
    assert "hunter2" not in repr(evidence)


def test_the_plan_shows_each_change_and_counts_the_warnings(tmp_path: Path) -> None:
    evidence = preflight.env_file(make_drill(tmp_path, env=f"RETRIEVAL_BACKEND=faiss\n{MIGRATING}"))
    assert evidence.detail["RETRIEVAL_BACKEND"] == "pgvector -> faiss"
    warnings = [name for name in evidence.detail if name.startswith("warning")]
    assert warnings == [f"warning {number}" for number in range(1, len(warnings) + 1)] != []
    assert evidence.reason.endswith(f" (warnings: {len(warnings)})")


def test_a_plan_without_warnings_says_nothing_of_them(tmp_path: Path) -> None:
    assert "warning" not in preflight.env_file(make_drill(tmp_path, env=MIGRATING)).reason


@pytest.mark.parametrize("apply", [True, False])
def test_what_apply_needs_is_looked_at_by_a_dry_run_only(tmp_path: Path, apply: bool) -> None:
    evidence = preflight.env_file(make_drill(tmp_path, env=MIGRATING, apply=apply))
    assert ("rights, space and reload command for --apply" in evidence.detail) is not apply


PLANNED = {"orphans": 100, "stale": 50, "missing": 0}


def planned(drill: Drill, *, env: bytes | None = None) -> Drill:
    """Give a drill a plan of a dry-run to carry out, by default one that holds."""
    changes = {change.key: change.after for change in drill.plan.changes}
    name, urls = drill.record.env_file, drill.config.service.urls
    env = drill.plan.old_bytes if env is None else env
    drill.held_plan = make_plan("p-1", name, env, changes, urls, PLANNED, apply=False, env_id=drill.record.env_id)
    return drill


def test_a_plan_holds_the_flags_without_a_look_at_primary_or_target(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A target that hangs, or a delta that has moved, is no matter of the flags: neither is asked for."""

    def hang(_drill: Drill) -> None:
        raise AssertionError("the target was asked before the flags were written")

    drill = planned(make_drill(tmp_path, env=MIGRATING, apply=True, selected=frozenset(FLAG_OF_STEP)))
    monkeypatch.setattr(Drill, "open_target", hang)
    assert preflight.env_file(drill).verdict is Verdict.PASS
    Rollback(drill).write()
    assert drill.env_file.path.read_text() == ROLLED_BACK


def test_a_plan_that_does_not_hold_stops_the_write_itself(tmp_path: Path) -> None:
    """The row that asks it may have been left out by ``-k``."""
    drill = make_drill(tmp_path, env=MIGRATING, apply=True, selected=frozenset(FLAG_OF_STEP))
    with pytest.raises(Refused, match="the env file is not the one that plan p-1 was made of"):
        Rollback(planned(drill, env=b"OTHER=1\n")).write()
    assert drill.env_file.path.read_text() == MIGRATING

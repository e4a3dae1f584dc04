"""Prerequisites of the plan: what would be changed, whether a held plan still holds, and when it may be done."""

from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path

import pytest

from drill.checks import preflight
from drill.context import Drill
from drill.errors import CannotMeasure, Refused, WindowClosed
from drill.plans import make_plan
from drill.purge.model import Delta, TenantDelta
from drill.unfinished import UnfinishedDrill
from drill.verdict import Verdict
from tests.library.world import MIGRATING, make_drill


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
    class Noon(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> "Noon":
            return cls(2026, 1, 1, 12, tzinfo=tz)

    drill = make_drill(tmp_path, toml=f'[window]\nopens = "{opens}"\ncloses = "{closes}"')
    monkeypatch.setattr(preflight, "datetime", Noon)
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


def planned(drill: Drill, delta: dict[str, int] | None) -> Drill:
    changes = {change.key: change.after for change in drill.plan.changes}
    name, env, urls = drill.record.env_file, drill.plan.old_bytes, drill.config.service.urls
    drill.held_plan = make_plan("p-1", name, env, changes, urls, delta, apply=False)
    return drill


def compared(monkeypatch: pytest.MonkeyPatch, found: tuple[int, int, int] | CannotMeasure | None) -> list[Drill]:
    """Let FAISS and target differ by (orphans, stale, missing); returns who has asked."""
    asked = []

    def compare(drill: Drill) -> Delta | None:
        asked.append(drill)
        if isinstance(found, CannotMeasure):
            raise found
        return Delta((TenantDelta("a", Path(), 1000, 1000, *found, 0, ""),), {}, "") if found else None

    monkeypatch.setattr("drill.steps.purge.compare", compare)
    return asked


def test_a_plan_without_a_delta_holds_without_a_comparison(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = compared(monkeypatch, CannotMeasure("the target is down"))
    assert preflight.env_file(planned(make_drill(tmp_path, env=MIGRATING), None)).verdict is Verdict.PASS
    assert asked == []


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ((121, 50, 0), "121 orphans, plan p-1 saw 100"),
        ((100, 71, 0), "71 stale, plan p-1 saw 50"),
        ((100, 50, 21), "21 missing, plan p-1 saw 0"),
        (CannotMeasure("the target is down"), "cannot be compared now .the target is down.; in an incident"),
        (None, "has a delta, and .primary. or .target. is not configured now"),
    ],
)
def test_a_plan_whose_delta_has_moved_or_cannot_be_seen_does_not_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, found: tuple[int, int, int] | CannotMeasure | None, said: str
) -> None:
    compared(monkeypatch, found)
    with pytest.raises(Refused, match=said):
        preflight.env_file(planned(make_drill(tmp_path, env=MIGRATING), PLANNED))


def test_a_plan_whose_delta_is_as_it_was_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = compared(monkeypatch, (120, 50, 20))
    assert preflight.env_file(planned(make_drill(tmp_path, env=MIGRATING), PLANNED)).verdict is Verdict.PASS
    assert len(asked) == 1

"""Every fault of the sandbox must turn the drill red or unproven at the ids that watch for it, and at no others."""

from dataclasses import replace
from pathlib import Path

import pytest

from matrix.bench import Bench
from matrix.faults import SOURCES, named, try_all, try_one
from matrix.healthy import healthy_runs
from matrix.modes import MODES
from matrix.outcome import judge
from sandbox.faults import FAULTS
from sandbox.faults.expected import EXPECTED, FAIL, Expected
from sandbox.oddities import ODDITIES
from sandbox.oddities.expected import GREEN, STATED
from sandbox.stack import Stack

QUICK = ("login_page", "metrics_frozen", "errors_5_percent", "stale_index")
"""Always run; the others are the long sweep."""
HEALTHY = 3


def marked(names: list[str]) -> list[object]:
    return [name if name in QUICK else pytest.param(name, marks=pytest.mark.long) for name in names]


@pytest.mark.parametrize("fault", marked(named("scrape", mode="rollback")))
def test_a_fault_shows_at_its_ids_and_at_no_others(stack: Stack, tmp_path: Path, fault: str) -> None:
    outcome = try_one(Bench(stack, tmp_path), "scrape", fault)
    assert outcome.ok, outcome


@pytest.mark.long
@pytest.mark.parametrize("name", named("scrape", mode="spared"))
def test_what_faiss_loses_or_changes_under_the_drill_stays_on_the_target(tmp_path: Path, name: str) -> None:
    (outcome,) = try_all(tmp_path, "scrape", [name])
    assert outcome.ok, outcome


def test_healthy_drills_are_green(tmp_path: Path) -> None:
    """Drills of a healthy service on random load, sample rates, tenants and flags: none red, none unproven."""
    runs = list(healthy_runs(tmp_path, "scrape", HEALTHY))
    assert [run for run in runs if not run.ok] == []
    assert len(runs) == HEALTHY


@pytest.mark.long
def test_more_healthy_drills_are_green(tmp_path: Path) -> None:
    """The same on other situations: with the three above ten, which CI runs."""
    assert [run for run in healthy_runs(tmp_path, "scrape", 10 - HEALTHY, seed=7) if not run.ok] == []


def test_every_fault_says_what_it_must_show() -> None:
    assert {expected.fault or name for name, expected in EXPECTED.items()} == set(FAULTS)
    assert len(EXPECTED) >= 45
    for name, expected in EXPECTED.items():
        assert expected.why, name
        assert expected.red or expected.result == "success", name
        assert bool(expected.only) == bool(expected.blind), name
        assert not set(expected.red) & set(expected.also), name


def test_every_oddity_says_what_must_be_shown_and_none_may_be_called_bad() -> None:
    assert {stated.fault or name for name, stated in STATED.items()} == set(ODDITIES)
    assert not set(ODDITIES) & set(FAULTS)
    for name, stated in STATED.items():
        assert 10 < len(ODDITIES[stated.fault or name].doc) < 110, name
        assert stated.why, name
        assert "fail" not in {verdict for may in stated.red.values() for verdict in may.split()}, name
        assert bool(stated.red) != (stated.result == GREEN), name
        assert bool(stated.says) == bool(stated.red), name


EXAMPLE = Expected({"slo.errors": FAIL}, "why", {"slo.latency": "because"})


@pytest.mark.parametrize(
    ("seen", "result", "problems"),
    [
        ({"slo.errors": "fail"}, "failure", ()),
        ({"slo.errors": "fail", "slo.latency": "inconclusive"}, "failure", ()),
        ({}, "success", ("slo.errors is green", "the drill's result is success")),
        ({"slo.errors": "inconclusive"}, "inconclusive", ("slo.errors is inconclusive",)),
        ({"slo.errors": "fail", "smoke.chat": "fail"}, "failure", ("smoke.chat is fail too",)),
    ],
)
def test_the_matrix_itself_can_be_red(seen: dict[str, str], result: str, problems: tuple[str, ...]) -> None:
    assert judge(EXAMPLE, seen, result) == problems


def test_a_row_that_is_red_for_another_reason_does_not_fit() -> None:
    told = replace(EXAMPLE, says=("5 errors",))
    seen = {"slo.errors": "fail"}
    assert judge(told, seen, "failure", {"slo.errors": "5 errors of 100"}) == ()
    assert judge(told, seen, "failure", {"slo.errors": "no answer"}) == ("slo.errors does not say '5 errors'",)


def test_what_a_green_row_must_tell_is_asked_for() -> None:
    told = Expected({}, "why", result="success", tells={"purge_delta": "other vectors"})
    assert judge(told, {}, "success", {"purge_delta": "purged 3; other vectors"}) == ()
    assert judge(told, {}, "success", {"purge_delta": "purged 3"}) == ("purge_delta does not tell 'other vectors'",)


def test_every_kind_of_drill_has_faults_and_every_fault_is_met_on_a_source_that_can_tell_it() -> None:
    assert {expected.mode for expected in EXPECTED.values()} == set(MODES)
    assert {name for source in SOURCES for name in named(source)} == {*EXPECTED, *STATED}
    assert not set(named("prometheus", mode="rehearsal"))

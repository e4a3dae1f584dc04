"""What a drill announces to send: enough for what it does, and no more than its configuration asks for."""

from dataclasses import replace
from pathlib import Path

import pytest

from drill.config import Config, Metrics, Probe, Reopen, Service, Slo
from drill.load import budget_of, most_probes_per_s, window_rate
from drill.service import pause_s
from tests.library.world import MIGRATING, make_drill

TWO = Config(service=Service(instances=["http://a:1", "http://b:2"]))


def checks(config: Config) -> int:
    return budget_of(config, apply=True, judged=True, purge=True, reopen=False).checks


def total(config: Config, **choices: bool) -> int:
    return budget_of(config, **{"apply": True, "judged": True, "purge": True, "reopen": False, **choices}).total


def test_a_dry_run_that_would_change_something_sends_no_probe(tmp_path: Path) -> None:
    drill = make_drill(tmp_path, env=MIGRATING)
    assert drill.budget.probes == 0
    assert "no continuous probe" in drill.load_line
    for name, choices in (("apply", {"env": MIGRATING, "apply": True}), ("rolled back already", {})):
        (tmp_path / name).mkdir()
        assert make_drill(tmp_path / name, **choices).budget.probes > 0, name


def test_what_is_sent_is_said_in_one_line() -> None:
    budget = budget_of(TWO, apply=True, judged=True, purge=True, reopen=False)
    assert budget.line(2) == (
        f"this drill sends at most {budget.total} requests to each of 2 instances "
        f"({budget.probes} of them searches of the continuous probe), 50 a second in all"
    )
    assert "to the service (" in budget.line(1)


@pytest.mark.parametrize(
    "more",
    [
        replace(TWO, probe=Probe(rate=20.0)),
        replace(TWO, slo=Slo(observe_s=300.0)),
        replace(TWO, slo=Slo(min_requests=1000)),
        replace(TWO, service=replace(TWO.service, reload_timeout_s=600.0)),
        replace(TWO, metrics=Metrics(prometheus_url="http://p:9")),
    ],
)
def test_whatever_makes_a_drill_send_more_is_announced(more: Config) -> None:
    assert total(more) > total(TWO)


def test_steps_that_are_no_part_of_the_drill_are_not_announced() -> None:
    assert total(TWO, reopen=True) > total(TWO) > total(TWO, purge=False) > total(TWO, apply=False)
    longer = replace(TWO, reopen=Reopen(hold_s=600.0))
    assert total(longer) == total(TWO)
    assert total(longer, reopen=True) > total(TWO, reopen=True)


@pytest.mark.parametrize(("rate", "most", "expected"), [(10, 50, 40), (10, 10, 10), (45, 50, 45), (1, 1, 1)])
def test_probes_leave_room_for_the_checks_but_keep_their_own_rate(rate: float, most: float, expected: float) -> None:
    assert most_probes_per_s(Config(probe=Probe(rate=rate, max_rate=most))) == pytest.approx(expected)


@pytest.mark.parametrize(("observe_s", "rate"), [(30.0, 10.5), (60.0, 10.0), (8.0, 39.375), (1.0, 40.0)])
def test_a_window_is_probed_from_its_first_moment_on_at_the_rate_that_it_needs(observe_s: float, rate: float) -> None:
    """So that the rate need not rise inside it, and take the latency with it."""
    assert window_rate(Config(slo=Slo(observe_s=observe_s))) == pytest.approx(rate)


def test_a_restart_that_takes_its_whole_time_stays_within_what_was_announced() -> None:
    """Each look at a service that is awaited is one of its health and one of its metrics."""
    for timeout_s in (1.0, 60.0, 600.0):
        waited, looks = 0.0, 0
        while waited < timeout_s:
            waited, looks = waited + pause_s(waited), looks + 1
        slow = replace(TWO, service=replace(TWO.service, reload_timeout_s=timeout_s))
        quick = replace(TWO, service=replace(TWO.service, reload_timeout_s=0.1))
        assert 2 * 2 * looks <= checks(slow) - checks(quick) + 2 * 2 * 40, timeout_s

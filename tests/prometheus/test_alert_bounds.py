"""What is concluded from alerts, rules and the watchdog just at the moments and numbers that decide."""

from pathlib import Path
from typing import cast

import pytest

from drill.checks import alerts as module
from drill.checks.alerts import Span, _judge_rules, _judge_watchdog, _kept_quiet, _longer, _rules_after
from drill.metrics.prometheus import AlertRule, PrometheusClient, Sample
from drill.verdict import Verdict
from tests.library.world import make_drill
from tests.prometheus.test_alerts import NOW, TOML, Fake, judge, rule

SPAN = Span(NOW - 50, NOW - 25, NOW)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.0, "[1ms]"), (0.0014, "[1ms]"), (0.002, "[2ms]"), (40.0, "[40000ms]")]
)
def test_a_range_is_the_whole_span_in_milliseconds_and_at_least_one(seconds: float, text: str) -> None:
    assert Span(0.0, 0.0, seconds).range == text


@pytest.mark.parametrize(("interval_s", "least"), [(0.0, 1), (0.3, 1), (1.0, 2), (60.0, 120)])
def test_how_long_to_observe_is_said_in_whole_seconds_and_at_least_one(interval_s: float, least: int) -> None:
    assert _longer(interval_s) == f"set [slo] observe_s to {least} or more"


def watchdog(fake: Fake, *rules: AlertRule) -> Verdict:
    return _judge_watchdog(cast("PrometheusClient", fake), "Watchdog", rules, SPAN, known=True)[0][0]


@pytest.mark.parametrize(("count", "verdict"), [(6, Verdict.INCONCLUSIVE), (7, Verdict.PASS), (8, Verdict.PASS)])
def test_one_evaluation_less_than_four_fifths_of_those_due_is_no_gap_yet(count: int, verdict: Verdict) -> None:
    assert watchdog(Fake(evaluations=count), rule("Watchdog", interval_s=5.0)) is verdict


@pytest.mark.parametrize(("age_s", "verdict"), [(25.0, Verdict.INCONCLUSIVE), (24.9, Verdict.PASS)])
def test_what_was_evaluated_just_when_the_service_settled_is_not_after_it(age_s: float, verdict: Verdict) -> None:
    assert watchdog(Fake(watchdog_age_s=age_s), rule("Watchdog", interval_s=60.0)) is verdict
    assert _judge_rules('severity="page"', [rule(age_s=age_s, interval_s=60.0)], SPAN)[0] is verdict


def test_a_watchdog_whose_rule_is_not_listed_must_fire_but_is_due_at_no_interval() -> None:
    assert watchdog(Fake(watchdog_age_s=24.0, evaluations=1)) is Verdict.PASS


def test_a_watchdog_that_history_does_not_hold_was_never_evaluated(tmp_path: Path) -> None:
    class Forgetful(Fake):
        def vector(self, expr: str, at: float | None = None) -> list[Sample]:
            return [] if "count_over_time" in expr else super().vector(expr, at)

    evidence = judge(tmp_path, Forgetful())
    assert (evidence.verdict, evidence.samples) == (Verdict.INCONCLUSIVE, 0)
    assert "evaluated 0 of 8 times" in evidence.reason


def test_rules_that_were_evaluated_just_when_the_service_settled_are_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "EVALUATION_POLL_S", 0.0)
    ages = [25.0, 1.0]

    class Late(Fake):
        def rules(self) -> list[AlertRule]:
            return [rule(age_s=ages.pop(0))]

    _rules_after(NOW - 25, cast("PrometheusClient", Late()), make_drill(tmp_path, toml=TOML))
    assert ages == []


def test_what_is_kept_from_people_is_listed_by_what_keeps_it() -> None:
    one, other = (frozenset({("alertname", name)}) for name in ("One", "Other"))
    assert _kept_quiet({one: "silenced", other: "inhibited"}) == {
        "silenced in Alertmanager": "One",
        "inhibited in Alertmanager": "Other",
    }

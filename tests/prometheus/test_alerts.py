"""What is concluded from alerts, rules and the watchdog, by a Prometheus of which every answer is made by hand."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

import pytest

from drill.checks import alerts as module
from drill.checks.alerts import alerts
from drill.context import Drill
from drill.errors import CannotMeasure
from drill.metrics.prometheus import AlertRule, PrometheusClient, Sample
from drill.observation import Window
from drill.record import Evidence
from drill.rollback import Rollback
from drill.runner import Runner
from drill.verdict import Verdict
from tests.library.world import close_drills, make_drill, reading, served

NOW = 1_000_000.0
INTERVAL_S = 5.0
WATCHDOG = {"alertname": "Watchdog"}
PAGE = {"severity": "page"}
TOML = '[metrics]\nprometheus_url = "http://p:9"\n'


def rule(name: str = "Slow", *, health: str = "ok", age_s: float = 1.0, interval_s: float = INTERVAL_S) -> AlertRule:
    return AlertRule(name, {"alertname": name, **PAGE}, health, NOW - age_s, interval_s)


@dataclass
class Fake:
    """A Prometheus in which the drill began 40 s ago; alerts are ``{state: [names]}``."""

    before: Mapping[str, Sequence[str]] = field(default_factory=dict)
    fired: Sequence[str] = ()
    last: Mapping[str, Sequence[str]] = field(default_factory=dict)
    found: Sequence[AlertRule] | CannotMeasure = (rule(), rule("Watchdog"))
    watchdog_before: bool = True
    watchdog_age_s: float | None = 1.0
    evaluations: int = 8
    asked: list[tuple[str, float | None]] = field(default_factory=list)

    def now(self) -> float:
        return NOW

    def rules(self) -> list[AlertRule]:
        if isinstance(self.found, CannotMeasure):
            raise self.found
        return list(self.found)

    def vector(self, expr: str, at: float | None = None) -> list[Sample]:
        self.asked.append((expr, at))
        assert at is not None
        early = at < NOW - 1
        if "Watchdog" in expr:
            there = self.watchdog_before if early else self.watchdog_age_s is not None
            value = self.evaluations if "count" in expr else NOW - (self.watchdog_age_s or 0.0)
            return [Sample(WATCHDOG, at, float(value))] if there else []
        if "max_over_time" in expr:
            return [_without_name(sample) for sample in samples({"firing": self.fired}, at)]
        return samples(self.before if early else self.last, at)


def _without_name(sample: Sample) -> Sample:
    """Return what a function of PromQL leaves of a sample."""
    return sample._replace(labels={label: value for label, value in sample.labels.items() if label != "__name__"})


def samples(states: Mapping[str, Sequence[str]], at: float) -> list[Sample]:
    return [
        Sample({"__name__": "ALERTS", "alertname": name, "alertstate": state, "node": "a", **PAGE}, at, 1.0)
        for state, names in states.items()
        for name in names
    ]


def judge(folder: Path, fake: Fake, toml: str = "", *, ran_s: float = 40.0) -> Evidence:
    """Judge alerts of a rollback that began ``ran_s`` ago and settled half that time ago."""
    close_drills()
    drill = make_drill(folder, toml=f"{TOML}[slo]\n{toml}")
    drill.__dict__["prometheus"] = cast("PrometheusClient", fake)
    now = time.monotonic()
    drill.before = reading(now - ran_s)
    return alerts(drill, settled_at(now - ran_s / 2))


def settled_at(moment: float) -> Window:
    return replace(served(), first=reading(moment))


def test_no_alert_where_alerting_works_passes(tmp_path: Path) -> None:
    fake = Fake()
    evidence = judge(tmp_path, fake)
    assert evidence.verdict is Verdict.PASS
    assert evidence.reason == 'no alert with severity=~"critical|page" began to fire; 2 rules healthy'
    assert (evidence.value, evidence.op, evidence.threshold, evidence.samples) == (0, "<=", 0, 8)
    assert evidence.window_s == pytest.approx(40, abs=0.5)
    (before, early), (fired, late), *_ = fake.asked
    assert before == 'ALERTS{severity=~"critical|page"}'
    assert early == pytest.approx(NOW - 40, abs=0.5)
    assert late == NOW
    assert fired.startswith('max_over_time(ALERTS{alertstate="firing",severity=~"critical|page"}[400')
    assert evidence.detail == {"query": fired}


def test_the_window_begins_when_the_flags_were_on_disk(tmp_path: Path) -> None:
    drill = make_drill(tmp_path, toml=TOML)
    drill.__dict__["prometheus"] = cast("PrometheusClient", Fake(evaluations=20))
    now = time.monotonic()
    drill.written_at, drill.before = now - 60, reading(now - 40)
    assert alerts(drill, settled_at(now - 20)).window_s == pytest.approx(60, abs=0.5)


def test_a_new_alert_fails_and_is_named(tmp_path: Path) -> None:
    evidence = judge(tmp_path, Fake(fired=["Slow"], last={"firing": ["Slow"]}))
    assert (evidence.verdict, evidence.reason, evidence.value) == (Verdict.FAIL, "began to fire: Slow", 1)
    assert evidence.detail["began to fire"] == "Slow"


def test_an_alert_that_history_does_not_hold_yet_fails_too(tmp_path: Path) -> None:
    assert judge(tmp_path, Fake(last={"firing": ["Slow"]})).verdict is Verdict.FAIL


def test_an_alert_that_fired_and_ended_in_between_fails(tmp_path: Path) -> None:
    evidence = judge(tmp_path, Fake(fired=["Slow"]))
    assert (evidence.verdict, evidence.reason) == (Verdict.FAIL, "fired and resolved: Slow")


def test_a_new_alert_fails_whatever_else_is_missing(tmp_path: Path) -> None:
    fake = Fake(fired=["Slow"], found=CannotMeasure("no rules"), watchdog_age_s=None)
    assert judge(tmp_path, fake).verdict is Verdict.FAIL
    assert judge(tmp_path, Fake(fired=["Slow"]), 'watchdog = ""').verdict is Verdict.FAIL


def test_an_alert_that_was_pending_before_and_fires_now_is_new(tmp_path: Path) -> None:
    fake = Fake(before={"pending": ["Slow"]}, fired=["Slow"], last={"firing": ["Slow"]})
    assert judge(tmp_path, fake).verdict is Verdict.FAIL


def test_an_alert_that_was_pending_before_and_is_over_is_no_news(tmp_path: Path) -> None:
    """A service that was down before the rollback fires while it is reloaded, and is healed by it."""
    evidence = judge(tmp_path, Fake(before={"pending": ["Down"]}, fired=["Down"]))
    assert (evidence.verdict, evidence.value) == (Verdict.PASS, 0)
    assert evidence.detail["pending before, fired and resolved"] == "Down"
    again = judge(tmp_path, Fake(before={"pending": ["Down"]}, fired=["Down"], last={"pending": ["Down"]}))
    assert (again.verdict, again.reason) == (Verdict.FAIL, "fired and resolved: Down")


def test_what_fired_before_is_shown_and_is_no_failure(tmp_path: Path) -> None:
    fake = Fake(before={"firing": ["Old", "Gone"]}, fired=["Old", "Gone"], last={"firing": ["Old"]})
    evidence = judge(tmp_path, fake)
    assert evidence.verdict is Verdict.PASS
    assert evidence.detail["fired before and still firing"] == "Old"
    assert evidence.detail["fired before, resolved since"] == "Gone"


def test_what_fires_is_not_called_new_where_alerting_did_not_work_before(tmp_path: Path) -> None:
    evidence = judge(tmp_path, Fake(fired=["Slow"], watchdog_before=False))
    assert evidence.verdict is Verdict.INCONCLUSIVE
    assert evidence.reason.startswith("it is not known whether these fired before: Slow")


def test_pending_is_not_firing_but_is_shown(tmp_path: Path) -> None:
    evidence = judge(tmp_path, Fake(last={"pending": ["Slow"]}))
    assert (evidence.verdict, evidence.reason) == (Verdict.INCONCLUSIVE, "pending, may still fire: Slow")
    old = judge(tmp_path, Fake(before={"pending": ["Slow"]}, last={"pending": ["Slow"]}))
    assert (old.verdict, old.detail["pending before and still"]) == (Verdict.PASS, "Slow")


def test_an_alert_that_fired_is_not_said_to_be_pending_too(tmp_path: Path) -> None:
    old = judge(tmp_path, Fake(before={"firing": ["Slow"]}, fired=["Slow"], last={"pending": ["Slow"]}))
    assert (old.verdict, set(old.detail)) == (Verdict.PASS, {"fired before, resolved since", "query"})
    new = judge(tmp_path, Fake(fired=["Slow"], last={"pending": ["Slow"]}))
    assert (new.verdict, set(new.detail)) == (Verdict.FAIL, {"fired and resolved", "query"})


def test_another_instance_of_a_firing_alert_is_new(tmp_path: Path) -> None:
    class Two(Fake):
        def vector(self, expr: str, at: float | None = None) -> list[Sample]:
            found = super().vector(expr, at)
            return [*found, found[0]._replace(labels={**found[0].labels, "node": "b"})] if "max_" in expr else found

    fake = Two(before={"firing": ["Slow"]}, fired=["Slow"], last={"firing": ["Slow"]})
    assert judge(tmp_path, fake).reason == "fired and resolved: Slow"


@pytest.mark.parametrize(
    ("fake", "toml", "said"),
    [
        (Fake(), 'watchdog = ""', "nothing shows that an alert would be seen"),
        (Fake(watchdog_age_s=None), "", "Watchdog does not fire"),
        (Fake(watchdog_age_s=20.5), "", "Watchdog was not evaluated since the service settled"),
        (Fake(watchdog_age_s=11), "", "Watchdog was not evaluated lately"),
        (Fake(watchdog_age_s=float("nan")), "", "Watchdog was not evaluated"),
        (Fake(watchdog_before=False), "", "Watchdog did not fire before"),
        (Fake(evaluations=5), "", "gaps: Watchdog was evaluated 5 of 8 times"),
        (Fake(found=[rule("Watchdog")]), "alerts = \"severity='none'\"", "no alerting rule has labels that match"),
        (Fake(found=[]), "", "no alerting rule has labels that match"),
        (Fake(found=[rule(health="err"), rule("B")]), "", "rules that Prometheus cannot evaluate: Slow"),
        (Fake(found=[rule(health="unknown")]), "", "rules that Prometheus cannot evaluate: Slow"),
        (Fake(found=[rule(age_s=11)]), "", "rules that were not evaluated lately: Slow"),
        (Fake(found=[rule(age_s=float("nan"))]), "", "rules that were not evaluated lately: Slow"),
        (Fake(found=[rule(age_s=21, interval_s=60)]), "", "settled: Slow: set [slo] observe_s to 120 or more"),
    ],
)
def test_no_alert_proves_nothing_where_alerting_is_not_shown_to_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fake: Fake, toml: str, said: str
) -> None:
    monkeypatch.setattr(module, "EVALUATION_WAIT_S", 0.0)
    evidence = judge(tmp_path, fake, toml)
    assert evidence.verdict is Verdict.INCONCLUSIVE
    assert said in evidence.reason


def test_few_gaps_and_just_fresh_rules_pass(tmp_path: Path) -> None:
    assert judge(tmp_path, Fake(evaluations=6, found=[rule(age_s=10), rule("Watchdog")])).verdict is Verdict.PASS
    assert judge(tmp_path, Fake(watchdog_age_s=10)).verdict is Verdict.PASS


def test_what_is_evaluated_every_second_may_be_a_few_late(tmp_path: Path) -> None:
    rules = [rule(age_s=5, interval_s=1), rule("Watchdog", age_s=5, interval_s=1)]
    assert judge(tmp_path, Fake(found=rules, watchdog_age_s=5, evaluations=35)).verdict is Verdict.PASS
    late = [rule(age_s=5.1, interval_s=1)]
    assert judge(tmp_path, Fake(found=late, watchdog_age_s=5)).reason == "rules that were not evaluated lately: Slow"


def test_rules_that_cannot_be_read_are_an_error(tmp_path: Path) -> None:
    evidence = judge(tmp_path, Fake(found=CannotMeasure("Prometheus: the answer is partial")))
    assert (evidence.verdict, evidence.reason) == (Verdict.ERROR, "Prometheus: the answer is partial")


@pytest.mark.parametrize("late", ["Slow", "Watchdog"])
def test_the_first_evaluation_after_the_reload_is_waited_for(tmp_path: Path, late: str) -> None:
    ages = [21.0, 0.0]

    class Late(Fake):
        def rules(self) -> list[AlertRule]:
            return [
                rule(name, age_s=ages.pop(0) if name == late else 1.0, interval_s=60) for name in ("Slow", "Watchdog")
            ]

    toml = "alerts = 'alertname=\"Slow\"'"
    assert judge(tmp_path, Late(), toml).verdict is Verdict.PASS
    assert ages == []


def test_names_are_counted_shortened_and_only_shown_if_they_look_like_names(tmp_path: Path) -> None:
    names = ["A", "B", "C", "D", "E", "F", "<b>me@example.org</b>"]
    reason = judge(tmp_path, Fake(fired=names)).reason
    assert reason == "fired and resolved: (a name that is not shown), A, B, C, D, and 2 more"
    assert judge(tmp_path, Fake(fired=["A" * 81])).reason == "fired and resolved: (a name that is not shown)"
    shown = judge(tmp_path, Fake(fired=["A" * 80, "Slow P95 (x)", "Slow: P95.x-y_z"])).reason
    assert shown == f"fired and resolved: (a name that is not shown), {'A' * 80}, Slow: P95.x-y_z"
    assert judge(tmp_path, Fake(fired=["A", "B", "C", "D", "E"])).reason == "fired and resolved: A, B, C, D, E"


def test_a_dead_prometheus_is_an_error_in_bounded_time(tmp_path: Path) -> None:
    drill = make_drill(tmp_path, toml='[metrics]\nprometheus_url = "http://127.0.0.1:9"\nbearer_token_env = "NO_SUCH"')
    now = time.monotonic()
    drill.before, drill.observed = reading(now - 2), settled_at(now - 1)
    entry = run(drill)
    drill.prometheus.close()
    assert entry.verdict is Verdict.ERROR
    assert "connection refused" in entry.reason
    assert time.monotonic() - now < 5


def run(drill: Drill) -> Evidence:
    return Runner(drill, Rollback(drill)).observe("slo.alerts", alerts).evidence

"""Step 6, alerts: none began to fire since the flags were written, by the history that Prometheus keeps of them.

Asking what fires now would miss what fired and ended in between, so ``ALERTS`` is read over the whole window, with what
fired before it taken off. All times are Prometheus' own (METRICS.md, section A5). That nothing fires proves something
only where alerting works: the watchdog alert fires, and the rules that are meant are healthy and freshly evaluated.
Whether somebody silenced an alert does not matter for the verdict: Prometheus says what is wrong, Alertmanager who
hears of it. Where one is configured it is asked, and what it keeps from people is noted.
"""

import math
import time
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from drill.context import Drill
from drill.errors import CannotMeasure
from drill.metrics.matchers import parse_matchers, quoted
from drill.observation import Window
from drill.record import Evidence, Scalar
from drill.verdict import Verdict, worst
from drill.words import count

if TYPE_CHECKING:
    from drill.metrics.alertmanager import Alertmanager
    from drill.metrics.prometheus import AlertRule, PrometheusClient, Sample

EVALUATION_WAIT_S = 5.0
"""How long the first evaluation of the rules after the reload is waited for, where it has not been yet."""
EVALUATION_POLL_S = 0.3
FRESH_INTERVALS = 2
"""Evaluation intervals after which a rule that was not evaluated is stale."""
FRESH_S = 5.0
"""The least age that is stale: what is evaluated every second may be late on a busy machine."""
MIN_EVALUATIONS = 0.8
"""Evaluations per interval of the window below which Prometheus has a gap in which an alert could hide."""
MAX_NAMES = 5

Alert = frozenset[tuple[str, str]]
"""One firing or pending alert: its labels."""
Part = tuple[Verdict, str]


@dataclass(frozen=True, slots=True)
class Span:
    """The time that is judged, in seconds of Prometheus' clock."""

    before: float
    """Never later than the moment at which the flags were on disk."""
    settled: float
    """Never earlier than the moment at which the rolled-back service had settled."""
    end: float

    @property
    def range(self) -> str:
        """The whole span as a PromQL range."""
        return f"[{max(1, round(1000 * (self.end - self.before)))}ms]"


@dataclass(frozen=True, slots=True)
class Seen:
    """Which matching alerts fired or were pending, and when."""

    fired_before: frozenset[Alert]
    pending_before: frozenset[Alert]
    fired: frozenset[Alert]
    """At any time in the span."""
    firing: frozenset[Alert]
    pending: frozenset[Alert]

    @property
    def new(self) -> frozenset[Alert]:
        """Alerts that began to fire in the span, but for those whose cause was there before and has ended since."""
        return self.fired - self.fired_before - self.ended

    @property
    def ended(self) -> frozenset[Alert]:
        """Alerts that were pending before, fired in the span and are over: a service that was down and came back."""
        return (self.fired & self.pending_before) - self.fired_before - self.firing - self.pending

    def named(self) -> dict[str, frozenset[Alert]]:
        """Return what a reader must tell apart, by its name."""
        return {
            "began to fire": self.new & self.firing,
            "fired and resolved": self.new - self.firing,
            "pending since": self.pending - self.pending_before - self.fired_before - self.new,
            "pending before and still": self.pending & self.pending_before,
            "fired before and still firing": self.fired_before & self.firing,
            "fired before, resolved since": self.fired_before - self.firing,
            "pending before, fired and resolved": self.ended,
        }


def alerts(drill: Drill, window: Window) -> Evidence:
    """Judge that no matching alert fires that did not fire before. Raises `CannotMeasure` if nothing can be seen."""
    slo = drill.config.slo
    if not slo.alerts:
        return Evidence(Verdict.NOT_RUN, 'there is no alerting here, by choice ([slo] alerts = "")')
    if not drill.config.metrics.prometheus_url:
        key = "[metrics] prometheus_url"
        reason = f"alerts live in Prometheus: {drill.config.missing(key, f'{key} names none: set it')}"
        return Evidence(Verdict.INCONCLUSIVE, f'{reason}, or say [slo] alerts = "" where there is no alerting')
    client = drill.prometheus
    span = _span_until_now(drill, window, client)
    rules, broken = _rules_after(span.settled, client, drill)
    span = Span(span.before, span.settled, client.now())
    scope = ",".join(str(matcher) for matcher in parse_matchers(slo.alerts))
    seen = _look(client, scope, span)
    known = not slo.watchdog or bool(client.vector(_watchdog(slo.watchdog), span.before))
    watched, evaluations = _judge_watchdog(client, slo.watchdog, rules, span, known=known)
    notes, unexplained = _notes(drill.alertmanager, seen)
    parts = [*_judge_seen(seen, notes, known=known), watched, broken or _judge_rules(slo.alerts, rules, span)]
    evidence = _evidence(slo.alerts, scope, span, seen, parts, evaluations)
    return replace(evidence, detail={**evidence.detail, **_kept_quiet(notes), **unexplained})


def _span_until_now(drill: Drill, window: Window, client: "PrometheusClient") -> Span:
    """Place the drill's moments on Prometheus' clock, by how long ago they were: no two clocks are compared.

    Prometheus reads its clock between ``asked`` and ``answered``; the slack goes to the strict side.
    """
    since = (drill.before or window.first).ended if drill.written_at is None else drill.written_at
    asked = time.monotonic()
    now = client.now()
    answered = time.monotonic()
    return Span(now - (answered - since), now - (asked - window.first.ended), now)


def _rules_after(settled: float, client: "PrometheusClient", drill: Drill) -> tuple[list["AlertRule"], Part | None]:
    """Return the rules once those in scope were evaluated after ``settled``, at the latest after a short wait.

    Where they cannot be read, say why: what fired is judged nevertheless.
    """
    deadline = time.monotonic() + EVALUATION_WAIT_S
    while True:
        try:
            rules = client.rules()
        except CannotMeasure as problem:
            return [], (Verdict.ERROR, str(problem))
        meant = [*_in_scope(drill.config.slo.alerts, rules), *_called(drill.config.slo.watchdog, rules)]
        if all(rule.evaluated > settled for rule in meant) or time.monotonic() > deadline:
            return rules, None
        drill.tick("waiting for the alerting rules to be evaluated")
        time.sleep(EVALUATION_POLL_S)


def _look(client: "PrometheusClient", scope: str, span: Span) -> Seen:
    before = client.vector(f"ALERTS{{{scope}}}", span.before)
    fired = client.vector(f'max_over_time(ALERTS{{alertstate="firing",{scope}}}{span.range})', span.end)
    last = client.vector(f"ALERTS{{{scope}}}", span.end)
    return Seen(
        _in_state("firing", before),
        _in_state("pending", before),
        _in_state("firing", fired) | _in_state("firing", last),
        _in_state("firing", last),
        _in_state("pending", last),
    )


def _notes(alertmanager: "Alertmanager | None", seen: Seen) -> tuple[Mapping[Alert, str], dict[str, Scalar]]:
    """Return which of the alerts are kept from people, and by what; the second item says why that is not known."""
    if alertmanager is None:
        return {}, {}
    try:
        return alertmanager.notes(seen.fired | seen.firing | seen.pending), {}
    except CannotMeasure as problem:
        return {}, {"silences are not known": str(problem)}


def _kept_quiet(notes: Mapping[Alert, str]) -> dict[str, Scalar]:
    kinds = sorted(set(notes.values()))
    return {
        f"{kind} in Alertmanager": _names([alert for alert, note in notes.items() if note == kind]) for kind in kinds
    }


def _in_state(state: str, samples: Iterable["Sample"]) -> frozenset[Alert]:
    ours = {"__name__", "alertstate"}
    return frozenset(
        frozenset((label, value) for label, value in sample.labels.items() if label not in ours)
        for sample in samples
        if sample.labels.get("alertstate") == state
    )


def _judge_seen(seen: Seen, notes: Mapping[Alert, str], *, known: bool) -> list[Part]:
    """Judge what fired and what is pending; ``known``: alerting worked before the rollback, so that "new" is known."""
    named = seen.named()
    parts: list[Part] = []
    for kind in ("began to fire", "fired and resolved"):
        if named[kind] and known:
            parts.append((Verdict.FAIL, f"{kind}: {_names(named[kind], notes)}"))
        elif named[kind]:
            parts.append(
                (Verdict.INCONCLUSIVE, f"it is not known whether these fired before: {_names(named[kind], notes)}")
            )
    if named["pending since"]:
        parts.append((Verdict.INCONCLUSIVE, f"pending, may still fire: {_names(named['pending since'], notes)}"))
    return parts


def _judge_watchdog(
    client: "PrometheusClient", name: str, rules: Sequence["AlertRule"], span: Span, *, known: bool
) -> tuple[Part, int | None]:
    """Judge the positive control: it fired before, fires at the end, and was evaluated all the time in between.

    The second item is how often it was.
    """
    if not name:
        return (Verdict.INCONCLUSIVE, '[slo] watchdog = "": nothing shows that an alert would be seen'), None
    series = _watchdog(name)
    shown = _short(name)
    last = max((sample.value for sample in client.vector(f"timestamp({series})", span.end)), default=None)
    if last is None:
        return (Verdict.INCONCLUSIVE, f"{shown} does not fire: alerting is not shown to work"), None
    counted = client.vector(f"count_over_time({series}{span.range})", span.end)
    count = int(max((sample.value for sample in counted), default=0.0))
    interval = max((rule.interval_s for rule in _called(name, rules)), default=0.0)
    if not last > span.settled:
        return (
            Verdict.INCONCLUSIVE,
            f"{shown} was not evaluated since the service settled: {_longer(interval)}",
        ), count
    if interval and not _fresh(last, interval, span):
        return (Verdict.INCONCLUSIVE, f"{shown} was not evaluated lately: Prometheus stands still"), count
    if not known:
        return (Verdict.INCONCLUSIVE, f"{shown} did not fire before the rollback: alerting began in between"), count
    due = (span.end - span.before) / (interval or math.inf)
    if count < MIN_EVALUATIONS * due - 1:
        return (Verdict.INCONCLUSIVE, f"Prometheus has gaps: {shown} was evaluated {count} of {due:.0f} times"), count
    return (Verdict.PASS, ""), count


def _watchdog(name: str) -> str:
    return f'ALERTS{{alertname={quoted(name)},alertstate="firing"}}'


def _judge_rules(scope: str, rules: Sequence["AlertRule"], span: Span) -> Part:
    """Judge that there are rules of which an alert could come, and that each works."""
    meant = _in_scope(scope, rules)
    if not meant:
        return Verdict.INCONCLUSIVE, "no alerting rule has labels that match [slo] alerts: no alert could ever be seen"
    sick = [rule.name for rule in meant if rule.health != "ok"]
    if sick:
        return Verdict.INCONCLUSIVE, f"rules that Prometheus cannot evaluate: {_count(sick)}"
    stale = [rule.name for rule in meant if not _fresh(rule.evaluated, rule.interval_s, span)]
    if stale:
        return Verdict.INCONCLUSIVE, f"rules that were not evaluated lately: {_count(stale)}"
    unseen = [rule for rule in meant if not rule.evaluated > span.settled]
    if unseen:
        interval = max(rule.interval_s for rule in unseen)
        names = _count([rule.name for rule in unseen])
        return Verdict.INCONCLUSIVE, f"rules not evaluated since the service settled: {names}: {_longer(interval)}"
    return Verdict.PASS, f"{count(len(meant), 'rule')} healthy"


def _fresh(evaluated: float, interval_s: float, span: Span) -> bool:
    return span.end - evaluated <= max(FRESH_INTERVALS * interval_s, FRESH_S)


def _longer(interval_s: float) -> str:
    return f"set [slo] observe_s to {max(1, round(FRESH_INTERVALS * interval_s))} or more"


def _in_scope(scope: str, rules: Iterable["AlertRule"]) -> list["AlertRule"]:
    """Return the rules whose own labels match: labels that only their series bring do not show that one is meant."""
    matchers = parse_matchers(scope)
    return [rule for rule in rules if all(matcher.matches(rule.labels) for matcher in matchers)]


def _called(name: str, rules: Iterable["AlertRule"]) -> list["AlertRule"]:
    return [rule for rule in rules if rule.name == name]


def _evidence(
    alerts_: str, scope: str, span: Span, seen: Seen, parts: Sequence[Part], evaluations: int | None
) -> Evidence:
    final = worst(verdict for verdict, _ in parts)
    reason = "; ".join(text for verdict, text in parts if verdict is final and text)
    detail: dict[str, Scalar] = {kind: _names(found) for kind, found in seen.named().items() if found}
    detail["query"] = f'max_over_time(ALERTS{{alertstate="firing",{scope}}}{span.range})'
    if final is Verdict.PASS:
        reason = f"no alert with {alerts_} began to fire; {reason}"
    new, seconds = len(seen.new), span.end - span.before
    return Evidence(final, reason, new, "<=", 0, evaluations, seconds, " alerts", detail)


def _names(found: Collection[Alert], notes: Mapping[Alert, str] | None = None) -> str:
    noted = notes or {}
    return _count([dict(alert).get("alertname", "") for alert in found], [noted.get(alert, "") for alert in found])


def _count(names: Sequence[str], notes: Sequence[str] = ()) -> str:
    """Return names, in order, each with what is noted of it and how often it occurs."""
    pairs = zip(names, notes or [""] * len(names), strict=True)
    counted = Counter(f"{_short(name)} ({note})" if note else _short(name) for name, note in pairs)
    shown = [name if count == 1 else f"{name} ({count})" for name, count in sorted(counted.items())]
    more = [f"and {len(shown) - MAX_NAMES} more"] if len(shown) > MAX_NAMES else []
    return ", ".join([*shown[:MAX_NAMES], *more])


def _short(name: str) -> str:
    """Return an alert's name as it may be shown: what does not look like a name is not."""
    plain = name.replace(" ", "").replace("_", "").replace("-", "").replace(".", "").replace(":", "")
    return name if plain.isalnum() and len(name) <= 80 else "(a name that is not shown)"

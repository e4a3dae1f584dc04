"""One rung is judged by everything that must be so on it, and by the worst of it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from drill.checks import slo
from drill.errors import CannotMeasure
from drill.observation import Window
from drill.proof.flags import Flag
from drill.proof.spoken import Spoken
from drill.record import Evidence
from drill.reopen import judge
from drill.reopen.judge import RungJudge
from drill.reopen.rungs import Rung
from drill.reopen.writes import WritesReached
from drill.steps.witness import WriteWitness
from drill.verdict import Verdict
from tests.library.world import make_drill, served

CALLS = ("judge_backend", "judge_shadow", "target_errors", "judge_circuit", "alerts", "not_slower")
ARRIVED = Evidence(Verdict.PASS, "all arrived")
PARTS = ["backend", "shadow", "target errors", "circuit and outbox", "errors", "latency"]


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> dict[str, Evidence]:
    """Return what each judgement finds, to be changed by the test; all of it is good."""
    found = {name: Evidence(Verdict.PASS, f"{name} is good") for name in (*CALLS, "errors", "latency")}

    def instead(name: str) -> Callable[..., Evidence]:
        def seen(*_arguments: Any, **_named: Any) -> Evidence:
            if found[name].verdict is Verdict.ERROR:
                raise CannotMeasure(found[name].reason)
            return found[name]

        return seen

    for name in found:
        monkeypatch.setattr(judge if name in CALLS else slo, name, instead(name))
    sampled = Evidence(Verdict.PASS, "40 shadow reads", 40, ">=", 30)
    monkeypatch.setattr(judge, "judge_shadow_reads", lambda *_: [("sampled", sampled)])
    return found


@pytest.fixture
def rung(tmp_path: Path) -> RungJudge:
    return RungJudge(make_drill(tmp_path), Rung("dual-write", 0.0, dual_write=True, tenants=("a",), wanted={}))


def whole(rung: RungJudge, writes: Evidence = ARRIVED) -> Evidence:
    class Written(WritesReached):
        def __init__(self) -> None:
            """Nothing is remembered."""

        def judge(self) -> Evidence:
            return writes

    return rung.whole(served(), served(), Written())


class Quiet:
    """Stands for a witness that agrees with the metrics."""

    def judge(self, evidence: Evidence, _window: Window) -> Evidence:
        return evidence


def test_a_rung_holds_where_all_is_good(rung: RungJudge, found: dict[str, Evidence]) -> None:
    early = rung.early(served())
    assert (early.verdict, list(early.detail)) == (Verdict.PASS, PARTS)
    late = whole(rung)
    assert (late.verdict, late.reason) == (Verdict.PASS, "holds: all arrived")
    assert list(late.detail) == [*PARTS, "flags", "latency change", "alerts", "writes"]
    assert found["alerts"].reason in str(late.detail["alerts"])


@pytest.mark.usefixtures("found")
def test_what_holds_a_rung_is_told(rung: RungJudge) -> None:
    rung.rung = replace(rung.rung, shadow_rate=0.1)
    evidence = whole(rung, Evidence(Verdict.PASS, "3 writes arrived"))
    assert evidence.reason == "holds: 40 shadow reads; 3 writes arrived"
    assert evidence.detail["sampled"] == f"{Verdict.PASS}: 40 >= 30"
    assert evidence.detail["writes"] == f"{Verdict.PASS}: 3 writes arrived"
    assert "shadow" not in evidence.detail


@pytest.mark.parametrize("name", [*CALLS, "errors", "latency"])
@pytest.mark.parametrize("verdict", [Verdict.FAIL, Verdict.INCONCLUSIVE])
def test_anything_bad_shows_with_its_own_reason(
    rung: RungJudge, found: dict[str, Evidence], name: str, verdict: Verdict
) -> None:
    found[name] = Evidence(verdict, "something is odd")
    evidence = whole(rung)
    assert evidence.verdict is verdict
    assert evidence.reason.endswith("something is odd")
    assert "good" not in evidence.reason


def test_what_cannot_be_measured_is_an_error_of_its_part(rung: RungJudge, found: dict[str, Evidence]) -> None:
    found["judge_backend"] = Evidence(Verdict.ERROR, "the metrics are gone")
    evidence = rung.early(served())
    assert (evidence.verdict, evidence.reason) == (Verdict.ERROR, "backend: the metrics are gone")


def test_all_that_is_as_bad_as_the_worst_is_told_and_the_first_is_named(
    rung: RungJudge, found: dict[str, Evidence]
) -> None:
    found["errors"], found["latency"] = (Evidence(Verdict.FAIL, text, 1, "<=", 0) for text in ("one", "two"))
    found["target_errors"] = Evidence(Verdict.INCONCLUSIVE, "three")
    evidence = rung.early(served())
    assert (evidence.reason, evidence.value, evidence.threshold) == ("errors: one; two", 1, 0)


@pytest.mark.usefixtures("found")
def test_what_is_bad_in_the_second_half_alone_is_bad(rung: RungJudge, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second, quiet = served(), served(), cast("WriteWitness", Quiet())

    def turns(_drill: object, seen: Window) -> Evidence:
        return Evidence(Verdict.FAIL if seen is second else Verdict.PASS, "turned")

    monkeypatch.setattr(judge, "target_errors", turns)
    evidence = rung.whole(first, second, quiet)
    assert (evidence.verdict, evidence.reason) == (
        Verdict.FAIL,
        "in the second half of the hold: target errors: turned",
    )
    assert rung.whole(second, first, quiet).reason == "target errors: turned"


@pytest.mark.usefixtures("found")
def test_where_there_is_no_alerting_by_choice_no_alert_is_asked_for(tmp_path: Path) -> None:
    drill = make_drill(tmp_path, toml='[slo]\nalerts = ""')
    rung = RungJudge(drill, Rung("dual-write", 0.0, dual_write=True, tenants=("a",), wanted={}))
    assert "alerts" not in whole(rung).detail


@pytest.mark.parametrize("verdict", [Verdict.FAIL, Verdict.INCONCLUSIVE])
@pytest.mark.usefixtures("found")
def test_on_a_rung_without_dual_write_it_must_be_proven_off(
    rung: RungJudge, monkeypatch: pytest.MonkeyPatch, verdict: Verdict
) -> None:
    """A restart onto the rung is no proof of it."""
    monkeypatch.setattr(judge, "judge_dual_write", lambda *_: Evidence(verdict, "by a restart only"))
    evidence = rung.whole(served(), served(), cast("WriteWitness", Quiet()))
    assert (evidence.verdict, evidence.reason) == (verdict, "dual-write: by a restart only")


@pytest.mark.parametrize(("dual_write", "proof"), [(True, ""), (False, "effect")])
@pytest.mark.usefixtures("found")
def test_what_proved_dual_write_off_counts_only_on_a_rung_that_leaves_it_off(
    rung: RungJudge, monkeypatch: pytest.MonkeyPatch, dual_write: bool, proof: str
) -> None:
    """Where it is on, a write that was skipped for an unknown reason may be one that the circuit held back."""
    seen: list[str] = []

    def circuit(_drill: object, _window: Window, proof: str) -> Evidence:
        seen.append(proof)
        return ARRIVED

    monkeypatch.setattr(judge, "judge_circuit", circuit)
    entry = rung.drill.record.entries["disable_dual_write"]
    entry.evidence = replace(entry.evidence, proof="effect")
    rung.rung = replace(rung.rung, dual_write=dual_write)
    rung.early(served())
    assert seen == [proof]


@pytest.mark.parametrize(
    ("flag", "back", "verdict"),
    [
        (Flag.DUAL_WRITE, False, Verdict.PASS),
        (Flag.DUAL_WRITE, True, Verdict.FAIL),
        (Flag.SHADOW_READ, True, Verdict.PASS),
        (Flag.SHADOW_READ, False, Verdict.FAIL),
        (Flag.BACKEND, False, Verdict.FAIL),
    ],
)
@pytest.mark.usefixtures("found")
def test_a_process_that_says_otherwise_than_the_rung_is_bad(
    rung: RungJudge, monkeypatch: pytest.MonkeyPatch, flag: Flag, back: bool, verdict: Verdict
) -> None:
    """On a rung with dual-write alone, the other two flags are as after the rollback."""
    monkeypatch.setattr(judge, "ask", lambda _drill: {"http://a:1": Spoken({flag: back})})
    evidence = whole(rung)
    assert evidence.verdict is verdict
    assert verdict is Verdict.PASS or f"the processes say otherwise: a:1 {flag.key}" in evidence.reason

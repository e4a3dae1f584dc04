"""FAISS alone answers, and it may be in the target's stead: then that is no proof that the backend flag is obeyed."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from drill.context import Drill
from drill.errors import CannotMeasure
from drill.proof import judge
from drill.proof.environ import Environ
from drill.proof.flags import Flag
from drill.proof.judge import prove_backend
from drill.proof.spoken import Spoken
from drill.proof.stead import LEAST
from drill.record import Evidence
from drill.verdict import Verdict
from tests.library.world import MIGRATING, A, B, make_drill, probes, reading, snapshot, window
from tests.proof.stores import FAISS

TOML = f'[service]\ninstances = ["{A}", "{B}"]\n[target]\nkind = "pgvector"\ndsn_env = "DSN"\n'
TARGET, FAILED = "retrieval_requests_total{backend=pgvector}", "retrieval_errors_total{backend=pgvector}"


def drill_of(folder: Path, before: Mapping[str, float] | None = None, env: str = MIGRATING) -> Drill:
    """Return a drill whose processes had counted ``before`` when the flags were written."""
    drill = make_drill(folder, toml=TOML, env=env, environ={"DSN": "x"})
    if before is not None:
        drill.before = reading(0.0, *(snapshot(name, before) for name in (A, B)))
    return drill


def proven(drill: Drill, more: Mapping[str, float] | None = None, *, on: tuple[str, ...] = (A,)) -> Evidence:
    """Judge a window in which FAISS alone answered, and ``more`` was counted on some instances."""
    first = [snapshot(name, {FAISS: 5}) for name in (A, B)]
    last = [snapshot(name, {FAISS: 25, **((more or {}) if name in on else {})}) for name in (A, B)]
    return prove_backend(drill, window(first, last, probes(20, (A, B))))


@pytest.mark.parametrize(
    ("counted", "verdict"),
    [
        ("retrieval_fallback_total", Verdict.INCONCLUSIVE),
        ("retrieval_answers_total{why=failover}", Verdict.INCONCLUSIVE),
        ("retrieval_breaker_open_total{backend=pgvector}", Verdict.INCONCLUSIVE),
        ("retrieval_search_seconds_count{how=fallback}", Verdict.INCONCLUSIVE),
        ("chat_fallback_total", Verdict.PASS),
        ("retrieval_fallback_enabled", Verdict.PASS),
        ("retrieval_answers_total{why=asked}", Verdict.PASS),
        ("retrieval_dual_write_skipped_total{reason=circuit_off}", Verdict.PASS),
    ],
)
def test_a_service_that_counts_fallbacks_still_asks_for_the_target(
    tmp_path: Path, counted: str, verdict: Verdict
) -> None:
    """Of searches, and while it is watched: a chat's own fallback, or a setting that is shown, is none."""
    evidence = proven(drill_of(tmp_path, {FAISS: 5, TARGET: 90}), {counted: 4})
    assert evidence.verdict is verdict
    if verdict is Verdict.INCONCLUSIVE:
        assert "on a:1 (" in evidence.reason
        assert f"a:1 {counted.partition('{')[0]} +4" in evidence.reason
        assert "falls back from a sick target to FAISS looks the same" in evidence.reason
        assert evidence.proof == "restart"


def test_fallbacks_of_before_the_reload_are_the_incident(tmp_path: Path) -> None:
    """They stand still since, and that they can be counted is all the better."""
    evidence = proven(drill_of(tmp_path, {FAISS: 900, "retrieval_fallback_total": 890}))
    assert (evidence.verdict, evidence.proof) == (Verdict.PASS, "effect")


@pytest.mark.parametrize(
    ("before", "env", "verdict"),
    [
        ({FAISS: LEAST}, MIGRATING, Verdict.INCONCLUSIVE),
        ({FAISS: LEAST - 1}, MIGRATING, Verdict.PASS),
        ({FAISS: 900, TARGET: 1}, MIGRATING, Verdict.PASS),
        ({FAISS: 900, FAILED: 1}, MIGRATING, Verdict.PASS),
        ({FAISS: 900}, f"{MIGRATING}TARGET_PERCENT=5\n", Verdict.PASS),
        ({FAISS: 900}, MIGRATING.replace("pgvector", "faiss"), Verdict.PASS),
        ({FAISS: 900}, MIGRATING.replace("pgvector", "faiss+pgvector"), Verdict.PASS),
        ({}, MIGRATING, Verdict.PASS),
        (None, MIGRATING, Verdict.PASS),
    ],
)
def test_where_faiss_answered_everything_before_that_it_does_now_shows_nothing(
    tmp_path: Path, before: Mapping[str, float] | None, env: str, verdict: Verdict
) -> None:
    """The flag had no effect that could be gone; a part of the traffic, or a few requests, need not be seen."""
    evidence = proven(drill_of(tmp_path, before, env))
    assert evidence.verdict is verdict
    told = (
        f"FAISS had answered every request before the change, too ({2 * LEAST} of them), though the file said pgvector"
    )
    assert (told in evidence.reason) is (verdict is Verdict.INCONCLUSIVE)


@pytest.mark.parametrize(
    ("before", "well", "verdict"),
    [
        ({FAISS: 5, TARGET: 90}, False, Verdict.INCONCLUSIVE),
        ({FAISS: 5, TARGET: 90}, True, Verdict.PASS),
        ({FAISS: 5, TARGET: 90, FAILED: 1}, False, Verdict.PASS),
        ({FAISS: 5, TARGET: 90, "retrieval_fallback_total": 3}, False, Verdict.PASS),
    ],
)
def test_an_environment_that_names_another_backend_wins_over_the_file_in_most(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: Mapping[str, float], well: bool, verdict: Verdict
) -> None:
    """What it does decides only where a target that is asked would be seen: it is well, or its errors are counted."""
    drill = drill_of(tmp_path, before)
    failure = None if well else CannotMeasure("the target does not answer")
    drill.open_target = Mock(side_effect=failure)  # type: ignore[method-assign]
    kept: Any = {
        A: Environ({Flag.BACKEND: False}, "a:1: process 7"),
        B: Environ({Flag.BACKEND: True}, "b:2: process 8"),
    }
    for place in ("drill.proof.stead.environs", "drill.proof.weigh.environs"):
        monkeypatch.setattr(place, lambda _drill, _window: kept)
    evidence = proven(drill)
    assert evidence.verdict is verdict
    if verdict is Verdict.INCONCLUSIVE:
        assert "on a:1 (" in evidence.reason
        assert "a silent fallback to FAISS may be the reason" in evidence.reason


def test_the_process_own_word_settles_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing further is asked for."""
    said = {name: Spoken({Flag.BACKEND: True}) for name in (A, B)}
    monkeypatch.setattr("drill.proof.spoken.ask", lambda _drill, **_more: said)
    evidence = proven(drill_of(tmp_path, {FAISS: 900}))
    assert (evidence.verdict, evidence.proof) == (Verdict.PASS, "process")
    assert judge.STANDS_IN not in evidence.reason


def test_requests_that_the_target_answers_are_a_failure_all_the_same(tmp_path: Path) -> None:
    """A doubt makes nothing better."""
    evidence = proven(drill_of(tmp_path, {FAISS: 900}), {TARGET: 3, "retrieval_fallback_total": 3})
    assert evidence.verdict is Verdict.FAIL

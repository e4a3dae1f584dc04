"""Silent counters prove shadow-read off only where they have been seen to move, or are known to be at a number."""

import json
from pathlib import Path
from typing import Any

import pytest

from drill.context import Drill
from drill.proof.counters import writer_at_work
from drill.proof.judge import prove_shadow
from drill.verdict import Verdict
from tests.library.world import MIGRATING, A, B, make_drill, probes, reading, snapshot, window

FAISS = "retrieval_requests_total{backend=faiss}"
TARGET = "retrieval_requests_total{backend=pgvector}"
SHADOW = "retrieval_shadow_latency_seconds_count{backend=pgvector}"
ZEROS = {
    "retrieval_shadow_agreement_at_5_count": 0.0,
    "retrieval_shadow_ndcg_at_10_count": 0.0,
    "retrieval_shadow_latency_seconds_count": 0.0,
    "retrieval_shadow_dropped_total": 0.0,
}
TOML = f'[service]\ninstances = ["{A}", "{B}"]\n[slo]\nmin_requests = 20\n'


@pytest.fixture
def drill(tmp_path: Path) -> Drill:
    return make_drill(tmp_path, toml=TOML, env=MIGRATING)


def silent(samples: dict[str, float] | None = None) -> Any:
    """Return a window in which both instances served and no shadow counter moved."""
    before = [snapshot(name, {FAISS: 5, **(samples or {})}) for name in (A, B)]
    after = [snapshot(name, {FAISS: 25, **(samples or {})}) for name in (A, B)]
    return window(before, after, probes(20, (A, B)), new=(A, B))


def earlier(drill: Drill, a: dict[str, float], b: dict[str, float]) -> None:
    """Say what the old processes had counted."""
    drill.before = reading(0.0, snapshot(A, a), snapshot(B, b))


def test_counters_that_moved_before_the_reload_prove_it_by_effect(drill: Drill) -> None:
    """They count, and they count no more."""
    earlier(drill, {SHADOW: 3}, {SHADOW: 9})
    evidence = prove_shadow(drill, silent())
    assert (evidence.verdict, evidence.proof) == (Verdict.PASS, "effect")


def test_counters_that_nobody_has_seen_to_move_prove_nothing(drill: Drill) -> None:
    """Registered, without a sample, silent before and after: a service that counts nothing looks the same."""
    earlier(drill, {TARGET: 3}, {TARGET: 3})
    evidence = prove_shadow(drill, silent())
    assert (evidence.verdict, evidence.proof) == (Verdict.INCONCLUSIVE, "restart")


def test_one_instance_that_counts_speaks_for_another_that_has_served_little(drill: Drill) -> None:
    """It is the same program."""
    earlier(drill, {SHADOW: 3}, {TARGET: 19})
    assert prove_shadow(drill, silent()).proof == "effect"


def test_an_instance_that_served_enough_and_counted_nothing_is_not_spoken_for(drill: Drill) -> None:
    """It is named."""
    earlier(drill, {SHADOW: 3}, {TARGET: 20})
    evidence = prove_shadow(drill, silent())
    assert evidence.verdict is Verdict.INCONCLUSIVE
    assert "on b:2" in evidence.reason


def test_where_nobody_knows_which_instance_is_which_the_counters_of_all_must_speak(drill: Drill) -> None:
    """The metrics call the instances otherwise than the configuration does."""
    pods = ("10.0.0.1:8000", "10.0.0.2:8000")
    before, after = ([snapshot(name, {FAISS: count}) for name in pods] for count in (5, 25))
    seen = window(before, after, probes(20, pods), new=pods)
    drill.before = reading(0.0, snapshot(pods[0], {SHADOW: 3}), snapshot(pods[1], {TARGET: 20}))
    assert prove_shadow(drill, seen).verdict is Verdict.INCONCLUSIVE
    drill.before = reading(0.0, snapshot(pods[0], {SHADOW: 3}), snapshot(pods[1], {SHADOW: 9}))
    assert prove_shadow(drill, seen).proof == "effect"


def test_counters_that_stand_at_a_number_are_believed(drill: Drill) -> None:
    """A family with a sample is a true zero."""
    earlier(drill, ZEROS, ZEROS)
    assert prove_shadow(drill, silent(ZEROS)).proof == "effect"


def test_counters_that_stood_at_zero_while_shadow_read_was_on_are_not(drill: Drill) -> None:
    """The old process served enough, with shadow-read on, and counted nothing: it never counts."""
    earlier(drill, {**ZEROS, TARGET: 20}, {**ZEROS, TARGET: 20})
    assert prove_shadow(drill, silent(ZEROS)).verdict is Verdict.INCONCLUSIVE
    earlier(drill, {**ZEROS, TARGET: 19}, {**ZEROS, TARGET: 19})
    assert prove_shadow(drill, silent(ZEROS)).verdict is Verdict.PASS


def test_what_a_process_did_not_count_while_shadow_read_was_off_is_held_against_none(tmp_path: Path) -> None:
    """The file had it off before the drill: an earlier one has seen the counters move."""
    drill = make_drill(tmp_path, toml=TOML, env=MIGRATING.replace("SHADOW_READ=ON", "SHADOW_READ=OFF"))
    earlier(drill, {TARGET: 500}, {TARGET: 500})
    assert prove_shadow(drill, silent()).verdict is Verdict.INCONCLUSIVE
    remembered(drill, {"id": "disable_shadow_read", "proof": "effect"})
    assert prove_shadow(drill, silent()).proof == "effect"


def remembered(drill: Drill, row: dict[str, str]) -> None:
    """Leave a journal of one earlier drill of the same environment, with this row."""
    drill.journal.parent.mkdir(parents=True, exist_ok=True)
    entry = {"drill_id": "x", "env_file": "e", "env_id": drill.record.env_id, "checks": [row]}
    drill.journal.write_text(json.dumps(entry) + "\n")


@pytest.mark.parametrize(
    ("row", "speak"),
    [
        ({"id": "reopen.shadow_read", "verdict": "pass"}, True),
        ({"id": "reopen.shadow_read", "verdict": "fail"}, False),
        ({"id": "reopen.dual_write", "verdict": "pass"}, False),
    ],
)
def test_a_shadow_read_that_was_re_opened_is_a_control_too(drill: Drill, row: dict[str, str], speak: bool) -> None:
    """It was proven by samples that were counted."""
    remembered(drill, row)
    assert (prove_shadow(drill, silent()).verdict is Verdict.PASS) is speak


@pytest.mark.parametrize(("old", "new", "at_work"), [(None, 0, False), (0, 0, False), (1, 0, True), (None, 1, True)])
def test_a_dual_write_that_was_seen_to_try_is_a_writer_at_work(
    drill: Drill, old: float | None, new: float, at_work: bool
) -> None:
    """Before the reload or since, on any instance."""
    errors = "retrieval_dual_write_errors_total"
    if old is not None:
        earlier(drill, {}, {errors: old})
    assert writer_at_work(drill, silent({errors: new})) is at_work


def test_an_earlier_drill_that_saw_them_move_is_the_control_of_the_next(drill: Drill) -> None:
    """Run again, the drill finds the flag off and processes that never counted: the journal remembers."""
    drill.journal.parent.mkdir(parents=True, exist_ok=True)
    known = '{"drill_id": "x", "env_file": "e", "env_id": "%s", '
    line = known + '"steps": [{"id": "disable_shadow_read", "proof": "%s"}]}\n'
    others = line % ("other", "effect") + line % ("", "effect")
    drill.journal.write_text(line % (drill.record.env_id, "process") + others)
    assert prove_shadow(drill, silent()).verdict is Verdict.INCONCLUSIVE
    drill.journal.write_text(line % (drill.record.env_id, "effect"))
    assert prove_shadow(drill, silent()).proof == "effect"
    earlier(drill, {TARGET: 20}, {TARGET: 20})
    assert prove_shadow(drill, silent()).verdict is Verdict.INCONCLUSIVE, "what is seen now outweighs the journal"

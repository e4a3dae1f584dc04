"""Reasons and backends under names that nobody here knows are no alarm and no proof: the key is named that tells."""

from dataclasses import replace
from pathlib import Path

import pytest

from drill.checks.flags import disobeyed, judge_backend, judge_dual_write
from drill.checks.post import circuit_open, judge_circuit, target_errors
from drill.checks.unknown_names import only_backend, only_backend_of, unknown_skips
from drill.config import Values
from drill.context import Drill
from drill.errors import UsageError
from drill.metrics.names import Names
from drill.metrics.snapshot import Delta
from drill.proof.ranks import Rank
from drill.verdict import Verdict
from tests.library.world import MIGRATING, A, B, key, make_drill, probes, reading, served, snapshot, window

SKIPPED = "retrieval_dual_write_skipped_total"
REQUESTS = "retrieval_requests_total"


@pytest.fixture
def drill(tmp_path: Path) -> Drill:
    """A drill whose file says FAISS already."""
    return make_drill(tmp_path)


def proven(drill: Drill, rank: Rank) -> None:
    entry = drill.record.entries["disable_dual_write"]
    entry.evidence = replace(entry.evidence, verdict=Verdict.PASS, proof=str(rank))


@pytest.mark.parametrize("reason", ["cold_store", "auto_disabled", "backoff", ""])
def test_an_unknown_reason_is_no_dual_write(drill: Drill, reason: str) -> None:
    seen = served({f"{SKIPPED}{{reason={reason}}}": 9})
    assert judge_dual_write(drill, seen).verdict is Verdict.PASS
    assert not disobeyed(drill, seen)


@pytest.mark.parametrize(
    ("rank", "reason", "verdict"),
    [
        (Rank.EFFECT, "cold_store", Verdict.PASS),
        (Rank.PROCESS, "cold_store", Verdict.INCONCLUSIVE),
        (Rank.RESTART, "cold_store", Verdict.INCONCLUSIVE),
        (Rank.EFFECT, "backoff", Verdict.INCONCLUSIVE),
        (Rank.EFFECT, "breaker_tripped", Verdict.INCONCLUSIVE),
        (Rank.EFFECT, "circuit_open", Verdict.FAIL),
    ],
)
def test_an_unknown_reason_leaves_the_circuit_open_to_question_unless_the_flag_is_seen_off(
    drill: Drill, rank: Rank, reason: str, verdict: Verdict
) -> None:
    """What sounds like a write that was held back keeps nothing from the target by the flag."""
    proven(drill, rank)
    evidence = circuit_open(drill, served({f"{SKIPPED}{{reason={reason}}}": 9}))
    assert evidence.verdict is verdict
    if verdict is not Verdict.FAIL:
        assert f'a:1 skipped{{reason="{reason}"}} +9' in evidence.reason
        assert "[metrics.values] flag_off" in evidence.reason


@pytest.mark.parametrize(
    ("reason", "grown", "told"),
    [
        ("cold_store", 1, True),
        ("cold_store", 0, False),  # of another time
        ("flag_off", 9, False),
        ("circuit_open", 9, False),
        ("cold_store", float("nan"), True),
    ],
)
def test_only_what_is_skipped_now_for_an_unknown_reason_is_told(reason: str, grown: float, told: bool) -> None:
    name = f"{SKIPPED}{{reason={reason}}}"
    delta = Delta(snapshot(A, {name: 5}), snapshot(A, {name: 5 + grown}))
    assert bool(unknown_skips({A: delta}).text) is told


def test_while_dual_write_is_on_an_unknown_reason_may_be_the_circuit(drill: Drill) -> None:
    seen = served({f"{SKIPPED}{{reason=cold_store}}": 9})
    assert judge_circuit(drill, seen, "").verdict is Verdict.INCONCLUSIVE
    assert judge_circuit(drill, served(), "").verdict is Verdict.PASS


def test_configured_values_are_read_as_those_of_the_design() -> None:
    names = Names({}, Values(faiss="Local", flag_off=["cold_store", "cold"], circuit_open=["Tripped"]))
    read = names.samples(
        {
            key(f"{SKIPPED}{{reason=cold_store}}"): 1.0,
            key(f"{SKIPPED}{{reason=COLD}}"): 2.0,
            key(f"{SKIPPED}{{reason=tripped}}"): 4.0,
            key(f"{SKIPPED}{{reason=other}}"): 8.0,
            key(f"{REQUESTS}{{backend=local}}"): 16.0,
            key(f"{REQUESTS}{{backend=Faiss}}"): 32.0,
            key(f"{REQUESTS}{{backend=pgvector}}"): 64.0,
        }
    )
    assert read == {
        key(f"{SKIPPED}{{reason=flag_off}}"): 3.0,
        key(f"{SKIPPED}{{reason=circuit_open}}"): 4.0,
        key(f"{SKIPPED}{{reason=other}}"): 8.0,
        key(f"{REQUESTS}{{backend=faiss}}"): 48.0,
        key(f"{REQUESTS}{{backend=pgvector}}"): 64.0,
    }


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        ('faiss = "pgvector"', "the name of a target"),
        ('faiss = ""', "what the service calls FAISS"),
        ('flag_off = ["x"]\ncircuit_open = ["X"]', "in flag_off and in circuit_open"),
        ('other = "x"', "unknown key 'other'"),
    ],
)
def test_values_that_would_hide_something_are_wrong_usage(tmp_path: Path, toml: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        make_drill(tmp_path, toml=f"[metrics.values]\n{toml}\n")


def test_the_only_backend_under_an_unknown_name_may_be_faiss(drill: Drill) -> None:
    """The file said FAISS before, and the service answers as it did: the key is named that settles it."""
    seen = served(requests=f"{REQUESTS}{{backend=in_memory}}", instances=(A, B))
    evidence = judge_backend(drill, seen)
    assert evidence.verdict is Verdict.INCONCLUSIVE
    assert '[metrics.values] faiss = "in_memory"' in evidence.reason
    assert not disobeyed(drill, seen)


@pytest.mark.parametrize(
    ("counts", "only"),
    [
        ({"in_memory": 1}, "in_memory"),
        ({"in_memory": 9, "pgvector": 0}, "in_memory"),  # it is registered, and has answered nothing
        ({"in_memory": 9, "pgvector": 1}, ""),
        ({"in_memory": 9, "other": 9}, ""),
        ({"pgvector": 9}, ""),
        ({}, ""),
    ],
)
def test_one_unknown_backend_that_has_answered_everything_is_the_only_one(
    drill: Drill, counts: dict[str, float], only: str
) -> None:
    """Since the boot, and in the window: what has not grown has answered nothing."""
    names = {name: f"{REQUESTS}{{backend={name}}}" for name in ("in_memory", "pgvector", "other")}
    page = snapshot(A, {names[name]: count for name, count in counts.items()})
    assert only_backend_of(drill, [page]) == only
    first = {**{names[name]: 0.0 for name in counts}, names["in_memory"]: 50.0}
    last = {names[name]: first.get(names[name], 0) + count for name, count in counts.items()}
    seen = window([snapshot(A, first)], [snapshot(A, {**first, **last})], probes(1))
    assert only_backend(drill, seen) == only


@pytest.mark.parametrize("began_with", ["pgvector", "in_memory"])
def test_where_only_other_flags_change_the_service_may_answer_as_it_did_just_now(
    tmp_path: Path, began_with: str
) -> None:
    """Whatever it did when the drill began: what counts is the reading that the window begins with."""
    drill = make_drill(tmp_path, env=MIGRATING.replace("pgvector", "faiss"), apply=True)
    drill.before = reading(0.0, snapshot(A, {f"{REQUESTS}{{backend={began_with}}}": 9}))
    assert only_backend(drill, served(requests=f"{REQUESTS}{{backend=in_memory}}")) == "in_memory"


@pytest.mark.parametrize("name", ["pgvector", "pg", "Weaviate", "qdrant-cloud"])
def test_a_target_by_its_name_is_no_unknown_backend(drill: Drill, name: str) -> None:
    assert judge_backend(drill, served(requests=f"{REQUESTS}{{backend={name}}}")).verdict is Verdict.FAIL


def test_another_backend_beside_faiss_stays_a_fail(drill: Drill) -> None:
    evidence = judge_backend(drill, served({f"{REQUESTS}{{backend=in_memory}}": 1}))
    assert evidence.verdict is Verdict.FAIL


def test_on_one_of_two_instances_an_unknown_backend_stays_a_fail(drill: Drill) -> None:
    seen = served(instances=(A, B), only={B: {f"{REQUESTS}{{backend=in_memory}}": 1}})
    assert judge_backend(drill, seen).verdict is Verdict.FAIL


@pytest.mark.parametrize(
    ("before", "verdict"),
    [({"vdb": 50}, Verdict.FAIL), ({"other": 50}, Verdict.INCONCLUSIVE), ({}, Verdict.FAIL)],
)
def test_where_the_file_changes_only_a_new_name_may_be_faiss(
    tmp_path: Path, before: dict[str, int], verdict: Verdict
) -> None:
    """A backend that answered everything before the rollback, and does so after it, was not rolled back."""
    drill = make_drill(tmp_path, env=MIGRATING, apply=True)
    pages = {f"{REQUESTS}{{backend={name}}}": float(count) for name, count in before.items()}
    drill.before = reading(0.0, snapshot(A, pages, started=900.0))
    name = f"{REQUESTS}{{backend=vdb}}"
    seen = window([snapshot(A, {name: 0})], [snapshot(A, {name: 20})], probes(20), new=[A])
    assert judge_backend(drill, seen).verdict is verdict


def test_the_value_that_the_file_held_is_no_unknown_backend(tmp_path: Path) -> None:
    drill = make_drill(tmp_path, env=MIGRATING.replace("pgvector", "vdb"), apply=True)
    drill.before = reading(0.0, snapshot(A, {f"{REQUESTS}{{backend=other}}": 9}))
    assert judge_backend(drill, served(requests=f"{REQUESTS}{{backend=vdb}}")).verdict is Verdict.FAIL


def test_errors_of_what_may_be_faiss_are_none_of_the_target(drill: Drill) -> None:
    own, failed = f"{REQUESTS}{{backend=in_memory}}", "retrieval_errors_total{backend=in_memory}"
    assert target_errors(drill, served({failed: 1}, requests=own)).verdict is Verdict.PASS
    assert target_errors(drill, served({failed: 1})).verdict is Verdict.FAIL

"""From what metrics call an instance to its URL, and which instances a row names as unproven."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest

from drill.context import Drill
from drill.proof.flags import Flag
from drill.proof.spoken import Spoken
from drill.proof.weigh import by_url, weigh
from drill.verdict import Verdict
from tests.library.world import A, B, make_drill, probes, snapshot, window
from tests.proof.stores import FAISS, QUIET

POD_1, POD_2 = "10.0.0.1:8000", "10.0.0.2:8000"


@pytest.fixture
def drill(tmp_path: Path) -> Drill:
    return make_drill(tmp_path, toml=f'[service]\ninstances = ["{A}", "{B}"]\n')


def called(*names: str) -> Any:
    """Return a window of instances that the source of the metrics calls so."""
    before = [snapshot(name, {FAISS: 5}) for name in names]
    return window(before, [snapshot(name, {FAISS: 25}) for name in names], probes(20, names))


@pytest.mark.parametrize(
    ("metrics", "names", "every", "some"),
    [
        ((A, B), [A], {A}, {A}),
        ((A, B), [], set(), set()),
        ((A, B, POD_1), [A, POD_1], {A}, {A}),
        ((POD_1, POD_2), [POD_1, POD_2], {A, B}, {A, B}),
        ((POD_1, POD_2), [POD_1], set(), {A, B}),
        ((POD_1, POD_2), [], set(), set()),
        ((), [POD_1], set(), set()),
    ],
)
def test_where_metrics_call_instances_otherwise_all_are_meant_or_none(
    drill: Drill, metrics: tuple[str, ...], names: Collection[str], every: set[str], some: set[str]
) -> None:
    """What proves an instance must be seen of each, what speaks against one may be of any."""
    seen = called(*metrics)
    assert by_url(drill, seen, names, every=True) == every
    assert by_url(drill, seen, names, every=False) == some


def test_an_instance_of_which_no_restart_was_seen_is_named_as_one(drill: Drill) -> None:
    """Beside one that has restarted, and may have kept its environment."""
    drill.new_processes = [A]
    evidence = weigh(drill, called(A, B), Flag.DUAL_WRITE, QUIET, effect=())
    assert evidence.verdict is Verdict.INCONCLUSIVE
    assert "by a restart only on a:1, b:2 (no restart was seen): " in evidence.reason


def test_where_nobody_knows_which_instance_is_which_one_that_disobeys_may_be_any(
    drill: Drill, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None is taken at its word then, and a restart of one is seen of none."""
    said = dict.fromkeys((A, B), Spoken({Flag.DUAL_WRITE: True}))
    monkeypatch.setattr("drill.proof.spoken.ask", lambda _drill, workers: said)
    drill.new_processes = [POD_1]
    assert weigh(drill, called(POD_1, POD_2), Flag.DUAL_WRITE, QUIET, effect=()).proof == "process"
    before = [snapshot(name, {FAISS: 5}) for name in (POD_1, POD_2)]
    shadowed = {"retrieval_shadow_latency_seconds_count": 1}
    after = [snapshot(POD_1, {FAISS: 25, **shadowed}), snapshot(POD_2, {FAISS: 25})]
    seen = window(before, after, probes(20, (POD_1, POD_2)))
    evidence = weigh(drill, seen, Flag.DUAL_WRITE, QUIET, effect=())
    assert evidence.verdict is Verdict.INCONCLUSIVE
    assert "on a:1 (no restart was seen), b:2 (no restart was seen): " in evidence.reason


def test_a_row_is_as_well_proven_as_its_weakest_instance_and_shows_each(drill: Drill) -> None:
    evidence = weigh(drill, called(A, B), Flag.DUAL_WRITE, QUIET, effect=[A], remarks=["one thing", "another"])
    assert (evidence.verdict, evidence.proof) == (Verdict.INCONCLUSIVE, "restart")
    assert "by a restart only on b:2" in evidence.reason
    shown = {key: evidence.detail[key] for key in ("proof a:1", "proof b:2", "remark 1", "remark 2")}
    assert list(shown.values()) == ["proven by effect", "by a restart only", "one thing", "another"]

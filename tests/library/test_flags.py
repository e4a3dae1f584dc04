"""Which instances disobey a flag, and whether all of them serve from FAISS alone: at each bound."""

from collections.abc import Collection, Mapping
from pathlib import Path

import pytest

from drill.checks.flags import disobeyed, served_alone
from drill.context import Drill
from drill.proof.flags import Flag
from tests.library.world import A, B, make_drill, probes, served, snapshot, window

FAISS, TARGET = "retrieval_requests_total{backend=faiss}", "retrieval_requests_total{backend=pgvector}"
TRIED, SHADOWED = "retrieval_dual_write_errors_total", "retrieval_shadow_dropped_total"


@pytest.fixture
def drill(tmp_path: Path) -> Drill:
    return make_drill(tmp_path)


@pytest.mark.parametrize(
    ("a", "b", "alone"),
    [
        ({FAISS: 1}, {FAISS: 1}, True),
        ({FAISS: 1}, {FAISS: 0}, False),  # one is idle: it shows nothing
        ({FAISS: 9, TARGET: 1}, {FAISS: 9}, False),
        ({TARGET: 9}, {FAISS: 9}, False),
        ({FAISS: 9, TARGET: 0}, {FAISS: 9}, True),
    ],
)
def test_all_serve_from_faiss_alone_or_it_is_not_shown(
    a: Mapping[str, float], b: Mapping[str, float], alone: bool
) -> None:
    first = [snapshot(name, {FAISS: 0, TARGET: 0}) for name in (A, B)]
    last = [snapshot(name, {FAISS: 0, TARGET: 0, **counts}) for name, counts in ((A, a), (B, b))]
    assert served_alone(window(first, last, probes(1, (A, B)))) is alone


def test_where_no_instance_is_seen_none_is_shown_to_serve_from_faiss() -> None:
    assert not served_alone(window([], [], probes(1)))


@pytest.mark.parametrize(
    ("counts", "off", "who"),
    [
        ({}, Flag, set()),
        ({TRIED: 0, SHADOWED: 0, TARGET: 0}, Flag, set()),
        ({TRIED: 1}, Flag, {B}),
        ({SHADOWED: 1}, Flag, {B}),
        ({TARGET: 1}, Flag, {B}),
        ({TARGET: float("nan")}, Flag, {B}),
        ({TRIED: 1}, [Flag.SHADOW_READ, Flag.BACKEND], set()),  # on this rung it is on
    ],
)
def test_an_instance_that_is_seen_to_do_what_a_flag_forbids_disobeys_it(
    drill: Drill, counts: Mapping[str, float], off: Collection[Flag], who: set[str]
) -> None:
    assert disobeyed(drill, served(instances=(A, B), only={B: counts}), tuple(off)) == who

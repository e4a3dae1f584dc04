"""Which instances users have written to, by what the service counts of its HTTP requests."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from drill.context import Drill
from drill.proof.writes import took_writes, written_to
from tests.library.world import A, B, make_drill, probes, snapshot, window

PATH = "/internal/retrieval/ingest"
WRITE = f"http_requests_total{{method=POST,route={PATH},status=200}}"
POD = "10.0.0.7:8000"


def drill_of(folder: Path, *instances: str, path: str = PATH) -> Drill:
    urls = ", ".join(f'"{url}"' for url in instances)
    return make_drill(folder, toml=f'[service]\ninstances = [{urls}]\ningest_path = "{path}"\n')


@pytest.mark.parametrize(
    ("series", "is_write"),
    [
        (WRITE, True),
        (f"http_requests_total{{handler={PATH},code=2xx}}", True),  # whatever the labels are called
        (f"http_requests_total{{method=put,route={PATH},status=204}}", True),
        (f"http_requests_total{{method=GET,route={PATH},status=200}}", False),
        (f"http_requests_total{{method=POST,route={PATH},status=422}}", False),
        ("http_requests_total{method=POST,route=/other,status=200}", False),
    ],
)
def test_only_writes_that_were_accepted_count(tmp_path: Path, series: str, is_write: bool) -> None:
    drill = drill_of(tmp_path, A, B)
    seen = window([snapshot(A), snapshot(B)], [snapshot(A, {series: 1}), snapshot(B)], probes(1, (A, B)))
    assert written_to(drill, seen, {}) == ({A} if is_write else set())
    assert took_writes(drill, snapshot(A, {series: 1})) is is_write
    assert not took_writes(drill, snapshot(A, {series: 0}))


def test_without_a_path_no_request_is_known_to_be_a_write(tmp_path: Path) -> None:
    drill = drill_of(tmp_path, A, B, path="")
    page = snapshot(A, {"http_requests_total{method=POST,route=,status=200}": 5})
    seen = window([snapshot(A), snapshot(B)], [page, snapshot(B)], probes(1, (A, B)))
    assert written_to(drill, seen, {}) == set()
    assert not took_writes(drill, page)


@pytest.mark.parametrize(
    ("names", "counts", "own", "written"),
    [
        ((A, B), {A: 1}, {A: 1}, set()),  # the drill's own canary
        ((A, B), {A: 2}, {A: 1}, {A}),
        ((A, B), {A: 1, B: 1}, {A: 1}, {B}),
        ((A, POD), {POD: 2}, {A: 1, B: 1}, set()),  # nobody knows whose canary it took
        ((A, POD), {POD: 3}, {A: 1, B: 1}, {POD}),
        ((A, POD), {A: 1}, {B: 1}, {A}),
    ],
)
def test_writes_of_the_drill_are_no_user_s(
    tmp_path: Path, names: tuple[str, ...], counts: Mapping[str, float], own: Mapping[str, int], written: set[str]
) -> None:
    before = [snapshot(name, {WRITE: 5}) for name in names]
    after = [snapshot(name, {WRITE: 5 + counts.get(name, 0)}) for name in names]
    assert written_to(drill_of(tmp_path, A, B), window(before, after, probes(1, names)), own) == written


@pytest.mark.parametrize(
    ("instances", "seen", "written"),
    [((A,), (A,), {A}), ((A,), (POD,), {POD}), ((A, B), (A,), set()), ((A,), (A, B), set())],
)
def test_all_that_is_new_was_written_to_the_only_instance_there_is(
    tmp_path: Path, instances: tuple[str, ...], seen: tuple[str, ...], written: set[str]
) -> None:
    pages = [snapshot(name) for name in seen]
    assert written_to(drill_of(tmp_path, *instances), window(pages, pages, probes(1, seen)), {}) == written

"""The first pass: an unchanged collection is recognised without being moved, a changed one never missed."""

from collections.abc import Callable

import pytest

from drill.content_hash import content_hash
from drill.purge import PurgeStatus
from drill.target import pgvector
from tests.purge.world import HOSTILE, World, documents


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sum up small collections too, in several ranges."""
    monkeypatch.setattr("drill.purge.checksum.FIRST_PASS_FROM", 1)
    monkeypatch.setattr(pgvector, "RANGE", 7)


def never() -> None:
    raise AssertionError("the target was scanned")


def test_an_unchanged_tenant_is_not_moved(world: World) -> None:
    """Hostile ids, uppercase hashes and several ranges included: the server computes what is computed here."""
    held = {**documents(range(40)), **{key: key for key in HOSTILE}}
    world.faiss(held)
    world.write(held, hashed=lambda text: content_hash(text).upper())
    report = world.purge(target=world.meddling("scan", 1, never)).run()
    assert report.status is PurgeStatus.NOTHING_TO_PURGE, report
    assert report.reason.startswith("nothing_to_purge: 47 documents on the target")


CHANGES: dict[str, Callable[[World], object]] = {
    "content": lambda world: world.write({"d3": "another text"}),
    "orphan": lambda world: world.write({"late": "x"}),
    "swapped": lambda world: world.write({"d3": "text of 4", "d4": "text of 3"}),
    "no hash": lambda world: world.execute("UPDATE {} SET content_hash = NULL, text = 'x' WHERE id = 'd3'"),
    "one for another": lambda world: world.execute("UPDATE {} SET id = 'd3 ' WHERE id = 'd3'"),
    "missing": lambda world: world.execute("DELETE FROM {} WHERE id = 'd39'"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_any_change_is_seen_and_the_delta_is_the_same_as_without_the_pass(
    world: World, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Equal counts are not enough; a change of one document changes its bucket."""
    world.faiss(documents(range(40)))
    world.write(documents(range(40)))
    CHANGES[name](world)
    with_pass = world.purge().plan()
    monkeypatch.setattr("drill.purge.checksum.FIRST_PASS_FROM", 1 << 40)
    without = world.purge().plan()
    assert (with_pass.digest, with_pass.orphans, with_pass.stale, with_pass.missing) == (
        without.digest,
        without.orphans,
        without.stale,
        without.missing,
    )
    assert with_pass.doomed + with_pass.missing > 0


def test_a_purge_with_the_pass_ends_at_zero_and_verifies_by_it(world: World) -> None:
    """Scanned once, to plan; the proof afterwards is the server's sum, for there is nothing missing."""
    world.faiss(documents(range(40)))
    world.write(documents(range(45)))
    report = world.purge(target=world.meddling("scan", 2, never)).run()
    assert (report.status, report.purged, report.left) == (PurgeStatus.PURGED, 5, 0), report


def test_faiss_written_between_the_sum_and_the_scan_is_read_again(world: World) -> None:
    """A document that both sides got meanwhile is no orphan: FAISS is still read after the target."""
    world.faiss(documents(range(40)))
    world.write(documents(range(41)))

    def take_up() -> None:
        world.write({"late": "x"})
        world.faiss({**documents(range(40)), "late": "x"})

    delta = world.purge(target=world.meddling("scan", 1, take_up)).plan()
    assert (delta.orphans, delta.stale, delta.missing) == (1, 0, 0)


def test_a_target_that_cannot_sum_up_is_scanned(world: World) -> None:
    """Without a hash column the server does not have what is to be summed up."""
    world.faiss(documents(range(40)))
    world.write(documents(range(40)))
    report = world.purge(target=lambda: world.target(hash_column="")).run()
    assert report.status is PurgeStatus.NOTHING_TO_PURGE, report

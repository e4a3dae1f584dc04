"""What FAISS held when the drill began, and has lost or changed since, stays on the target."""

from collections.abc import Collection, Iterable
from pathlib import Path

import faiss
import pytest

from drill.errors import PrimaryUnreadable
from drill.primary import Held
from drill.purge import Purge, PurgeReport, PurgeStatus
from drill.purge.beginning import Beginning
from tests.purge.world import DIMENSION, World, documents, vectors

ALL = documents(range(210))


def begun(world: World, *, sample: int = 1000, copied: int = 1 << 20) -> Purge:
    """Return a purge that knows FAISS as it is now."""
    purge = world.purge()
    looks, held = {"a": world.primary.look("a", sample=sample)}, {"a": world.primary.hold("a", copied)}
    purge.beginning = Beginning(looks, held, lambda _documents: 10, lambda name: name.startswith("canary-"))
    return purge


def updated(world: World, numbers: Collection[int], text: str = "news of") -> None:
    """Give documents another text, and the vector of it, as the service does for its users."""
    rows = vectors(210)
    rows[list(numbers)] = rows[list(numbers)][:, ::-1]
    index = faiss.IndexFlatIP(DIMENSION)
    index.add(rows)
    world.faiss({**ALL, **documents(numbers, text)}, index=index)


def lost(world: World, numbers: Iterable[int]) -> None:
    """Let FAISS lose documents."""
    gone = documents(numbers)
    world.faiss({key: text for key, text in ALL.items() if key not in gone})


def left(report: PurgeReport) -> tuple[int, int]:
    """Return how many documents were left as gone, and as changed."""
    return sum(one.gone for one in report.since), sum(one.changed for one in report.since)


def test_what_faiss_has_lost_since_stays_on_the_target(world: World) -> None:
    """Eight good copies beside twelve documents that the dual-write has left: these go, those stay."""
    world.seed()
    purge = begun(world)
    lost(world, range(8))
    report = purge.run()
    assert (report.status, report.purged, left(report)) == (PurgeStatus.PURGED, 12, (8, 0))
    assert set(documents(range(8))) <= world.ids()
    assert "8 documents are left on the target for the next purge" in report.reason
    assert "lost 8 of them" in report.reason
    assert (report.orphans, report.stale) == (5, 7)


def test_more_losses_than_users_may_delete_defer_the_purge(world: World) -> None:
    """Nothing is deleted, no plan is kept, and the reason says what to do."""
    world.seed()
    purge, before = begun(world), world.dump()
    lost(world, range(11))
    report = purge.run()
    assert (report.status, report.purged, world.dump()) == (PurgeStatus.DEFERRED, 0, before)
    assert "11 documents are gone from FAISS, 10 may have gone" in report.reason
    assert "put FAISS in order first" in report.reason
    assert not list(world.leftovers())


@pytest.mark.parametrize("many", [3, 60])
def test_what_users_update_since_is_left_and_the_rest_is_purged(world: World, many: int) -> None:
    """However many: it holds nothing up."""
    world.seed()
    purge = begun(world)
    updated(world, range(many))
    report = purge.run()
    assert (report.status, report.purged, left(report)) == (PurgeStatus.PURGED, 12, (0, many))
    assert not any(one.harm for one in report.since)
    assert set(documents(range(many))) <= world.ids()


def test_most_documents_with_another_text_defer_the_purge(world: World) -> None:
    """As after a restore of FAISS from an old backup."""
    world.seed()
    purge, before = begun(world), world.dump()
    updated(world, range(150))
    report = purge.run()
    assert (report.status, world.dump()) == (PurgeStatus.DEFERRED, before)
    assert "150 of 210 documents have another text" in report.reason


@pytest.mark.parametrize("sample", [1000, 1])
def test_texts_that_changed_under_their_vectors_defer_the_purge(world: World, sample: int) -> None:
    """One is enough, and it need be in no sample."""
    world.seed()
    purge, before = begun(world, sample=sample), world.dump()
    world.faiss({**ALL, "d3": "lorem ipsum"})
    report = purge.run()
    assert (report.status, world.dump()) == (PurgeStatus.DEFERRED, before)
    assert "1 documents have another text and the vector they had" in report.reason


def test_what_was_stale_when_the_drill_began_is_purged_whatever_became_of_it(world: World) -> None:
    """Users edit d200, which the dual-write had missed; the target's copy is neither what FAISS had nor what it has."""
    world.seed()
    purge = begun(world)
    updated(world, [200])
    report = purge.run()
    assert (report.purged, left(report)) == (12, (0, 0))
    assert "d200" not in world.ids()


def test_the_last_copy_is_left_though_it_was_stale(world: World) -> None:
    """FAISS has lost d200 since: an old copy is better than none."""
    world.seed()
    purge = begun(world)
    lost(world, [200])
    report = purge.run()
    assert (report.purged, left(report)) == (11, (1, 0))
    assert "d200" in world.ids()


def test_without_anything_else_there_is_nothing_to_purge_and_what_is_left_is_said(world: World) -> None:
    world.faiss(ALL)
    world.write(ALL)
    purge = begun(world)
    lost(world, range(2))
    report = purge.run()
    assert report.status is PurgeStatus.NOTHING_TO_PURGE
    assert "no other one differs from FAISS" in report.reason
    assert "2 documents are left on the target" in report.reason


def test_canaries_that_the_drill_has_removed_from_faiss_are_no_loss(world: World) -> None:
    """They were in FAISS when the drill began; on the target they are orphans."""
    canaries = {f"canary-{number}": "Rollback drill canary." for number in range(3)}
    world.faiss({**ALL, **canaries})
    world.write({**ALL, **canaries})
    purge = begun(world)
    world.faiss(ALL)
    report = purge.run()
    assert (report.purged, left(report)) == (3, (0, 0))


def test_a_faiss_that_is_as_it_was_is_read_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What FAISS held is read again only where it has changed since."""
    world.seed()
    purge = begun(world)
    monkeypatch.setattr(Held, "inventory", lambda _held: pytest.fail("read"))
    assert purge.run().purged == 12


def test_a_loss_in_the_midst_of_the_purge_deletes_nothing_further(world: World) -> None:
    """The comparison after the deletes finds it: its documents stay, and the report names the harm."""
    world.seed()
    purge = begun(world)
    world.log.on["purge_delete", 2] = lambda: lost(world, range(11))
    report = purge.run()
    assert (report.purged, left(report)) == (12, (11, 0))
    assert [one.harm for one in report.since] == ["11 documents are gone from FAISS, 10 may have gone"]
    assert set(documents(range(11))) <= world.ids()


def in_place(world: World, held: dict[str, str]) -> None:
    """Write a snapshot into the files that are there, as a careless service does."""
    for name in ("index.faiss", "docs.json"):
        (world.primary.path / name).hardlink_to(world.primary.path / "a" / name)
    world.faiss(held)
    for name in ("index.faiss", "docs.json"):
        path = world.primary.path / "a" / name
        content = path.read_bytes()
        (world.primary.path / name).replace(path)
        path.write_bytes(content)


def test_small_files_are_known_though_the_service_writes_into_them(world: World) -> None:
    world.seed()
    held = world.primary.hold("a")
    in_place(world, {"d1": "text of 1"})
    assert len(dict(held.inventory())) == 210
    assert set(held.vectors(["d1", "nobody"])) == {"d1"}


def test_of_a_large_file_that_was_written_into_a_sample_is_known(world: World) -> None:
    """It says so itself, and what was looked at by sample is protected still."""
    world.seed()
    purge = begun(world, copied=0)
    assert purge.beginning is not None
    in_place(world, {key: text for key, text in ALL.items() if key != "d1"})
    with pytest.raises(PrimaryUnreadable, match="written to since"):
        list(purge.beginning.held["a"].inventory())
    report = purge.run()
    assert (report.purged, left(report), "d1" in world.ids()) == (12, (1, 0), True)
    assert not report.since[0].whole


def test_a_large_file_that_was_renamed_over_is_known_whole(world: World) -> None:
    world.seed()
    purge = begun(world, sample=0, copied=0)
    lost(world, range(4))
    report = purge.run()
    assert (report.purged, left(report)) == (12, (4, 0))
    assert report.since[0].whole


def test_the_files_are_let_go_with_what_holds_them(world: World) -> None:
    world.seed()
    before = len(list(Path("/proc/self/fd").iterdir()))
    held = world.primary.hold("a", 0)
    assert len(list(Path("/proc/self/fd").iterdir())) == before + 2
    del held
    assert len(list(Path("/proc/self/fd").iterdir())) == before

"""The purge as a whole, against a real PostgreSQL with pgvector and real FAISS indexes."""

import json
import stat
from collections.abc import Callable

import pytest

from drill.content_hash import content_hash
from drill.purge import PurgeStatus
from tests.purge.world import HOSTILE, Log, World, documents


def test_counts_and_purges_exactly_the_seeded_delta(world: World) -> None:
    """Orphans and stale documents go, every other one stays as it was, and what went is in the quarantine."""
    seeded = world.seed()
    good = [row for row in world.dump() if row[1] in documents(range(200))]
    report = world.purge().run()
    assert (report.orphans, report.stale, report.missing) == (5, 7, 3), report
    assert report.status is PurgeStatus.PURGED, report
    assert (report.purged, report.skipped, report.left, report.changed_since) == (seeded, 0, 0, 0)
    assert world.dump() == good
    assert len(world.quarantined()) == seeded


def test_plan_changes_nothing(world: World) -> None:
    """A plan has the same counts and leaves target, quarantine and events alone."""
    world.seed()
    before = world.dump()
    purge = world.purge()
    delta = purge.plan()
    purge.close()
    assert (delta.orphans, delta.stale, delta.missing, delta.target_documents) == (5, 7, 3, 212)
    assert delta.fraction == pytest.approx(12 / 212)
    assert world.dump() == before
    assert not purge.quarantine.exists()
    assert world.log.events == []


def test_a_plan_can_be_carried_out_later(world: World) -> None:
    """``run`` takes the plan that was shown."""
    world.seed()
    purge = world.purge()
    report = purge.run(purge.plan())
    assert (report.status, report.purged) == (PurgeStatus.PURGED, 12)


def test_no_divergence_is_nothing_to_purge(world: World) -> None:
    """Equal sides pass with that reason; documents that are only in FAISS are reported and kept."""
    world.faiss(documents(range(20)))
    world.write(documents(range(18)))
    report = world.purge().run()
    assert report.status is PurgeStatus.NOTHING_TO_PURGE
    assert (report.missing, report.purged, report.left, report.quarantine) == (2, 0, 0, None)
    assert report.reason.startswith("nothing_to_purge")


def test_running_again_finds_nothing(world: World) -> None:
    """The purge is idempotent."""
    world.seed()
    world.purge().run()
    before = world.dump()
    assert world.purge().run().status is PurgeStatus.NOTHING_TO_PURGE
    assert world.dump() == before
    assert len(world.quarantined()) == 12


def test_hostile_ids_and_texts_survive(world: World) -> None:
    """Any Unicode, quotes, line breaks and 1 KB of id: matched when equal, purged when not."""
    world.faiss({**{key: key for key in HOSTILE}, **documents(range(20))})
    world.write({**{key: key for key in HOSTILE}, **{f"{key}!": key for key in HOSTILE}, **documents(range(20))})
    report = world.purge().run()
    assert (report.status, report.orphans, report.stale, report.purged) == (PurgeStatus.PURGED, 7, 0, 7), report
    assert world.ids() == {*HOSTILE, *documents(range(20))}
    assert {row.id for row in world.quarantined()} == {f"{key}!" for key in HOSTILE}


def test_white_space_and_unicode_form_do_not_make_a_document_stale(world: World) -> None:
    """The content hash is of the normalised text, whoever computes it."""
    world.faiss({"x": "caf\u00e9  au\nlait", "y": "same"})
    world.write({"x": " cafe\u0301 au lait ", "y": "same"}, hashed=lambda _: "unused")
    report = world.purge(target=lambda: world.target(hash_column="")).run()
    assert report.status is PurgeStatus.NOTHING_TO_PURGE


@pytest.mark.parametrize("stored", [str.upper, lambda value: value], ids=["uppercase", "lowercase"])
def test_hash_column_may_be_of_either_case(world: World, stored: Callable[[str], str]) -> None:
    """Hexadecimal is compared as a number, not as a text, and the conditional delete agrees."""
    world.faiss(documents(range(20)))
    world.write({**documents(range(20)), "gone": "x"}, hashed=lambda text: stored(content_hash(text)))
    report = world.purge().run()
    assert (report.status, report.purged) == (PurgeStatus.PURGED, 1), report


def test_without_a_hash_column_the_text_decides(world: World) -> None:
    """Hashing on this side finds, deletes and proves the same delta."""
    seeded = world.seed()
    world.execute("UPDATE {} SET content_hash = 'nonsense'")
    report = world.purge(target=lambda: world.target(hash_column="")).run()
    assert (report.status, report.orphans, report.stale, report.purged) == (PurgeStatus.PURGED, 5, 7, seeded), report


def test_a_document_without_hash_is_stale(world: World) -> None:
    """What cannot be shown to agree does not agree: by its hash, or by its text where it has no hash."""
    world.faiss(documents(range(20)))
    world.write(documents(range(20)))
    world.execute("UPDATE {} SET content_hash = NULL WHERE id IN ('d1', 'd2', 'd3')")
    world.execute("UPDATE {} SET text = 'another' WHERE id IN ('d1', 'd2')")
    report = world.purge().run()
    assert (report.status, report.stale) == (PurgeStatus.PURGED, 2), report
    assert world.ids() == set(documents(range(20))) - {"d1", "d2"}


def test_tenants_out_of_scope_are_counted_and_kept(world: World) -> None:
    """Another tenant's documents are no orphans; neither is the same id of another tenant."""
    world.seed()
    world.write(documents(range(1000, 1009)), tenant="b")
    report = world.purge().run()
    assert report.unscoped == {"b": 9}
    assert world.ids("b") == set(documents(range(1000, 1009)))


def test_several_tenants_are_purged_each_against_its_own_index(world: World) -> None:
    """The same id may be good in one tenant and an orphan in the other."""
    for tenant, held in (("a", range(30)), ("b", range(29))):
        world.faiss(documents(held), tenant)
        world.write(documents(range(30)), tenant)
    report = world.purge(tenants=("a", "b")).run()
    assert [(found.tenant, found.orphans) for found in report.per_tenant] == [("a", 0), ("b", 1)]
    assert (report.status, "d29" in world.ids("a"), "d29" in world.ids("b")) == (PurgeStatus.PURGED, True, False)


def test_a_tenant_that_the_target_does_not_have_is_all_missing(world: World) -> None:
    """Nothing to purge there, and no error."""
    world.faiss(documents(range(4)))
    report = world.purge().run()
    assert (report.status, report.missing) == (PurgeStatus.NOTHING_TO_PURGE, 4)


def test_every_side_effect_is_announced_in_order(world: World) -> None:
    """Plan, then for each batch: quarantine, delete, deleted; the event names the part that is already there.

    A batch is deleted while the next one is written: it is confirmed when that is announced.
    """
    world.seed()

    def part_is_there() -> None:
        name = str(log.events[-1][1]["part"])
        assert (world.root / "drill" / "quarantine" / name).is_file()

    log = Log(on={("purge_delete", nth): part_is_there for nth in (1, 2, 3)})
    world.purge(log=log).run()
    kinds = {kind: [facts["batch"] for one, facts in log.events if one == kind] for kind in log.kinds()[1:]}
    assert kinds == {kind: [1, 2, 3] for kind in ("purge_quarantine", "purge_delete", "purge_deleted")}
    assert [(kind, facts.get("batch")) for kind, facts in log.events][:6] == [
        ("purge_plan", None),
        ("purge_quarantine", 1),
        ("purge_delete", 1),
        ("purge_quarantine", 2),
        ("purge_delete", 2),
        ("purge_deleted", 1),
    ]


def test_nothing_but_the_quarantine_is_left_behind_and_it_is_private(world: World) -> None:
    """Inventories hold ids and are removed; the quarantine holds documents and is for the owner only."""
    world.seed()
    report = world.purge().run()
    assert report.quarantine is not None
    assert list(world.leftovers()) == []
    assert stat.S_IMODE(report.quarantine.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in report.quarantine.iterdir()} == {0o600}


def test_the_manifest_describes_the_quarantine(world: World) -> None:
    """Origin, dimensions, counts and the digest of every part, without the DSN."""
    world.seed()
    report = world.purge().run()
    assert report.quarantine is not None
    text = (report.quarantine / "manifest.json").read_text()
    manifest = json.loads(text)
    assert (manifest["tenants"], manifest["dims"], manifest["schema"]) == ({"a": 12}, [8], 1)
    assert [part["state"] for part in manifest["parts"]] == ["deleted"] * 3
    assert all(len(part["sha256"]) == 64 for part in manifest["parts"])
    assert world.dsn not in text

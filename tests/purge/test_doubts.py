"""What a purge must not conclude from hashes of another kind, nor from ids that stand twice or are misspelled."""

import base64
import hashlib
import json
from collections.abc import Callable

import pytest

from drill.content_hash import content_hash
from drill.purge import PurgeStatus, doubts
from drill.purge.model import PurgeReport
from tests.purge.world import World, documents


def md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


OTHER_KINDS: dict[str, tuple[Callable[[str], str | None], str]] = {
    "md5": (md5, "of another kind: 32 hex digits, expected 64 hex digits"),
    "sha1": (lambda text: hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest(), "40 hex digits, expected 64"),
    "base64": (lambda text: base64.b64encode(bytes.fromhex(content_hash(text))).decode(), "44 characters, expected 64"),
    "prefixed": (lambda text: f"sha256:{content_hash(text)}", "71 characters, expected 64 hex digits"),
    "etag": (lambda text: f'"{md5(text)}"', "34 characters, expected 64"),
    "of id and text": (lambda text: content_hash(f"tenant/{text}"), "none of the 50 hashes on both sides agree"),
    "none": (lambda _: None, "holds no hash of any of the 50 documents"),
}


def untouched(world: World, report: PurgeReport, before: object) -> None:
    assert world.dump() == before, report.reason
    assert report.purged == 0


@pytest.mark.parametrize("kind", OTHER_KINDS)
def test_hashes_of_another_kind_are_said_and_nothing_is_judged_by_them(world: World, kind: str) -> None:
    """No document is stale for them; an orphan, which is one by its id, is purged all the same."""
    hashed, said = OTHER_KINDS[kind]
    world.faiss(documents(range(50)))
    world.write({**documents(range(50)), "gone": "only here"}, hashed=hashed)
    report = world.purge().run()
    assert (report.status, report.orphans, report.stale, report.unjudged) == (PurgeStatus.PURGED, 1, 0, 50), report
    assert world.ids() == set(documents(range(50)))
    assert said in report.reason
    assert 'set hash_column (or hash_field) to ""' in report.reason


def test_hashes_that_look_right_and_never_agree_are_of_another_text(world: World) -> None:
    """Where the target keeps no text to look into, ten documents of which none agrees say so."""
    world.faiss(documents(range(50)))
    world.write(documents(range(50)), hashed=lambda text: content_hash(f"{text}!"))
    world.execute("UPDATE {} SET text = NULL")
    before = world.dump()
    report = world.purge(max_fraction=1.0).run()
    assert (report.status, report.stale, report.unjudged) == (PurgeStatus.NOTHING_TO_PURGE, 0, 50), report
    assert "none of the 50 hashes on both sides agree" in report.reason
    untouched(world, report, before)


def test_half_migrated_to_another_hash_only_the_comparable_half_is_judged(world: World) -> None:
    """A stale document among those that can be compared is purged; of the others nothing is concluded."""
    world.faiss(documents(range(50)))
    world.write(documents(range(25)))
    world.write(documents(range(25, 50)), hashed=md5)
    world.write({"d3": "an older text"})
    report = world.purge().run()
    assert (report.status, report.stale, report.unjudged) == (PurgeStatus.PURGED, 1, 25), report
    assert world.ids() == set(documents(range(50))) - {"d3"}


def test_a_hash_of_the_raw_text_that_differs_for_some_condemns_none(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SHA-256 without our normalisation agrees for most texts: the others have FAISS's text, and stay.

    Where there are too many to look into each, none of them is judged.
    """
    odd = {f"o{number}": f"two  blanks {number}" for number in range(4)}
    world.faiss({**documents(range(96)), **odd})
    world.write({**documents(range(96)), **odd}, hashed=lambda text: hashlib.sha256(text.encode()).hexdigest())
    before = world.dump()
    report = world.purge().run()
    assert (report.status, report.stale, report.unjudged) == (PurgeStatus.NOTHING_TO_PURGE, 0, 0), report
    untouched(world, report, before)
    monkeypatch.setattr(doubts, "LOOKED_INTO", 3)
    report = world.purge().run()
    assert (report.status, report.stale, report.unjudged) == (PurgeStatus.NOTHING_TO_PURGE, 0, 4), report
    assert "3 of 3 documents whose hash differs have FAISS's very text" in report.reason
    untouched(world, report, before)


def test_one_tenant_with_hashes_of_another_kind_does_not_hide_the_others(world: World) -> None:
    for tenant, hashed in (("a", content_hash), ("b", md5)):
        world.faiss(documents(range(20)), tenant)
        world.write(documents(range(20)), tenant, hashed)
    world.write({"d1": "an older text"}, "a")
    report = world.purge(tenants=("a", "b")).run()
    assert (report.status, report.stale, report.purged, report.unjudged) == (PurgeStatus.PURGED, 1, 1, 20), report
    assert "tenant 'b'" in report.reason


def test_mostly_stale_is_refused_and_says_what_else_may_be_the_reason(world: World) -> None:
    """Few documents, other texts: the guard holds, and names the hashes."""
    world.faiss(documents(range(20)))
    world.write(documents(range(20), "another text of"))
    world.write({"d0": "text of 0"})
    before = world.dump()
    report = world.purge(max_fraction=0.05).run()
    assert report.status is PurgeStatus.REFUSED
    assert "19 of the 20 documents on both sides differ by their hash alone" in report.reason
    untouched(world, report, before)


# --- ids --------------------------------------------------------------------------------------------------------------


def doubled(world: World, *more: dict[str, object]) -> None:
    """Append documents to FAISS as a service does that does not update."""
    folder = world.primary.path / "a"
    listed = json.loads((folder / "docs.json").read_text())
    world.faiss({f"n{number}": "x" for number in range(len(listed) + len(more))})
    (folder / "docs.json").write_text(json.dumps([*listed, *more]))


def test_an_id_that_stands_twice_in_faiss_blocks_a_purge_with_one_line(world: World) -> None:
    """Which content is meant cannot be told; the comparison is shown all the same."""
    world.seed()
    doubled(world, {"id": "d1", "text": "another text"}, {"id": "d2", "text": "another, too"})
    before = world.dump()
    report = world.purge().run()
    assert report.status is PurgeStatus.DEFERRED
    assert report.reason.startswith("deferred: 2 documents of tenant 'a' in FAISS have the id of another one there")
    assert "\n" not in report.reason
    assert (report.orphans, report.stale, report.missing) == (5, 7, 3)
    untouched(world, report, before)


def test_an_id_that_stands_twice_in_faiss_agrees_if_either_content_does(world: World) -> None:
    """The target holds what was written last, FAISS both: nothing differs, and nothing is to be purged."""
    world.faiss(documents(range(20)))
    world.write({**documents(range(20)), "d1": "another text"})
    doubled(world, {"id": "d1", "text": "another text"})
    report = world.purge().run()
    assert (report.status, report.stale, report.missing) == (PurgeStatus.NOTHING_TO_PURGE, 0, 0), report


def test_a_number_and_a_text_that_read_alike_are_one_id_twice(world: World) -> None:
    world.faiss({**documents(range(20)), "7": "seven"})
    world.write({**documents(range(20)), "7": "seven", "gone": "x"})
    doubled(world, {"id": 7, "text": "the number"})
    before = world.dump()
    report = world.purge().run()
    assert report.status is PurgeStatus.DEFERRED
    assert '(also 7 and "7")' in report.reason
    untouched(world, report, before)


def test_an_id_that_stands_twice_on_the_target_blocks_a_purge(world: World) -> None:
    """Chunks of one document, say: a delete by id would take the good ones, too."""
    world.execute("ALTER TABLE {} DROP CONSTRAINT " + f"{world.table}_pkey")
    world.faiss(documents(range(50)))
    world.execute("CREATE INDEX ON {} (tenant, id)")
    for number, text in [*((n, f"text of {n}") for n in range(50)), (3, "another chunk")]:
        world.execute(
            "INSERT INTO {} VALUES ('a', %s, %s, '{{}}', %s, '[1,0,0,0,0,0,0,0]')",
            f"d{number}", text, content_hash(text),
        )  # fmt: skip
    before = world.dump()
    report = world.purge().run()
    assert report.status is PurgeStatus.REFUSED
    assert report.reason.startswith("1 document of tenant 'a' on the target has the id of another one")
    untouched(world, report, before)


ALIKE = {
    "case": ("Doc-A", "doc-a"),
    "unicode form": ("caf\u00e9", "cafe\u0301"),
    "blanks": ("doc 1 ", "doc 1"),
    "leading zeros": ("0007", "7"),
    "a fraction": ("7.0", "7"),
    "a uuid's dashes": ("0a1b2c3d4e5f40718293a4b5c6d7e8f9", "0A1B2C3D-4E5F-4071-8293-A4B5C6D7E8F9"),
}


@pytest.mark.parametrize("how", ALIKE)
def test_ids_that_differ_only_in_how_they_are_written_block_a_purge(world: World, how: str) -> None:
    """The orphan may be the missing document: nobody but its owner can tell."""
    here, there = ALIKE[how]
    world.faiss({**documents(range(50)), here: "the same"})
    world.write({**documents(range(50)), there: "the same"})
    before = world.dump()
    report = world.purge().run()
    assert report.status is PurgeStatus.REFUSED
    assert "1 ids of tenant 'a' that are only on the target differ from ids only in FAISS" in report.reason
    untouched(world, report, before)


def test_ids_that_never_agree_block_a_purge(world: World) -> None:
    """A small tenant whose ids have a prefix on one side is no tenant of orphans."""
    for tenant, prefix in (("a", ""), ("b", "b/")):
        world.faiss(documents(range(60 if tenant == "a" else 3)), tenant)
        held = documents(range(60 if tenant == "a" else 3))
        world.write({prefix + key: text for key, text in held.items()}, tenant)
    report = world.purge(tenants=("a", "b")).run()
    assert report.status is PurgeStatus.REFUSED
    assert "no id of tenant 'b' is on both sides (3 documents in FAISS, 3 on the target)" in report.reason
    assert len(world.ids("b")) == 3


def test_documents_that_go_with_the_deleted_ones_are_missed(world: World) -> None:
    """The count is not only of what should be gone, but of what should have stayed."""
    world.seed()

    def meddle() -> None:
        world.execute("DELETE FROM {} WHERE id IN ('d190', 'd191')")

    report = world.purge(target=world.meddling("delete", 2, meddle)).run()
    assert report.status is PurgeStatus.INCOMPLETE
    assert report.reason.startswith("2 more documents are gone from the target than were deleted")

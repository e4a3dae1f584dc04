"""Whether FAISS still holds at the end what it held at the beginning, on indexes that the real library wrote."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from zlib import crc32

import faiss
import numpy as np
import pytest

from drill.checks import faiss_kept, preflight
from drill.context import Drill
from drill.errors import PrimaryUnreadable
from drill.finish import _look_once_more
from drill.primary import FaissDir, snapshot
from drill.primary.manifest import Manifest
from drill.record import Evidence
from drill.verdict import Verdict
from tests.library.world import Probes, make_drill, served, with_probes

DIMENSION = 4


@pytest.fixture(autouse=True)
def no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test broke stays broken."""
    monkeypatch.setattr(snapshot, "RETRY_PAUSES_S", (0.001,))
    monkeypatch.setattr(snapshot, "STILL_S", 0.0)


def write(root: Path, tenant: str, ids: Iterable[str], dimension: int = DIMENSION, fill: float | None = None) -> Path:
    """Replace a tenant's snapshot by one of these documents, as a service does: each file by rename."""
    folder, names = root / tenant, list(ids)
    folder.mkdir(parents=True, exist_ok=True)
    rows = np.array([vector_of(name, dimension) for name in names], np.float32)
    if fill is not None:
        rows[:] = fill
    index = faiss.IndexFlatIP(dimension)
    index.add(rows)
    faiss.write_index(index, str(folder / "new"))
    (folder / "new-docs").write_text(json.dumps([{"id": name, "text": f"text of {name}"} for name in names]))
    (folder / "new").replace(folder / "index.faiss")
    (folder / "new-docs").replace(folder / "docs.json")
    return folder


def vector_of(name: str, dimension: int) -> Any:
    """Return the vector of a document: always the same."""
    return np.random.default_rng(crc32(name.encode())).random(dimension, dtype=np.float32) + 0.1


def names(count: int, first: int = 0) -> list[str]:
    return [f"d{number}" for number in range(first, first + count)]


def begun(folder: Path, held: dict[str, list[str]], *, primary: str = "") -> Drill:
    """Return a drill whose preflight has looked at FAISS."""
    for tenant, ids in held.items():
        write(folder / "faiss", tenant, ids)
    toml = f"[service]\ntenants = {json.dumps(list(held))}\n[primary]\npath = 'faiss'\n{primary}"
    drill = with_probes(make_drill(folder, toml=toml), Probes())
    assert preflight.faiss(drill).verdict is Verdict.PASS
    return drill


def judged(drill: Drill) -> Evidence:
    return faiss_kept.faiss(drill, served())


def test_the_same_snapshot_passes_and_says_how_many_known_documents_were_asked_for(tmp_path: Path) -> None:
    evidence = judged(begun(tmp_path, {"a": names(550)}))
    assert (evidence.verdict, evidence.value, evidence.threshold, evidence.samples) == (Verdict.PASS, 550, 540, 550)
    assert evidence.reason == "a: 550 documents; 550 known ones asked for: 0 gone"


def test_of_a_tenant_that_is_smaller_than_what_may_go_none_need_be_left(tmp_path: Path) -> None:
    assert judged(begun(tmp_path, {"a": names(5)})).threshold == 0


def test_growth_passes(tmp_path: Path) -> None:
    """Users write: new documents are no loss."""
    drill = begun(tmp_path, {"a": names(50)})
    write(tmp_path / "faiss", "a", names(80))
    evidence = judged(drill)
    assert (evidence.verdict, evidence.value) == (Verdict.PASS, 80)
    assert evidence.detail["a: snapshot"] == "replaced"


def test_550_documents_that_become_two_fail(tmp_path: Path) -> None:
    drill = begun(tmp_path, {"a": names(550)})
    write(tmp_path / "faiss", "a", names(2))
    evidence = judged(drill)
    assert evidence.verdict is Verdict.FAIL
    assert "a: 2 documents, 550 at the beginning; 10 may have gone" in evidence.reason


@pytest.mark.parametrize(
    ("before", "now", "verdict"),
    [
        (550, 540, Verdict.INCONCLUSIVE),
        (550, 539, Verdict.FAIL),
        (3000, 2970, Verdict.INCONCLUSIVE),
        (3000, 2969, Verdict.FAIL),
        (12, 7, Verdict.INCONCLUSIVE),
        (12, 6, Verdict.INCONCLUSIVE),
        (12, 5, Verdict.FAIL),  # within ten, but most of what was known is gone
    ],
)
def test_a_fall_within_the_bound_is_named_and_beyond_it_fails(
    tmp_path: Path, before: int, now: int, verdict: Verdict
) -> None:
    drill = begun(tmp_path, {"a": names(before)})
    write(tmp_path / "faiss", "a", names(now))
    evidence = judged(drill)
    assert evidence.verdict is verdict
    assert (f"{before - now} documents fewer" in evidence.reason) == (verdict is Verdict.INCONCLUSIVE)


@pytest.mark.parametrize(("now", "verdict"), [(540, Verdict.PASS), (539, Verdict.FAIL)])
def test_where_users_delete_a_fall_within_the_bound_passes(tmp_path: Path, now: int, verdict: Verdict) -> None:
    """``expect_deletes`` explains a small fall, and no large one."""
    drill = begun(tmp_path, {"a": names(550)}, primary="expect_deletes = true\n")
    write(tmp_path / "faiss", "a", names(now))
    assert judged(drill).verdict is verdict


def test_the_bounds_can_be_set(tmp_path: Path) -> None:
    drill = begun(tmp_path, {"a": names(100)}, primary="expect_deletes = true\nmax_fall = 0.3\n")
    write(tmp_path / "faiss", "a", names(71))
    assert judged(drill).verdict is Verdict.PASS


def test_as_many_documents_with_other_ids_fail(tmp_path: Path) -> None:
    drill = begun(tmp_path, {"a": names(100)})
    write(tmp_path / "faiss", "a", names(100, first=1000))
    evidence = judged(drill)
    assert evidence.verdict is Verdict.FAIL
    assert "100 of 100 known documents are gone" in evidence.reason


@pytest.mark.parametrize(("gone", "verdict"), [(10, Verdict.INCONCLUSIVE), (11, Verdict.FAIL)])
def test_new_documents_do_not_make_up_for_known_ones(tmp_path: Path, gone: int, verdict: Verdict) -> None:
    """The count alone would be content: as many were added as are gone."""
    drill = begun(tmp_path, {"a": names(500)})
    write(tmp_path / "faiss", "a", names(500, first=gone))
    assert judged(drill).verdict is verdict


def test_of_a_large_tenant_a_random_sample_tells_how_many_are_gone_at_least(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(faiss_kept, "SAMPLE", 200)
    drill = begun(tmp_path, {"a": names(4000)})
    assert len(drill.faiss_before["a"].sample) == 200
    write(tmp_path / "faiss", "a", names(4000, first=1000))  # a quarter was exchanged, one in a hundred may go
    assert judged(drill).verdict is Verdict.FAIL


@pytest.mark.parametrize(
    ("now", "said"), [(names(95), "5 documents fewer"), (names(100, first=3), "3 of 100 known ones gone")]
)
def test_a_fall_that_is_no_news_is_named_all_the_same(tmp_path: Path, now: list[str], said: str) -> None:
    drill = begun(tmp_path, {"a": names(100)}, primary="expect_deletes = true\n")
    write(tmp_path / "faiss", "a", now)
    evidence = judged(drill)
    assert evidence.verdict is Verdict.PASS
    assert said in evidence.reason
    assert "as users delete" in evidence.reason


def test_a_tenant_that_was_not_looked_at_before_adds_nothing_to_what_there_was(tmp_path: Path) -> None:
    """Not even if it is gone: of ten documents that may go, each counts."""
    drill = begun(tmp_path, {"a": names(100), "b": names(5)})
    del drill.faiss_before["b"]
    assert (judged(drill).verdict, judged(drill).threshold) == (Verdict.INCONCLUSIVE, 90)
    (tmp_path / "faiss" / "b").rename(tmp_path / "elsewhere")
    assert (judged(drill).verdict, judged(drill).threshold) == (Verdict.FAIL, 90)


def test_what_the_drill_itself_removed_is_no_loss(tmp_path: Path) -> None:
    """Canaries of a drill that was killed: they were there when it began."""
    drill = begun(tmp_path, {"a": names(100)})
    write(tmp_path / "faiss", "a", names(80, first=20))
    assert judged(drill).verdict is Verdict.FAIL
    drill.swept["a"] = set(names(20))
    evidence = judged(drill)
    assert (evidence.verdict, evidence.samples) == (Verdict.PASS, 80)


@pytest.mark.parametrize(("tenants", "more"), [(4, ""), (6, "; and 2 more tenants")])
def test_a_few_tenants_are_spelled_out_and_the_rest_is_counted(tmp_path: Path, tenants: int, more: str) -> None:
    held = {f"t{number}": names(30) for number in range(tenants)}
    drill = begun(tmp_path, held)
    for tenant in held:
        write(tmp_path / "faiss", tenant, names(2))
    evidence = judged(drill)
    assert evidence.reason.count("2 documents, 30 at the beginning") == 4
    assert evidence.reason.endswith(f"10 may have gone{more}")


def test_a_total_does_not_hide_the_loss_of_one_tenant(tmp_path: Path) -> None:
    drill = begun(tmp_path, {"a": names(100), "b": names(100)})
    write(tmp_path / "faiss", "a", names(300))
    write(tmp_path / "faiss", "b", names(40))
    evidence = judged(drill)
    assert (evidence.verdict, evidence.value) == (Verdict.FAIL, 340)
    assert evidence.reason.startswith("b: 40 documents, 100 at the beginning")


def test_small_losses_of_many_tenants_add_up(tmp_path: Path) -> None:
    """Ten of each tenant may have gone, and not of all of them."""
    held = {f"t{number}": names(60) for number in range(6)}
    drill = begun(tmp_path, held, primary="expect_deletes = true\n")
    for tenant in held:
        write(tmp_path / "faiss", tenant, names(55))
    evidence = judged(drill)
    assert evidence.verdict is Verdict.FAIL
    assert "330 documents of all tenants, 360 at the beginning" in evidence.reason


def test_another_dimension_fails(tmp_path: Path) -> None:
    drill = begun(tmp_path, {"a": names(50)})
    write(tmp_path / "faiss", "a", names(50), dimension=8)
    assert "dimension 8, 4 at the beginning" in judged(drill).reason
    assert judged(drill).verdict is Verdict.FAIL


@pytest.mark.parametrize("fill", [0.0, float("nan"), float("inf")])
def test_vectors_that_are_none_fail(tmp_path: Path, fill: float) -> None:
    """Counts and ids stay, and nothing can be found."""
    drill = begun(tmp_path, {"a": names(50)})
    write(tmp_path / "faiss", "a", names(50), fill=fill)
    evidence = judged(drill)
    assert evidence.verdict is Verdict.FAIL
    assert "50 of 50 vectors looked at are all zero or not finite" in evidence.reason


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("index.faiss", b"IxFI", "cut off"),
        ("index.faiss", None, "index.faiss is missing"),
        ("docs.json", b"[]", "0 documents but 50 vectors"),
        ("docs.json", None, "docs.json is missing"),
    ],
)
def test_a_snapshot_that_breaks_later_fails_and_refuses_nothing(
    tmp_path: Path, name: str, content: bytes | None, said: str
) -> None:
    """The flags are written by then: it is a finding, and no refusal."""
    drill = begun(tmp_path, {"a": names(50)})
    path = tmp_path / "faiss" / "a" / name
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    evidence = judged(drill)
    assert evidence.verdict is Verdict.FAIL
    assert said in evidence.reason
    assert not drill.record.refused


def test_a_snapshot_that_is_written_to_all_the_time_is_no_loss(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What could not be looked at is unproven, not bad."""
    drill = begun(tmp_path, {"a": names(50)})
    monkeypatch.setattr(snapshot, "STILL_S", 3600.0)
    monkeypatch.setattr(snapshot, "WRITING_S", 0.0)
    (tmp_path / "faiss" / "a" / "index.faiss").write_bytes(b"IxFI")
    evidence = judged(drill)
    assert (evidence.verdict, evidence.threshold, evidence.samples) == (Verdict.INCONCLUSIVE, 40, 0)
    assert faiss_kept.loss(drill) == "", "what could not be looked at is not lost"


def test_a_directory_that_is_swapped_by_a_symlink_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For a moment there is none."""
    drill = begun(tmp_path, {"a": names(50)})
    live, moved = tmp_path / "faiss" / "a", tmp_path / "generations" / "2"
    moved.parent.mkdir()
    live.rename(moved)

    def come_back(_: float) -> None:
        if not live.exists():
            live.symlink_to(moved)

    monkeypatch.setattr("drill.primary.snapshot.time.sleep", come_back)
    assert judged(drill).verdict is Verdict.PASS


def test_without_a_look_at_the_beginning_nothing_is_proven(tmp_path: Path) -> None:
    drill = begun(tmp_path, {"a": names(50)})
    drill.faiss_before = {}
    evidence = judged(drill)
    assert evidence.verdict is Verdict.INCONCLUSIVE
    assert "nothing to compare with" in evidence.reason


def test_a_list_of_documents_alone_proves_no_index(tmp_path: Path) -> None:
    """A manifest that stays as it is is unproven, one that shrinks is a loss."""
    drill = begun(tmp_path, {"a": names(50)})
    lines = [json.dumps({"id": name, "tenant": "a", "content_hash": "0"}) + "\n" for name in names(50)]

    def listed(count: int) -> Evidence:
        held = "".join(lines[:count]) + json.dumps({"documents": count}) + "\n"
        (tmp_path / "held.ndjson").write_text(held)
        return judged(drill)

    drill.__dict__["primary"] = primary = Manifest(tmp_path / "held.ndjson")
    listed(50)
    drill.faiss_before = faiss_kept.remember(primary, ["a"])
    assert listed(50).verdict is Verdict.INCONCLUSIVE
    assert listed(2).verdict is Verdict.FAIL


def test_a_document_that_stands_twice_warns_and_holds_no_rollback_up(tmp_path: Path) -> None:
    """A service that appends instead of updating: its purge waits, its rollback does not."""
    write(tmp_path / "faiss", "default", [*names(20), "d3", "d3"])
    drill = with_probes(make_drill(tmp_path, toml="[primary]\npath = 'faiss'\n"), Probes())
    evidence = preflight.faiss(drill)
    assert evidence.verdict is Verdict.PASS
    assert "warning: 2 documents of default have the id of another one" in evidence.reason
    assert drill.faiss_before["default"].facts.duplicate_ids == 2
    write(tmp_path / "faiss", "default", names(20))
    assert judged(drill).verdict is Verdict.PASS, "duplicates that go are no loss"


def test_a_loss_after_the_row_is_found_at_the_end_of_the_drill(tmp_path: Path) -> None:
    """A green row turns red; where no file has changed, nothing is read again."""
    drill = begun(tmp_path, {"a": names(100)})
    entry = drill.record.entries["post.faiss"]

    def at_the_end() -> Verdict:
        _look_once_more(drill)
        return entry.evidence.verdict

    assert at_the_end() is Verdict.NOT_RUN, "what was not judged is not judged at the end either"
    entry.evidence = judged(drill)
    assert faiss_kept.faiss_again(drill) is None
    assert at_the_end() is Verdict.PASS
    write(tmp_path / "faiss", "a", names(3))
    assert at_the_end() is Verdict.FAIL
    assert entry.evidence.reason.startswith("at the end of the drill: a: 3 documents")
    write(tmp_path / "faiss", "a", names(100))
    assert at_the_end() is Verdict.FAIL, "a verdict only gets worse"


def test_a_tenant_that_is_gone_at_the_end_of_the_drill_is_found(tmp_path: Path) -> None:
    drill = begun(tmp_path, {"a": names(100)})
    entry = drill.record.entries["post.faiss"]
    entry.evidence = judged(drill)
    (tmp_path / "faiss" / "a").rename(tmp_path / "elsewhere")
    _look_once_more(drill)
    assert entry.evidence.verdict is Verdict.FAIL


def test_a_look_that_breaks_costs_its_row_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Report and journal line are still to be written."""
    drill = begun(tmp_path, {"a": names(100)})
    entry = drill.record.entries["post.faiss"]
    entry.evidence = judged(drill)

    def broken(*_: object) -> str:
        raise MemoryError

    monkeypatch.setattr(FaissDir, "version", broken)
    _look_once_more(drill)
    assert (entry.evidence.verdict, entry.evidence.reason) == (
        Verdict.ERROR,
        "at the end of the drill: the drill itself failed: MemoryError; please report it",
    )


def test_a_snapshot_that_is_half_written_when_a_drill_begins_refuses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It could not be looked at: that is no proof that there is no FAISS."""
    folder = write(tmp_path / "faiss", "default", names(50))
    drill = make_drill(tmp_path, toml="[primary]\npath = 'faiss'\n")
    monkeypatch.setattr(snapshot, "STILL_S", 3600.0)
    monkeypatch.setattr(snapshot, "WRITING_S", 0.0)
    (folder / "index.faiss").write_bytes((folder / "index.faiss").read_bytes()[:-9])
    with pytest.raises(PrimaryUnreadable, match="is cut off"):
        preflight.faiss(drill)


def test_without_a_primary_the_row_is_not_required(tmp_path: Path) -> None:
    drill = make_drill(tmp_path)
    assert judged(drill).verdict is Verdict.NOT_RUN
    assert not drill.record.entries["post.faiss"].required
    (tmp_path / "other").mkdir()
    assert begun(tmp_path / "other", {"a": names(5)}).record.entries["post.faiss"].required


@pytest.mark.parametrize(
    ("edited", "primary", "verdict"),
    [
        (0, "", Verdict.PASS),
        (20, "", Verdict.PASS),
        (21, "", Verdict.INCONCLUSIVE),
        (40, "expect_deletes = true\n", Verdict.INCONCLUSIVE),
    ],
)
def test_most_known_documents_with_another_vector_are_unproven(
    tmp_path: Path, edited: int, primary: str, verdict: Verdict
) -> None:
    """Users edit some. If most have changed, they may be another document's."""
    drill = begun(tmp_path, {"a": names(40)}, primary=primary)
    path = tmp_path / "faiss" / "a" / "index.faiss"
    index = faiss.read_index(str(path))
    rows = index.reconstruct_n(0, 40)
    rows[:edited] = rows[:edited][:, ::-1]
    changed = faiss.IndexFlatIP(DIMENSION)
    changed.add(rows)
    faiss.write_index(changed, str(path))
    evidence = judged(drill)
    assert evidence.verdict is verdict
    assert (f"{edited} of 40 known documents have another vector" in evidence.reason) == (verdict is not Verdict.PASS)


def test_documents_that_move_to_other_rows_keep_their_vectors(tmp_path: Path) -> None:
    """A service that compacts its index: each document is still the one it was."""
    drill = begun(tmp_path, {"a": names(40)}, primary="expect_deletes = true\n")
    folder = tmp_path / "faiss" / "a"
    rows = faiss.read_index(str(folder / "index.faiss")).reconstruct_n(0, 40)
    moved = faiss.IndexFlatIP(DIMENSION)
    moved.add(rows[5:])
    faiss.write_index(moved, str(folder / "index.faiss"))
    (folder / "docs.json").write_text(json.dumps(json.loads((folder / "docs.json").read_text())[5:]))
    assert judged(drill).verdict is Verdict.PASS


def test_a_sample_is_random_and_whole_where_the_tenant_is_small(tmp_path: Path) -> None:
    write(tmp_path, "a", names(3000))
    primary = FaissDir(tmp_path)
    some = primary.look("a", sample=100).sample
    assert len(set(some)) == 100
    assert {int(name[1:]) // 1000 for name in some} == {0, 1, 2}, "from everywhere"
    assert set(primary.look("a", sample=5000).sample) == set(names(3000))
    assert primary.look("a", ["d7", "nobody"]).found == {"d7"}
    write(tmp_path, "a", ["d1", "d1", "d2", "d1"])
    assert sorted(primary.look("a", sample=3).sample) == ["d1", "d2"]


def retold(folder: Path, texts: Iterable[str]) -> None:
    """Give the documents of tenant a other texts, and leave ids and index as they are."""
    path = folder / "faiss" / "a" / "docs.json"
    documents = [{**old, "text": text} for old, text in zip(json.loads(path.read_text()), texts, strict=True)]
    (path.parent / "new").write_text(json.dumps(documents))
    (path.parent / "new").replace(path)


@pytest.mark.parametrize(
    ("texts", "verdict"),
    [
        (["lorem ipsum"] * 120, Verdict.FAIL),
        ([f"text of d{(number + 1) % 120}" for number in range(120)], Verdict.FAIL),
        (["lorem ipsum"] * 3 + [f"text of d{number}" for number in range(3, 120)], Verdict.INCONCLUSIVE),
        ([f" text  of d{number}\n" for number in range(120)], Verdict.PASS),
    ],
)
def test_texts_replaced_under_the_same_vectors_are_noticed(tmp_path: Path, texts: list[str], verdict: Verdict) -> None:
    """The same ids, count and vectors do not hide other texts; blanks are no other text."""
    drill = begun(tmp_path, {"a": names(120)})
    retold(tmp_path, texts)
    evidence = judged(drill)
    assert evidence.verdict is verdict
    assert ("have another text than at the beginning" in evidence.reason) == (verdict is not Verdict.PASS)


@pytest.mark.parametrize("updated", [3, 40])
def test_updated_documents_pass_and_are_counted(tmp_path: Path, updated: int) -> None:
    """Users update documents, many of them where they are busy: text and vector change together."""
    drill = begun(tmp_path, {"a": names(120)})
    path = tmp_path / "faiss" / "a" / "index.faiss"
    rows = faiss.read_index(str(path)).reconstruct_n(0, 120)
    rows[:updated] += 1.0
    index = faiss.IndexFlatIP(DIMENSION)
    index.add(rows)
    faiss.write_index(index, str(path))
    retold(tmp_path, ["news"] * updated + [f"text of d{number}" for number in range(updated, 120)])
    evidence = judged(drill)
    assert evidence.verdict is Verdict.PASS
    assert f"{updated} of 120 known documents have another text than at the beginning, as users" in evidence.reason


@pytest.mark.parametrize("damaged", [0, 5])
def test_texts_damaged_at_the_reload_hold_the_purge_back(tmp_path: Path, damaged: int) -> None:
    """The target's good copies of them look stale; new blanks alone hold nothing back."""
    drill = begun(tmp_path, {"a": names(120)})
    retold(tmp_path, [f"tÃ©xt of d{n}" if n < damaged else f"text  of d{n}" for n in range(120)])
    lost = faiss_kept.loss(drill)
    assert ("5 of them with the same vector" in lost) == bool(damaged)
    assert bool(lost) == bool(damaged)


def test_each_tenant_is_held_whole_as_it_was_at_first(tmp_path: Path) -> None:
    """For the purge: what FAISS loses afterwards is known by content, in a dry-run and in an apply."""
    drill = begun(tmp_path, {"a": names(40), "b": names(5)})
    write(tmp_path / "faiss", "a", names(3))
    assert {tenant: len(list(held.inventory())) for tenant, held in drill.faiss_held.items()} == {"a": 40, "b": 5}


def test_what_cannot_be_held_is_left_to_the_sample(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Too many tenants for one process's files, and no room for another file."""
    write(tmp_path, "a", names(3))
    write(tmp_path, "b", names(3))
    primary = FaissDir(tmp_path)
    monkeypatch.setattr(faiss_kept, "HELD", 1)
    assert set(faiss_kept.hold(primary, ["a", "b"])) == {"a"}

    def full(_file: int) -> int:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr("drill.primary.held.os.dup", full)
    monkeypatch.setattr(faiss_kept, "COPIED", 0)
    assert faiss_kept.hold(primary, ["a", "b"]) == {}

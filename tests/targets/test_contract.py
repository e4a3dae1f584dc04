"""What a purge relies on, the same for every kind of target; ``docs/targets.md`` says what each kind ran on here."""

import inspect
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import pytest

from drill.content_hash import content_hash
from drill.primary import FaissDir
from drill.purge import Purge, PurgeSettings, PurgeStatus
from drill.purge.undo import undo
from drill.target import KINDS, Pair, Row, Target
from tests.purge.world import HOSTILE, Log, documents
from tests.targets import stages
from tests.targets.conftest import PLACES
from tests.targets.stages import Stage

Open = Callable[..., Target]


def scanned(target: Target, tenant: str = "a") -> list[Pair]:
    return [pair for page in target.scan(tenant) for pair in page]


def pairs(held: dict[str, str]) -> set[Pair]:
    return {(key, content_hash(text)) for key, text in held.items()}


def by_id(rows: Iterable[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: row.id)


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch, stage: Stage) -> None:
    """Make pages of 7 and look-ups of 3, so that a test needs few documents for many of them."""
    target = stage.open()
    target.close()
    module = inspect.getmodule(type(target))
    monkeypatch.setattr(module, "PAGE", 7)
    monkeypatch.setattr(module, "LOOKED_UP", 3, raising=False)


def test_every_kind_has_a_stage() -> None:
    """No kind is forgotten here."""
    assert {name.partition("-")[0] for name in PLACES} == set(KINDS)


@pytest.mark.usefixtures("small_pages")
@pytest.mark.parametrize("count", [0, 7, 20])
def test_a_scan_yields_every_document_of_the_tenant_once(stage: Stage, opened: Open, count: int) -> None:
    """Whatever the number of pages, and also if the last one is full; another tenant's are not among them."""
    held = documents(range(count))
    stage.write(held)
    stage.write(documents(range(100, 103)), tenant="b")
    found = scanned(opened())
    assert len(found) == count
    assert set(found) == pairs(held)
    assert opened().counts() == {key: value for key, value in {"a": count, "b": 3}.items() if value}


@pytest.mark.usefixtures("small_pages")
def test_a_scan_is_lazy(stage: Stage, opened: Open) -> None:
    """Pages are read when they are asked for: memory is bounded by a page."""
    stage.write(documents(range(21)))
    pages = opened().scan("a")
    assert isinstance(pages, Iterator)
    assert 0 < len(next(pages)) <= 7


def test_a_tenant_that_is_not_there_is_empty(stage: Stage, opened: Open) -> None:
    """On one side only is no error: not in the counts, nothing to scan, nothing to find."""
    stage.write(documents(range(2)))
    target = opened("a", "nobody")
    assert target.counts() == {"a": 2}
    assert scanned(target, "nobody") == []
    assert target.present("nobody", ["d0"]) == set()
    assert list(target.export("nobody", ["d0"])) == []


def test_an_empty_request_is_answered_empty(stage: Stage, opened: Open) -> None:
    """No ids select nothing, not everything."""
    stage.write(documents(range(2)))
    target = opened()
    assert target.present("a", []) == set()
    assert list(target.export("a", [])) == []
    assert target.delete("a", []) == set()
    target.restore("a", [])
    assert target.counts() == {"a": 2}


@pytest.mark.usefixtures("small_pages")
def test_hostile_ids_are_read_looked_up_exported_and_deleted(stage: Stage, opened: Open) -> None:
    """Each id comes back as it was written: quotes, control characters, any script, 1 KB."""
    possible = [key for key in HOSTILE if len(key.encode()) <= stage.max_id_bytes]
    ids = [key for key in possible if key.isascii()] if stage.ascii_ids else possible
    held = {key: f"text of {key[:20]}" for key in ids}
    stage.write(held)
    stage.write({"d1": "stays"})
    target = opened()
    assert set(scanned(target)) == pairs(held) | pairs({"d1": "stays"})
    assert target.present("a", ids) == pairs(held)
    rows = list(target.export("a", ids))
    assert {row.pair for row in rows} == pairs(held)
    assert target.delete("a", pairs(held)) == set(ids)
    target.flush()
    assert set(scanned(target)) == pairs({"d1": "stays"})
    target.restore("a", rows)
    target.flush()
    assert target.present("a", ids) == pairs(held)


@pytest.mark.parametrize("hash_field", ["content_hash", ""])
def test_a_delete_takes_only_what_has_the_given_content(stage: Stage, opened: Open, hash_field: str) -> None:
    """Another content, an unknown id and another tenant are left alone."""
    stage.write(documents(range(4)))
    stage.write(documents(range(4) if stage.ids_per_tenant else range(10, 14)), tenant="b")
    target = opened(hash_field=hash_field)
    other = "d3" if stage.ids_per_tenant else "d13"
    wanted = [
        ("d0", content_hash("text of 0")),
        ("d1", content_hash("other")),
        ("d9", content_hash("text of 9")),
    ]
    assert target.delete("a", wanted) == {"d0"} or target.delete("a", wanted) >= {"d0"}
    target.flush()
    assert {key for key, _ in scanned(target)} == {"d1", "d2", "d3"}
    target.delete("a", [(other, content_hash("text of 13"))])
    target.flush()
    assert len(scanned(target, "b")) == 4


def test_export_has_the_exact_vectors_and_restore_brings_everything_back(stage: Stage, opened: Open) -> None:
    """To the last bit, metadata too; what exists is left as it is; a second time changes nothing."""
    held = documents(range(3))
    stage.write(held)
    target = opened()
    rows = by_id(target.export("a", list(held)))
    seen = [np.frombuffer(row.vector or b"", "<f4") for row in rows]
    np.testing.assert_allclose(seen, stages.vectors(3), rtol=0 if stage.exact else 1e-6)
    target.delete("a", [row.pair for row in rows])
    target.flush()
    assert target.counts() == {}
    stage.write({"d2": "newer"})
    for _ in range(2):
        target.restore("a", rows)
        target.flush()
    now = by_id(target.export("a", list(held)))
    assert now[2].hash == content_hash("newer")
    if stage.exact:
        assert now[:2] == rows[:2]
    assert [row.pair for row in now[:2]] == [row.pair for row in rows[:2]]


def test_a_document_without_a_hash_is_not_known_to_agree(stage: Stage, opened: Open) -> None:
    """Its hash is empty, and it can be deleted as such; one that has a hash by then is not."""
    stage.write({"d0": "x", "d1": "y"}, hashed=lambda _: None)
    target = opened()
    assert set(scanned(target)) == {("d0", ""), ("d1", "")}
    stage.write({"d1": "y"})
    target.flush()
    target.delete("a", [("d0", ""), ("d1", "")])
    target.flush()
    assert set(scanned(target)) == {("d1", content_hash("y"))}


def test_a_stated_hash_is_compared_in_lowercase(stage: Stage, opened: Open) -> None:
    """Services write hexadecimal in either case."""
    stage.write({"d0": "x"}, hashed=lambda text: content_hash(text).upper())
    target = opened()
    assert scanned(target) == [("d0", content_hash("x"))]
    target.delete("a", [("d0", content_hash("x"))])
    target.flush()
    assert scanned(target) == []


def test_texts_are_hashed_here_where_no_hash_is_kept(stage: Stage, opened: Open) -> None:
    """Scan, look-up and export agree."""
    stage.write(documents(range(3)), hashed=lambda _: None)
    target = opened(hash_field="")
    assert set(scanned(target)) == pairs(documents(range(3)))
    assert target.present("a", ["d1"]) == pairs(documents([1]))
    assert [row.pair for row in target.export("a", ["d1"])] == [*pairs(documents([1]))]


def test_it_says_what_it_is(opened: Open) -> None:
    """A quarantine tells where it came from."""
    described = opened().describe()
    assert described["kind"]
    assert described["server"]
    assert described["client"].split()[-1][0].isdigit()


def test_a_purge_leaves_no_divergence_and_undo_brings_it_back(stage: Stage, opened: Open, tmp_path: Any) -> None:
    """The whole way: compare, quarantine, delete, compare again, write back."""
    import json

    import faiss

    folder = tmp_path / "faiss" / "a"
    folder.mkdir(parents=True)
    good = documents(range(40))
    index = faiss.IndexFlatIP(stages.DIMENSION)
    index.add(np.array(stages.vectors(len(good)), "f4"))
    faiss.write_index(index, str(folder / "index.faiss"))
    (folder / "docs.json").write_text(json.dumps([{"id": key, "text": text} for key, text in good.items()]))
    stage.write(documents(range(35)))
    stage.write(documents(range(30, 35), "older text of"))
    stage.write(documents(range(100, 104)))
    target = opened("a")
    before = by_id(target.export("a", [key for key, _ in scanned(target)]))
    bounds = PurgeSettings(("a",), max_fraction=0.5, batch=4)
    report = Purge(FaissDir(tmp_path / "faiss"), lambda: stage.open("a"), bounds, tmp_path / "drill", Log()).run()
    assert (report.status, report.orphans, report.stale, report.missing) == (PurgeStatus.PURGED, 4, 5, 5), report.reason
    target.flush()
    assert set(scanned(target)) == pairs(documents(range(30)))
    undone = undo(tmp_path / "drill" / "quarantine", target)
    if stage.exact:
        assert (undone.restored, undone.kept, undone.failed) == (9, 0, 0)
        assert by_id(target.export("a", [row.id for row in before])) == before

"""The structural check of a FAISS directory, on files that the real library wrote, whole and damaged."""

import json
import struct
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest

from drill.content_hash import content_hash
from drill.errors import NoFallback, PrimaryUnreadable
from drill.primary import FaissDir, faiss_dir, snapshot
from tests.purge.world import DIMENSION, documents, vectors


@pytest.fixture(autouse=True)
def no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Damage that a test made does not heal."""
    monkeypatch.setattr(snapshot, "RETRY_PAUSES_S", (0.001,))
    monkeypatch.setattr(snapshot, "STILL_S", 0.0)


def write(root: Path, index: Any, held: object, tenant: str = "a") -> Path:
    folder = root / tenant
    folder.mkdir(exist_ok=True)
    faiss.write_index(index, str(folder / "index.faiss"))
    (folder / "docs.json").write_text(json.dumps(held))
    return folder


def listed(count: int) -> list[dict[str, object]]:
    return [{"id": key, "text": text, "meta": {"n": 1.5}} for key, text in documents(range(count)).items()]


def flat(count: int, kind: Any = faiss.IndexFlatIP) -> Any:
    index = kind(DIMENSION)
    index.add(vectors(count))
    return index


def mapped(count: int, kind: Any) -> Any:
    index = kind(faiss.IndexFlatL2(DIMENSION))
    index.add_with_ids(vectors(count), np.arange(count) + 100)
    return index


def lp(count: int) -> Any:
    index = faiss.IndexFlat(DIMENSION, faiss.METRIC_Lp)
    index.metric_arg = 3
    index.add(vectors(count))
    return index


def ivf(count: int) -> Any:
    index = faiss.IndexIVFFlat(faiss.IndexFlatL2(DIMENSION), DIMENSION, 1)
    index.train(vectors(100))
    index.add(vectors(count))
    return index


def hnsw(count: int) -> Any:
    index = faiss.IndexHNSWFlat(DIMENSION, 8)
    index.add(vectors(count))
    return index


KINDS = {
    "flat (inner product)": lambda: flat(50),
    "flat (L2)": lambda: flat(50, faiss.IndexFlatL2),
    "flat": lambda: lp(50),
    "IDMap, flat (L2)": lambda: mapped(50, faiss.IndexIDMap),
    "IDMap2, flat (L2)": lambda: mapped(50, faiss.IndexIDMap2),
    "IndexHNSWFlat": lambda: hnsw(50),
    "IndexIVFFlat": lambda: ivf(50),
    "IndexScalarQuantizer": lambda: trained_sq(50),
}


def trained_sq(count: int) -> Any:
    index = faiss.IndexScalarQuantizer(DIMENSION, faiss.ScalarQuantizer.QT_8bit)
    index.train(vectors(count))
    index.add(vectors(count))
    return index


@pytest.mark.parametrize("kind", KINDS)
def test_a_sound_index_of_any_kind_has_its_facts(tmp_path: Path, kind: str) -> None:
    """Vectors, documents, dimension, size, age and kind; and a stored vector finds itself."""
    folder = write(tmp_path, KINDS[kind](), listed(50))
    facts = FaissDir(tmp_path).check("a")
    assert (facts.tenant, facts.vectors, facts.documents, facts.dimension, facts.kind) == ("a", 50, 50, 8, kind)
    assert facts.size_bytes == sum(path.stat().st_size for path in folder.iterdir())
    assert 0 <= facts.age_s < 60


def test_a_flat_index_is_checked_in_milliseconds_without_faiss(tmp_path: Path) -> None:
    """The check is on the critical path of a rollback: neither faiss nor numpy is loaded for it."""
    write(tmp_path, flat(2000), listed(2000))
    code = (
        "import sys; from pathlib import Path; from drill.primary import FaissDir; "
        f"FaissDir(Path({str(tmp_path)!r})).check('a'); print(sorted({{'faiss', 'numpy', 'ijson'}} & set(sys.modules)))"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    started = time.process_time()  # a busy machine is not the check's fault
    FaissDir(tmp_path).check("a")
    assert time.process_time() - started < 0.5


def test_tenants_are_the_directories_with_both_files(tmp_path: Path) -> None:
    """Others are not tenants."""
    write(tmp_path, flat(1), listed(1), "b")
    write(tmp_path, flat(1), listed(1), "a")
    (write(tmp_path, flat(1), listed(1), "half") / "docs.json").unlink()
    (tmp_path / "file").write_text("")
    assert FaissDir(tmp_path).tenants() == ["a", "b"]


def cut(size: int) -> Callable[[Path], object]:
    return lambda folder: (folder / "index.faiss").write_bytes((folder / "index.faiss").read_bytes()[:size])


def patch(offset: int, raw: bytes) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        content = bytearray((folder / "index.faiss").read_bytes())
        content[offset : offset + len(raw)] = raw
        (folder / "index.faiss").write_bytes(bytes(content))

    return change


def docs(content: object) -> Callable[[Path], object]:
    raw = content if isinstance(content, bytes) else json.dumps(content).encode()
    return lambda folder: (folder / "docs.json").write_bytes(raw)


def no_index(folder: Path) -> None:
    (folder / "index.faiss").unlink()


def no_docs(folder: Path) -> None:
    (folder / "docs.json").unlink()


def longer(folder: Path) -> None:
    with (folder / "index.faiss").open("ab") as file:
        file.write(b"x")


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "no index": (no_index, "index.faiss is missing"),
    "no docs": (no_docs, "docs.json is missing"),
    "index of no bytes": (cut(0), "cut off in its header"),
    "index cut in its header": (cut(30), "cut off in its header"),
    "index cut in its vectors": (cut(200), "is cut off: 200 bytes"),
    "index one byte short": (cut(45 + 5 * DIMENSION * 4 - 1), "is cut off"),
    "index one byte long": (longer, "1 bytes after its end"),
    "not an index": (patch(0, b"\x00\x01\x02\x03"), "does not begin like a FAISS index"),
    "unknown kind": (patch(0, b"Zzzz"), "cannot be read by faiss"),
    "dimension 0": (patch(4, struct.pack("<i", 0)), "impossible header"),
    "negative count": (patch(8, struct.pack("<q", -1)), "impossible header"),
    "more vectors promised": (patch(8, struct.pack("<q", 6)), "its header promises 48"),
    "not trained": (patch(32, b"\x00"), "is not trained"),
    "document missing": (docs(listed(4)), "4 documents but 5 vectors"),
    "document too many": (docs(listed(6)), "6 documents but 5 vectors"),
    "id empty": (docs([*listed(4), {"id": "", "text": "x"}]), "no id (a text that is not empty, or a number) in row 4"),
    "id null": (
        docs([*listed(4), {"id": None, "text": "x"}]),
        "no id (a text that is not empty, or a number) in row 4",
    ),
    "id a list": (
        docs([*listed(4), {"id": [7], "text": "x"}]),
        "no id (a text that is not empty, or a number) in row 4",
    ),
    "not an object": (docs([*listed(4), "d5"]), "something other than an object in row 4"),
    "an object": (docs({"a": 1}), "not a JSON array"),
    "no JSON": (docs(b"<html>"), "not valid JSON"),
    "JSON cut": (docs(json.dumps(listed(5)).encode()[:-9]), "not valid JSON (line 1"),
    "not UTF-8": (docs(b'[{"id": "\xff\xfe\xfa", "text": "x"}]'), "not valid JSON"),
    "too deep": (docs(b"[" * 200_000), "not valid JSON"),
    "no bytes": (docs(b""), "not valid JSON"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_no_fallback_in_one_line(tmp_path: Path, damage: str) -> None:
    """Each defect is refused with a line that names the tenant and the defect, and quotes no content."""
    do, said = DAMAGES[damage]
    do(write(tmp_path, flat(5), listed(5)))
    with pytest.raises(NoFallback) as caught:
        FaissDir(tmp_path).check("a")
    message = str(caught.value)
    assert said in message
    assert "'a'" in message
    assert "\n" not in message
    assert "text of" not in message


def test_an_empty_index_is_no_fallback(tmp_path: Path) -> None:
    """No vectors and no documents agree, and are no fallback."""
    write(tmp_path, faiss.IndexFlatIP(DIMENSION), [])
    with pytest.raises(NoFallback, match="empty"):
        FaissDir(tmp_path).check("a")


@pytest.mark.parametrize("tenant", ["nobody", "", "..", ".", "a/../a", "/tmp"])
def test_a_tenant_without_directory_is_no_fallback(tmp_path: Path, tenant: str) -> None:
    """Neither is one whose name leads elsewhere."""
    write(tmp_path, flat(5), listed(5))
    with pytest.raises(NoFallback, match="no such directory"):
        FaissDir(tmp_path).check(tenant)


def test_a_missing_directory_is_no_fallback(tmp_path: Path) -> None:
    """The path that was looked at is shown, and how to say another."""
    with pytest.raises(NoFallback, match=f"'{tmp_path}/gone': not found; set .primary. path"):
        FaissDir(tmp_path / "gone").check("a")
    with pytest.raises(NoFallback, match="/gone': not found"):
        FaissDir(tmp_path / "gone").tenants()


@pytest.mark.parametrize(
    ("there", "wanted", "said"),
    [
        (["Acme"], "acme", "there is 'Acme';"),
        (["acme_corp"], "acme-corp", "there is 'acme_corp';"),
        (["tenant-acme", "other"], "acme", "there is 'tenant-acme';"),
        (["one", "two"], "three", "there is 'one', 'two';"),
        ([f"t{number}" for number in range(9)], "x", "'t4' and 4 more;"),
        ([], "acme", "it holds no directory;"),
    ],
)
def test_a_tenant_that_is_written_otherwise_is_refused_and_named(
    tmp_path: Path, there: list[str], wanted: str, said: str
) -> None:
    """Nothing is guessed: the directories that are there are shown, and where they were looked for."""
    for name in there:
        write(tmp_path, flat(2), listed(2), name)
    with pytest.raises(NoFallback, match=r"check .service. tenants") as caught:
        FaissDir(tmp_path).check(wanted)
    assert said in str(caught.value)
    assert str(tmp_path) in str(caught.value)


def test_an_index_without_a_directory_for_its_tenant_is_named(tmp_path: Path) -> None:
    """The path is the tenant's own directory."""
    write(tmp_path, flat(2), listed(2))
    with pytest.raises(NoFallback, match="lies in that directory itself"):
        FaissDir(tmp_path / "a").check("default")


def test_a_pickle_in_place_of_documents_is_named_and_not_read(tmp_path: Path) -> None:
    """LangChain's layout."""
    folder = write(tmp_path, flat(2), listed(2))
    (folder / "docs.json").rename(folder / "index.pkl")
    with pytest.raises(NoFallback, match=r"docs\.json is missing; index\.pkl is there instead: this is LangChain's"):
        FaissDir(tmp_path).check("a")


def test_documents_that_stand_twice_are_counted_and_can_be_looked_up(tmp_path: Path) -> None:
    """What a service appends instead of updating is no damage; the last text is the newest."""
    write(tmp_path, flat(6), [*listed(5), {"id": "d1", "text": "newer"}])
    primary = FaissDir(tmp_path)
    facts = primary.check("a")
    assert (facts.documents, facts.duplicate_ids, facts.distinct) == (6, 1, 5)
    assert primary.lookup("a", ["d1"]) == {"d1": content_hash("newer")}
    assert len(list(primary.inventory("a"))) == 6


@pytest.mark.parametrize("kind", [faiss.IndexIDMap, faiss.IndexIDMap2])
def test_a_damaged_id_map_is_no_fallback(tmp_path: Path, kind: Any) -> None:
    """The ids at the end of an IDMap belong to its length."""
    folder = write(tmp_path, mapped(5, kind), listed(5))
    content = (folder / "index.faiss").read_bytes()
    (folder / "index.faiss").write_bytes(content[:-8])
    with pytest.raises(NoFallback, match="is cut off"):
        FaissDir(tmp_path).check("a")
    (folder / "index.faiss").write_bytes(content[:-48] + struct.pack("<Q", 4) + content[-40:])
    with pytest.raises(NoFallback, match="maps 4 ids onto 5 vectors"):
        FaissDir(tmp_path).check("a")


def test_a_snapshot_that_is_being_written_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between its two renames the files do not fit: that is not damage."""
    folder = write(tmp_path, flat(6), listed(5))

    def finish(_: float) -> None:
        (folder / "docs.json").write_text(json.dumps(listed(6)))

    monkeypatch.setattr("drill.primary.snapshot.time.sleep", finish)
    assert FaissDir(tmp_path).check("a").documents == 6


def test_inventory_is_every_document_with_the_hash_of_its_text(tmp_path: Path) -> None:
    """Ids in the order of the file."""
    write(tmp_path, flat(5), listed(5))
    assert list(FaissDir(tmp_path).inventory("a")) == [
        (key, content_hash(text)) for key, text in documents(range(5)).items()
    ]


def test_an_inventory_survives_a_snapshot_that_replaces_it(tmp_path: Path) -> None:
    """Renaming a new snapshot over the one being read does not mix the two."""
    folder = write(tmp_path, flat(5), listed(5))
    inventory = FaissDir(tmp_path).inventory("a")
    first = next(inventory)
    new = write(tmp_path, flat(3), listed(3), "new")
    for name in ("index.faiss", "docs.json"):
        (new / name).replace(folder / name)
    assert len([first, *inventory]) == 5


def test_an_inventory_of_a_file_written_in_place_is_not_whole(tmp_path: Path) -> None:
    """Its end raises: what was read may be half old, half new."""
    folder = write(tmp_path, flat(5), listed(5))
    inventory = FaissDir(tmp_path).inventory("a")
    next(inventory)
    (folder / "docs.json").write_text(json.dumps(listed(5), indent=1))
    with pytest.raises(PrimaryUnreadable, match="written to while it was read"):
        list(inventory)


def test_an_inventory_needs_texts(tmp_path: Path) -> None:
    """Without a text there is no content hash."""
    write(tmp_path, flat(1), [{"id": "d0"}])
    with pytest.raises(PrimaryUnreadable, match="no text in row 0"):
        list(FaissDir(tmp_path).inventory("a"))


def test_version_changes_with_every_snapshot(tmp_path: Path) -> None:
    """Also with one that is as long as the last."""
    write(tmp_path, flat(5), listed(5))
    primary = FaissDir(tmp_path)
    before = primary.version("a")
    assert primary.version("a") == before
    (tmp_path / "new").write_bytes((tmp_path / "a" / "docs.json").read_bytes())
    (tmp_path / "new").replace(tmp_path / "a" / "docs.json")
    assert primary.version("a") != before


def test_contains_returns_the_ids_that_exist(tmp_path: Path) -> None:
    """For smoke checks; ``lookup`` has their hashes."""
    write(tmp_path, flat(5), listed(5))
    primary = FaissDir(tmp_path)
    assert primary.contains("a", ["d1", "d9", "d4"]) == {"d1", "d4"}
    assert primary.lookup("a", ["d1"]) == {"d1": content_hash("text of 1")}


@pytest.mark.parametrize("raw", ["[", '[{"id": "a", "text": "x"}', '[{"id": "a", "text": "x"}] x', "{}", "", "[1"])
def test_the_streaming_reader_finds_the_same_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, raw: str) -> None:
    """Above the size of a small file another parser reads; it must not be more lenient."""
    monkeypatch.setattr("drill.primary.docs_file.SMALL_FILE", -1)
    docs(raw.encode())(write(tmp_path, flat(1), listed(1)))
    with pytest.raises(NoFallback, match=r"docs\.json"):
        FaissDir(tmp_path).check("a")


@pytest.mark.parametrize("prefix", [b"", b"\xef\xbb\xbf", b" \r\n\t"])
def test_both_readers_see_the_same_documents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prefix: bytes) -> None:
    """A BOM, white space, escapes, lone surrogates, numbers and nested metadata do not tell them apart."""
    held = [{"id": '\ud800x \u00e9 \n"', "text": "a\u0000b \ud83d\ude00 \ud800 ", "meta": {"n": [1.5, None, {}]}}]
    docs(prefix + json.dumps(held).encode())(write(tmp_path, flat(1), held))
    small = list(FaissDir(tmp_path).inventory("a"))
    monkeypatch.setattr("drill.primary.docs_file.SMALL_FILE", -1)
    assert list(FaissDir(tmp_path).inventory("a")) == small


def test_streaming_a_large_file_takes_little_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """50,000 documents, 14 MB: an inventory holds one at a time."""
    monkeypatch.setattr("drill.primary.docs_file.SMALL_FILE", -1)
    monkeypatch.setattr(faiss_dir, "SMALL_FILE", -1)
    held = [{"id": f"d{number}", "text": f"{number} " * 30, "meta": {}} for number in range(50_000)]
    index = faiss.IndexFlatIP(1)
    index.add(np.ones((50_000, 1), "f4"))
    write(tmp_path, index, held)
    del held
    tracemalloc.start()
    try:
        assert sum(1 for _ in FaissDir(tmp_path).inventory("a")) == 50_000
        assert FaissDir(tmp_path).check("a").documents == 50_000
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2_000_000

"""Inventories beside the FAISS directory: complete, or an error."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import faiss
import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from drill.checks import preflight
from drill.config import Config, Service
from drill.config import Primary as Settings
from drill.config_load import load_config
from drill.errors import NoFallback, PrimaryUnreadable, UsageError
from drill.primary import Primary, open_primary, snapshot
from drill.verdict import Verdict

Document = dict[str, Any]
HELD = {f"d{number} \u00e9\n": f"{number:064X}" for number in range(5)}
WHOLE = {key: value.lower() for key, value in HELD.items()}


@pytest.fixture(autouse=True)
def no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Damage that a test made does not heal."""
    monkeypatch.setattr(snapshot, "RETRY_PAUSES_S", (0.001,))
    monkeypatch.setattr(snapshot, "STILL_S", 0.0)


def rows(tenant: str = "") -> list[Document]:
    named = {"tenant": tenant} if tenant else {}
    return [{"id": key, "content_hash": value, **named} for key, value in HELD.items()]


def ndjson(path: Path, held: list[Document], *, counted: bool = True) -> Path:
    lines = [json.dumps(one) for one in held] + ([json.dumps({"documents": len(held)})] if counted else [])
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def table(path: Path, held: list[Document]) -> Path:
    parquet.write_table(pa.Table.from_pylist(held), path)
    return path


def idmap(root: Path, held: list[Document], vectors: int = 5) -> Path:
    folder = root / "a"
    folder.mkdir()
    index = faiss.IndexIDMap(faiss.IndexFlatIP(8))
    index.add_with_ids(np.ones((vectors, 8), "f4"), np.arange(vectors) + 100)
    faiss.write_index(index, str(folder / "index.faiss"))
    ndjson(folder / "manifest.ndjson", held, counted=False)
    return root


MAKERS: dict[str, Callable[[Path], Primary]] = {
    "idmap": lambda root: open_primary("faiss-idmap", idmap(root, rows())),
    "parquet": lambda root: open_primary("manifest", table(root / "m.parquet", rows("a") + rows("b")[:2])),
    "ndjson": lambda root: open_primary("manifest", ndjson(root / "m.ndjson", rows("a") + rows("b")[:2])),
    "one each": lambda root: open_primary("manifest", ndjson(root / "a.ndjson", rows()).with_name("{tenant}.ndjson")),
}


@pytest.mark.parametrize("make", MAKERS)
def test_the_inventory_is_every_document_of_the_tenant(tmp_path: Path, make: str) -> None:
    """Hashes in lowercase; look-ups agree; no texts are to be had."""
    primary = MAKERS[make](tmp_path)
    assert dict(primary.inventory("a")) == WHOLE
    some = next(iter(WHOLE))
    assert primary.lookup("a", [some, "nobody"]) == {some: WHOLE[some]}
    assert primary.contains("a", [some, "nobody"]) == {some}
    assert primary.check("a").documents == 5
    assert primary.sample_texts("a", 3) == []


@pytest.mark.parametrize("make", MAKERS)
def test_the_version_changes_when_the_file_does(tmp_path: Path, make: str) -> None:
    primary = MAKERS[make](tmp_path)
    before = primary.version("a")
    assert primary.version("a") == before
    path = next(path for path in tmp_path.rglob("*") if path.suffix in (".ndjson", ".parquet"))
    path.write_bytes(path.read_bytes() + b"\n")
    assert primary.version("a") != before


def test_a_manifest_beside_an_index_must_have_a_row_for_each_vector(tmp_path: Path) -> None:
    """Else it is not this index's."""
    primary = open_primary("faiss-idmap", idmap(tmp_path, rows()[:4]))
    with pytest.raises(NoFallback, match="4 documents but 5 vectors"):
        primary.check("a")
    with pytest.raises(PrimaryUnreadable, match="4 documents but 5 vectors"):
        list(primary.inventory("a"))


DAMAGE: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "no count": (lambda raw: raw[: raw.rindex(b'{"documents"')], "does not end with its count"),
    "a row lost": (lambda raw: raw[raw.index(b"\n") + 1 :], "holds 4 rows, its last line says 5"),
    "cut": (lambda raw: raw[:-3], "cut off in its last line"),
    "goes on": (lambda raw: raw + b'{"id": "x", "content_hash": "y", "tenant": "a"}\n', "goes on after its count"),
    "not JSON": (lambda raw: b"<html>\n" + raw, "not valid JSON in line 1"),
    "a list": (lambda raw: b"[1]\n" + raw, "something other than an object in line 1"),
    "no id": (lambda raw: raw.replace(b'"id"', b'"key"', 1), "no id"),
    "no hash": (lambda raw: raw.replace(b'"content_hash"', b'"digest"', 1), "no content_hash in row 0"),
    "no tenant": (lambda raw: raw.replace(b'"tenant"', b'"owner"', 1), "a row without a tenant"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_manifest_that_is_not_whole_is_an_error_in_one_line(tmp_path: Path, damage: str) -> None:
    """An incomplete inventory would condemn good documents."""
    do, said = DAMAGE[damage]
    path = ndjson(tmp_path / "m.ndjson", rows("a"))
    path.write_bytes(do(path.read_bytes()))
    with pytest.raises(PrimaryUnreadable) as caught:
        list(open_primary("manifest", path).inventory("a"))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("keep", [0, 10, -1])
def test_a_parquet_file_that_was_cut_is_an_error(tmp_path: Path, keep: int) -> None:
    path = table(tmp_path / "m.parquet", rows("a"))
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(PrimaryUnreadable, match="not a whole Parquet file"):
        list(open_primary("manifest", path).inventory("a"))


def test_a_manifest_that_is_written_to_meanwhile_is_an_error(tmp_path: Path) -> None:
    """Its end raises; one that is renamed over it does not disturb."""
    path = ndjson(tmp_path / "m.ndjson", rows("a"))
    inventory = open_primary("manifest", path).inventory("a")
    next(inventory)
    ndjson(tmp_path / "new", rows("a")[:1]).replace(path)
    assert len(list(inventory)) == 4
    inventory = open_primary("manifest", ndjson(path, rows("a"))).inventory("a")
    next(inventory)
    path.touch()
    with pytest.raises(PrimaryUnreadable, match="written to while it was read"):
        list(inventory)


@pytest.mark.parametrize("tenant", ["nobody", "..", ""])
def test_a_tenant_without_documents_is_no_inventory_to_fall_back_to(tmp_path: Path, tenant: str) -> None:
    for path in (ndjson(tmp_path / "m.ndjson", rows("a")), tmp_path / "{tenant}.ndjson"):
        with pytest.raises(PrimaryUnreadable, match=r"check|again"):
            open_primary("manifest", path).check(tenant)


def test_only_an_index_shows_that_there_is_something_to_fall_back_to(tmp_path: Path) -> None:
    """``preflight.faiss`` is inconclusive with a manifest alone, and passes with an index."""
    for make, verdict in (("idmap", Verdict.PASS), ("ndjson", Verdict.INCONCLUSIVE)):
        drill: Any = SimpleNamespace(
            primary=MAKERS[make](tmp_path), config=Config(Service(tenants=["a"])), gates=SimpleNamespace()
        )
        assert preflight.faiss(drill).verdict is verdict


def test_the_kind_is_checked_by_name(tmp_path: Path) -> None:
    file = tmp_path / "drill.toml"
    file.write_text('[primary]\nkind = "manifest"\npath = "m.parquet"\n')
    found = load_config(file, tmp_path / ".env", {}, {}).primary
    assert found == Settings("manifest", str(tmp_path / "m.parquet"))
    file.write_text('[primary]\nkind = "spreadsheet"\n')
    with pytest.raises(UsageError, match="seen 'spreadsheet', expected one of faiss-dir, faiss-idmap, manifest"):
        load_config(file, tmp_path / ".env", {}, {})

"""Indexes of every kind: what each needs to answer is there and whole, or it is said what could not be looked at."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest

from drill.checks import faiss_kept, preflight
from drill.errors import CannotMeasure, NoFallback
from drill.primary import FaissDir, other_kinds, snapshot
from drill.verdict import Verdict
from tests.library.world import Probes, make_drill, served, with_probes

WIDTH, COUNT = 8, 600
ROWS = np.random.default_rng(2).random((COUNT, WIDTH), dtype="f4")


@pytest.fixture(autouse=True)
def no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test broke stays broken."""
    monkeypatch.setattr(snapshot, "RETRY_PAUSES_S", (0.001,))
    monkeypatch.setattr(snapshot, "STILL_S", 0.0)


def built(kind: str, rows: Any = ROWS) -> Any:
    index = faiss.index_factory(WIDTH, kind)
    index.train(ROWS)
    if kind.startswith("IDMap"):
        index.add_with_ids(rows, np.arange(len(rows)) + 1000)
    else:
        index.add(rows)
    return index


def put(root: Path, index: Any) -> Path:
    folder = root / "default"
    folder.mkdir(parents=True, exist_ok=True)
    if isinstance(index, faiss.IndexBinary):
        faiss.write_index_binary(index, str(folder / "index.faiss"))
    else:
        faiss.write_index(index, str(folder / "index.faiss"))
    held = [{"id": f"d{number}", "text": str(number)} for number in range(index.ntotal)]
    (folder / "docs.json").write_text(json.dumps(held))
    return folder


def on_disk(root: Path, wrap: str = "", lists: Path | None = None) -> Path:
    """Write an index whose lists lie in ``index.ivfdata`` beside it, or in ``lists``."""
    folder = root / "default"
    folder.mkdir(parents=True, exist_ok=True)
    quantizer = faiss.IndexFlatL2(WIDTH)
    index = faiss.IndexIVFFlat(quantizer, WIDTH, 4)
    index.train(ROWS)
    held = faiss.OnDiskInvertedLists(4, index.code_size, str(lists or folder / "index.ivfdata"))
    index.replace_invlists(held)
    outer: Any = index
    if wrap == "IDMap":
        outer = faiss.IndexIDMap(index)
        outer.add_with_ids(ROWS, np.arange(COUNT) + 1000)
    elif wrap == "PreTransform":
        turn = faiss.RandomRotationMatrix(WIDTH, WIDTH)
        turn.init(1)
        outer = faiss.IndexPreTransform(turn, index)
        outer.add(ROWS)
    else:
        index.add(ROWS)
    return put(root, outer)


KINDS = {
    "IVF4,Flat": "IndexIVFFlat",
    "IVF4,SQ8": "IndexIVFScalarQuantizer",
    "IVF4,PQ4x4fs": "IndexIVFPQFastScan, whose vectors cannot be read back",
    "HNSW8,Flat": "IndexHNSWFlat",
    "IDMap,HNSW8": "IndexIDMap, IndexHNSWFlat",
    "IDMap,IVF4,Flat": "IndexIDMap, IndexIVFFlat",
    "PCA4,IVF4,Flat": "IndexPreTransform, IndexIVFFlat",
    "IVF4,Flat,RFlat": "IndexRefineFlat, IndexIVFFlat",
    "PQ4x4": "IndexPQ",
    "LSH": "IndexLSH",
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_whole_index_of_any_kind_has_its_facts(tmp_path: Path, kind: str) -> None:
    """Nothing of it is left unchecked."""
    put(tmp_path, built(kind))
    facts = FaissDir(tmp_path).check("default")
    assert (facts.vectors, facts.dimension, facts.kind, facts.unchecked) == (COUNT, WIDTH, KINDS[kind], "")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("share", [0.3, 0.7, 0.98])
def test_an_index_of_any_kind_that_is_cut_off_is_no_fallback(tmp_path: Path, kind: str, share: float) -> None:
    """Whatever becomes of the process that looks at it."""
    folder = put(tmp_path, built(kind))
    whole = (folder / "index.faiss").read_bytes()
    (folder / "index.faiss").write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(NoFallback, match=r"index\.faiss cannot be read by faiss"):
        FaissDir(tmp_path).check("default")


@pytest.mark.parametrize("kind", ["IVF4,Flat", "HNSW8,Flat", "IDMap,IVF4,Flat"])
def test_vectors_of_zeros_are_no_fallback(tmp_path: Path, kind: str) -> None:
    put(tmp_path, built(kind, np.zeros((COUNT, WIDTH), "f4")))
    with pytest.raises(NoFallback, match="vectors looked at are all zero or not finite"):
        FaissDir(tmp_path).check("default")


def test_a_binary_index_has_its_facts(tmp_path: Path) -> None:
    index = faiss.IndexBinaryFlat(64)
    index.add(np.random.default_rng(3).integers(0, 256, (COUNT, 8), dtype="u1"))
    put(tmp_path, index)
    facts = FaissDir(tmp_path).check("default")
    assert (facts.vectors, facts.dimension, facts.kind) == (COUNT, 64, "IndexBinaryFlat")


@pytest.mark.parametrize("wrap", ["", "IDMap", "PreTransform"])
def test_lists_on_disk_are_looked_at(tmp_path: Path, wrap: str) -> None:
    """Whole, they pass; and what is looked at changes with them."""
    folder = on_disk(tmp_path, wrap)
    look = FaissDir(tmp_path).look("default")
    assert (look.facts.vectors, look.facts.unchecked) == (COUNT, "")
    (folder / "index.ivfdata").touch()
    assert FaissDir(tmp_path).look("default").version != look.version


@pytest.mark.parametrize("wrap", ["", "IDMap", "PreTransform"])
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "needs index.ivfdata with its lists, which is missing"),
        (b"", "needs index.ivfdata with its lists, which is cut off: 0 bytes"),
        (b"\0" * 1000, "cut off: 1000 bytes"),
        (b"\0" * (1 << 20), "its lists hold nothing but zeros"),
    ],
)
def test_lists_that_are_lost_are_no_fallback(tmp_path: Path, wrap: str, content: bytes | None, said: str) -> None:
    """The index alone reads well and answers nothing."""
    folder = on_disk(tmp_path, wrap)
    (folder / "index.ivfdata").unlink()
    if content is not None:
        (folder / "index.ivfdata").write_bytes(content)
    with pytest.raises(NoFallback) as caught:
        FaissDir(tmp_path).check("default")
    assert said in str(caught.value)


def test_lists_beside_the_index_are_found_wherever_they_were_written(tmp_path: Path) -> None:
    """A directory that was moved or mounted elsewhere: the index names a path that is not there any more."""
    on_disk(tmp_path / "built")
    shutil.move(tmp_path / "built" / "default", tmp_path / "default")
    assert FaissDir(tmp_path).check("default").unchecked == ""
    (tmp_path / "default" / "index.ivfdata").write_bytes(b"\0" * (1 << 20))
    with pytest.raises(NoFallback, match="nothing but zeros"):
        FaissDir(tmp_path).check("default")


def test_lists_in_a_directory_that_is_not_seen_from_here_are_unproven(tmp_path: Path) -> None:
    """They may be well where the service runs: neither a pass nor a refusal."""
    away = tmp_path / "mounted" / "volume"
    away.mkdir(parents=True)
    on_disk(tmp_path / "faiss", lists=away / "lists.ivfdata")
    drill = with_probes(make_drill(tmp_path, toml="[primary]\npath = 'faiss'\n"), Probes())
    assert preflight.faiss(drill).verdict is Verdict.PASS
    shutil.rmtree(tmp_path / "mounted")
    evidence = preflight.faiss(drill)
    assert evidence.verdict is Verdict.INCONCLUSIVE
    assert "not looked at: default: its lists (lists.ivfdata), in a directory that is not seen from here" in (
        evidence.reason
    )
    assert faiss_kept.faiss(drill, served()).verdict is Verdict.INCONCLUSIVE


def test_lists_that_are_lost_after_the_row_are_found_at_the_end(tmp_path: Path) -> None:
    """The two other files do not change."""
    folder = on_disk(tmp_path / "faiss")
    drill = with_probes(make_drill(tmp_path, toml="[primary]\npath = 'faiss'\n"), Probes())
    assert preflight.faiss(drill).verdict is Verdict.PASS
    assert faiss_kept.faiss(drill, served()).verdict is Verdict.PASS
    (folder / "index.ivfdata").unlink()
    evidence = faiss_kept.faiss_again(drill)
    assert evidence is not None
    assert evidence.verdict is Verdict.FAIL


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("import os; os.abort()", {"damaged": "cannot be read by faiss (its process ended with -6)"}),
        (
            "import os; os.write(1, b'{\"vectors\": 3}\\n'); os.abort()",
            {"vectors": 3, "unchecked": "its vectors: faiss ended with -6 over them"},
        ),
    ],
)
def test_a_process_that_dies_over_an_index_takes_nothing_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, said: dict[str, object]
) -> None:
    """Over its structure: damaged. Over its vectors alone: not looked at."""
    child = tmp_path / "child.py"
    child.write_text(script)
    monkeypatch.setattr(other_kinds, "CHILD", child)
    assert other_kinds.look_with_faiss(tmp_path / "index.faiss") == said


def test_a_look_that_does_not_end_is_no_finding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    child = tmp_path / "child.py"
    child.write_text("import time; time.sleep(60)")
    monkeypatch.setattr(other_kinds, "CHILD", child)
    monkeypatch.setattr(other_kinds, "TIMEOUT_S", 0.2)
    put(tmp_path, built("LSH"))
    with pytest.raises(CannotMeasure, match=r"not read by faiss in 0\.2 s"):
        FaissDir(tmp_path).check("default")
    monkeypatch.setattr(sys, "executable", str(tmp_path / "nothing"))
    with pytest.raises(CannotMeasure, match="no process could be started"):
        FaissDir(tmp_path).check("default")

"""Ids of every type that a target can keep: found, kept, deleted and written back as what they are."""

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import faiss
import numpy as np
import pytest

from drill.content_hash import content_hash
from drill.document_id import id_text
from drill.primary import FaissDir
from drill.purge import Purge, PurgeSettings, PurgeStatus
from drill.purge.undo import undo
from drill.target import Pair, Target
from drill.target.base import KeepsIdsOfOneType
from tests.purge.world import Log
from tests.targets import stages
from tests.targets.conftest import places
from tests.targets.stages import QdrantStage, Stage

NUMBERS = {str(number): f"text of {number}" for number in (0, 1, 7, 42, -3, (1 << 53) - 1, 1 << 40)}
ALIKE = ("007", "+7", "7.0", " 7", "7 ", "1e2", "\u0667", "-0", "seven", str(1 << 70))
"""What a careless conversion makes one of ``NUMBERS``, or stumbles over."""


@pytest.fixture(params=places())
def numbered(request: pytest.FixtureRequest, opened_stages: Callable[[str], Stage]) -> Iterator[Stage]:
    """An empty place of each kind whose ids are whole numbers, where it can keep them so."""
    place = opened_stages(request.param)
    found = place.with_numbers()
    found.reset()
    yield found
    if found is not place and not found.is_copy:
        found.close()


def scanned(target: Target) -> list[Pair]:
    return [pair for page in target.scan("a") for pair in page]


def pairs(held: dict[str, str]) -> set[Pair]:
    return {(key, content_hash(text)) for key, text in held.items()}


@pytest.mark.parametrize("hash_field", ["content_hash", ""])
def test_whole_numbers_are_found_kept_deleted_and_written_back(numbered: Stage, hash_field: str) -> None:
    """Scan, counts, look-up, export, delete and write-back agree; nothing else passes for a number."""
    numbered.write(NUMBERS)
    ids = list(NUMBERS)
    with closing(numbered.open("a", hash_field=hash_field)) as target:
        assert set(scanned(target)) == pairs(NUMBERS)
        assert target.counts() == {"a": len(NUMBERS)}
        assert target.present("a", [*ids, *ALIKE]) == pairs(NUMBERS)
        assert target.present("a", ALIKE) == set()
        rows = list(target.export("a", [*ids, *ALIKE]))
        assert {row.pair for row in rows} == pairs(NUMBERS)
        target.delete("a", [(key, content_hash("text of 7")) for key in ALIKE])
        target.flush()
        assert target.counts() == {"a": len(NUMBERS)}
        assert target.delete("a", pairs({"7": "text of 7", "42": "another"})) >= {"7"}
        target.flush()
        assert {key for key, _ in scanned(target)} == NUMBERS.keys() - {"7"}
        target.delete("a", pairs(NUMBERS))
        target.flush()
        assert target.counts() == {}
        target.restore("a", rows)
        target.flush()
        assert set(scanned(target)) == pairs(NUMBERS)
        again = {row.id: row for row in target.export("a", ids)}
        assert {key: row.payload for key, row in again.items()} == {row.id: row.payload for row in rows}


def test_what_a_place_of_numbers_cannot_hold_is_known(numbered: Stage) -> None:
    """Looked up, it is never found: that is no proof that nobody has written it. Where texts fit, too, all do."""
    numbered.write(NUMBERS)
    with closing(numbered.open("a")) as target:
        if not isinstance(target, KeepsIdsOfOneType):
            return
        held = set(target.possible([*NUMBERS, *ALIKE, "rollback-drill-canary-0"]))
        assert held >= NUMBERS.keys() - ({"-3"} if numbered.kind == "qdrant" else set())
        if numbered.kind in {"pgvector", "milvus", "elasticsearch", "opensearch", "weaviate"}:
            assert held == NUMBERS.keys()


@pytest.mark.parametrize("kind", ["qdrant", "weaviate"])
def test_where_the_name_of_the_object_is_the_id_only_names_fit(
    opened_stages: Callable[[str], Stage], kind: str
) -> None:
    """UUIDs, and in Qdrant whole numbers: a canary of another id never comes there, whatever the flag."""
    place = opened_stages(kind)
    place.reset()
    names = [
        "0b6e8f5c-7a1d-5c2e-9f0a-3d2b1c4e5f60",
        "7",
        "rollback-drill-canary-0",
        "0B6E8F5C-7A1D-5C2E-9F0A-3D2B1C4E5F60",
    ]
    with closing(place.open("a", id_field="")) as target:
        assert isinstance(target, KeepsIdsOfOneType)
        assert target.possible(names) == names[: 2 if kind == "qdrant" else 1]


def test_a_purge_of_documents_named_by_numbers(numbered: Stage, tmp_path: Any) -> None:
    """The whole way, looked up by number: what differs is gone, is in the quarantine, and comes back."""
    folder = tmp_path / "faiss" / "a"
    folder.mkdir(parents=True)
    good = {str(number): f"text of {number}" for number in range(30)}
    index = faiss.IndexFlatIP(stages.DIMENSION)
    index.add(np.array(stages.vectors(len(good)), "f4"))
    faiss.write_index(index, str(folder / "index.faiss"))
    (folder / "docs.json").write_text(json.dumps([{"id": key, "text": text} for key, text in good.items()]))
    numbered.write({**good, "3": "an older text", "100": "only here", "101": "only here, too"})
    bounds = PurgeSettings(("a",), max_fraction=0.5, batch=2)
    purge = Purge(FaissDir(tmp_path / "faiss"), lambda: numbered.open("a"), bounds, tmp_path / "drill", Log())
    report = purge.run()
    assert (report.status, report.orphans, report.stale) == (PurgeStatus.PURGED, 2, 1), report.reason
    assert (report.purged, report.left) == (3, 0)
    with closing(numbered.open("a")) as target:
        assert set(scanned(target)) == pairs(good) - pairs({"3": good["3"]})
        undone = undo(tmp_path / "drill" / "quarantine", target)
        assert (undone.restored + (0 if numbered.exact else undone.kept), undone.failed) == (3, 0)


@pytest.mark.parametrize("place", ["qdrant", pytest.param("qdrant-local", marks=pytest.mark.long)])
def test_a_payload_takes_ids_of_any_type(opened_stages: Callable[[str], Stage], place: str) -> None:
    """Each is found by its id alone, deleted and written back as the type it was."""
    found = opened_stages(place)
    assert isinstance(found, QdrantStage)
    found.reset()
    ids = ["doc-1", 7, "8", 2.5, True, 1e300, (1 << 53) + 1, -4, "e\u0301", "\u00e9", "00012"]
    points: list[dict[str, Any]] = [
        {"doc_id": one, "tenant": "a", "text": f"text {number}", "content_hash": content_hash(f"text {number}")}
        for number, one in enumerate(ids)
    ]
    found.upsert(points)
    wanted = {(id_text(one["doc_id"]), one["content_hash"]) for one in points}
    with closing(found.open("a")) as target:
        assert target.present("a", [key for key, _ in wanted]) == wanted
        assert set(scanned(target)) == wanted
        rows = list(target.export("a", [key for key, _ in wanted]))
        assert target.delete("a", wanted) == {key for key, _ in wanted}
        assert scanned(target) == []
        target.restore("a", rows)
        assert {
            json.loads(row.payload)["payload"]["doc_id"] for row in target.export("a", [row.id for row in rows])
        } == set(ids)


def test_a_number_and_a_text_that_read_alike_are_both_found(opened_stages: Callable[[str], Stage]) -> None:
    """7 and "7" have one id: a scan yields it twice, so that a purge can refuse."""
    found = opened_stages("qdrant")
    assert isinstance(found, QdrantStage)
    found.reset()
    found.upsert([{"doc_id": one, "tenant": "a", "content_hash": str(one) * 64} for one in (7, "7")])
    with closing(found.open("a")) as target:
        assert scanned(target) == [("7", "7" * 64)] * 2
        assert len(list(target.export("a", ["7"]))) == 2


AS_IDS: list[tuple[object, str]] = [
    (7, "7"),
    (7.0, "7"),
    ("7", "7"),
    (-1.5, "-1.5"),
    (True, "true"),
    (None, ""),
    ([7], ""),
    (float("nan"), ""),
    (1e16, "1e+16"),
    (1 << 80, str(1 << 80)),
    ("", ""),
    ("007", "007"),
]


@pytest.mark.parametrize(("value", "key"), AS_IDS, ids=[repr(value) for value, _ in AS_IDS])
def test_what_a_json_value_is_as_an_id(value: object, key: str) -> None:
    """The same text for the same value, wherever it was read; none for what is no id."""
    assert id_text(value) == key

"""The primary: two instances share snapshots that are whole, durable and in step."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import faiss
import pytest

from sandbox.content import Document
from sandbox.embedding import embed
from sandbox.service import snapshot
from sandbox.service.errors import SnapshotError
from sandbox.service.primary import FaissStore

Start = Callable[[Path], FaissStore]
DOCS = [Document(f"d-{number}", f"passage about subject number {number}", {"n": str(number)}) for number in range(20)]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    tenant = tmp_path / "default"
    tenant.mkdir()
    snapshot.write(tenant, snapshot.make(DOCS, embed([document.text for document in DOCS])))
    return tmp_path


@pytest.fixture
def started() -> Iterator[Start]:
    stores: list[FaissStore] = []

    def start(directory: Path) -> FaissStore:
        store = FaissStore(directory, ["default"])
        store.start()
        stores.append(store)
        return store

    yield start
    for store in stores:
        store.close()


def until(condition: Callable[[], bool], limit_s: float = 5.0) -> None:
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, "condition not met in time"
        time.sleep(0.01)


def on_disk(directory: Path) -> tuple[int, list[str]]:
    tenant = directory / "default"
    with snapshot.locked(tenant, exclusive=False):
        index = faiss.read_index(str(tenant / "index.faiss"))
        return index.ntotal, [one["id"] for one in json.loads((tenant / "docs.json").read_bytes())]


def test_a_delete_is_on_disk_and_what_is_written_after_it_stays(directory: Path, started: Start) -> None:
    """Whatever the order in which deletes and writes share a flush, the last word on an id counts."""
    store = started(directory)
    store.delete("default", ["d-0", "d-1", "nobody"])
    store.ingest("default", [Document("d-1", "written again", {})]).result(5)
    store.delete("default", ["d-2"]).result(5)
    count, ids = on_disk(directory)
    assert (count, {"d-0", "d-1", "d-2"} & set(ids)) == (18, {"d-1"})


def test_an_acknowledged_write_is_on_disk(directory: Path, started: Start) -> None:
    """Both files hold it, row for row."""
    store = started(directory)
    store.ingest("default", [Document("new", "something new")]).result(5)
    count, ids = on_disk(directory)
    assert count == len(ids) == 21
    assert ids[-1] == "new"


def test_writing_an_existing_id_replaces_text_and_vector(directory: Path, started: Start) -> None:
    """The row stays where it is."""
    store = started(directory)
    store.ingest("default", [Document("d-3", "zebras in the savanna")]).result(5)
    best = store.search("default", embed(["zebras in the savanna"])[0], 1)[0]
    assert (best.id, best.text) == ("d-3", "zebras in the savanna")
    assert best.score > 0.99
    assert on_disk(directory)[1] == [document.id for document in DOCS]


def test_one_batch_may_name_a_new_id_twice(directory: Path, started: Start) -> None:
    """The last one counts."""
    store = started(directory)
    store.ingest("default", [Document("x", "first"), Document("x", "second")]).result(5)
    assert store.get("default", ["x"])[0].text == "second"
    assert on_disk(directory)[0] == 21


def test_the_other_instance_takes_over_what_was_written(directory: Path, started: Start) -> None:
    """And loses nothing when both write."""
    one, two = started(directory), started(directory)
    futures = [
        store.ingest("default", [Document(f"w-{n}-{id(store)}", f"text {n}")]) for n in range(8) for store in (one, two)
    ]
    for future in futures:
        future.result(5)
    until(lambda: one.count("default") == two.count("default") == 36)
    assert on_disk(directory)[0] == 36


def test_a_damaged_snapshot_is_not_taken_over_and_fails_writes(directory: Path, started: Start) -> None:
    """The instance goes on answering from memory, and does not repair the damage by itself."""
    store = started(directory)
    docs = directory / "default" / "docs.json"
    docs.write_text(json.dumps([{"id": "d-0", "text": "x", "meta": {}}]))
    with pytest.raises(SnapshotError, match="20 vectors but 1 documents"):
        store.ingest("default", [Document("new", "x")]).result(5)
    assert len(store.search("default", embed(["subject"])[0], 5)) == 5


def test_without_a_snapshot_searching_fails(tmp_path: Path, started: Start) -> None:
    """An index that is gone is an error, not an empty answer."""
    store = started(tmp_path)
    with pytest.raises(SnapshotError):
        store.search("default", embed(["x"])[0], 5)

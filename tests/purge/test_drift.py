"""Vector drift: the same content, embedded differently, is seen on a sample and never purged."""

from pathlib import Path

import faiss
import numpy as np
import pytest

from drill.primary import FaissDir
from drill.purge import PurgeStatus
from drill.purge.drift import cosine_distance, summary
from drill.purge.model import Drift
from tests.purge.world import DIMENSION, World, documents, vectors


def agreeing(world: World, count: int = 40) -> None:
    """Give both sides the same documents and vectors."""
    index = faiss.IndexFlatIP(DIMENSION)
    index.add(vectors(count, 1))
    world.faiss(documents(range(count)), index=index)
    world.write(documents(range(count)))


def seen(world: World, sample: int = 100) -> Drift | None:
    purge = world.purge(drift_sample=sample)
    try:
        return purge.plan().tenants[0].drift
    finally:
        purge.close()


def test_equal_vectors_are_no_drift(world: World) -> None:
    """Healthy: every document that agrees was looked at, whatever else differs; length does not matter."""
    agreeing(world)
    world.write({"orphan": "x", "d3": "another text"})
    world.execute("UPDATE {} SET embedding = embedding * '[2,2,2,2,2,2,2,2]'")
    found = seen(world)
    assert found is not None
    assert (found.sampled, found.drifted) == (39, 0)
    assert found.worst < 1e-6


def test_another_vector_of_the_same_content_is_drift_and_stays(world: World) -> None:
    """Counted and reported with its distance; the purge leaves it alone."""
    agreeing(world)
    world.execute("UPDATE {} SET embedding = embedding * '[-1,-1,-1,-1,-1,-1,-1,-1]' WHERE id IN ('d1', 'd2')")
    report = world.purge(drift_sample=100).run()
    assert report.status is PurgeStatus.NOTHING_TO_PURGE, report
    assert report.per_tenant[0].drift is not None
    assert report.per_tenant[0].drift.worst == pytest.approx(2)
    assert summary(report.per_tenant) == "2 of 40 sampled (cosine distance over 0.01, largest 2)"
    assert len(world.ids()) == 40


def test_no_more_than_the_sample_is_looked_at_and_none_by_default(world: World) -> None:
    """The same documents each time."""
    agreeing(world)
    assert seen(world, 10) == seen(world, 10)
    assert (seen(world, 10) or Drift(0, 0, 0)).sampled == 10
    assert seen(world, 0) is None
    assert summary(world.purge().run().per_tenant) == ""


def test_an_index_that_changes_its_vectors_is_not_compared(world: World) -> None:
    """Quantised vectors differ by themselves."""
    index = faiss.IndexScalarQuantizer(DIMENSION, faiss.ScalarQuantizer.QT_8bit)
    index.train(vectors(40, 1))
    index.add(vectors(40, 1))
    world.faiss(documents(range(40)), index=index)
    world.write(documents(range(40)))
    assert seen(world) is None


def test_vectors_of_an_id_map_are_those_of_its_rows(tmp_path: Path) -> None:
    """To the last bit."""
    folder = tmp_path / "a"
    folder.mkdir()
    held = vectors(5)
    index = faiss.IndexIDMap(faiss.IndexFlatL2(DIMENSION))
    index.add_with_ids(held, np.arange(5) + 100)
    faiss.write_index(index, str(folder / "index.faiss"))
    (folder / "docs.json").write_text(
        '[{"id":"a","text":""},{"id":"b","text":""},{"id":"c","text":""},{"id":"d","text":""},{"id":"e","text":""}]'
    )
    found = FaissDir(tmp_path).vectors("a", ["e", "b", "nobody"])
    assert found == {"e": held[4].tobytes(), "b": held[1].tobytes()}


@pytest.mark.parametrize(
    ("one", "other", "distance"),
    [
        ([1, 0], [0, 1], 1),
        ([1, 0], [3, 0], 0),
        ([1, 0], [-1, 0], 2),
        ([0, 0], [0, 0], 0),
        ([0, 0], [1, 0], 2),
        ([1, 0], [1, 0, 0], 2),
        ([1, 0], [float("nan"), 0], 2),
    ],
)
def test_cosine_distance(one: list[float], other: list[float], distance: float) -> None:
    """Where there is no angle, only equal bytes agree."""
    a, b = (np.array(values, "<f4").tobytes() for values in (one, other))
    assert cosine_distance(a, b) == pytest.approx(distance)

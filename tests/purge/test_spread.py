"""The comparison on a Dask cluster of two workers gives what DuckDB alone gives, whatever happens to a worker."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from drill.errors import CannotMeasure
from drill.purge import PurgeStatus
from drill.purge.budget import Budget
from drill.purge.join import Partition, Room, join
from drill.purge.model import OverBudget, silent
from drill.purge.spread import join_spread
from tests.purge.world import HOSTILE, World

distributed = pytest.importorskip("distributed")

ROWS = 5_000


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Start a scheduler and two worker processes."""
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address="127.0.0.1:0"
    ) as started:
        yield started


@pytest.fixture
def whole(tmp_path: Path) -> Partition:
    """Write two inventories with orphans, stale and missing documents, hostile ids among them."""
    names = [*HOSTILE, *(f"d{number}" for number in range(ROWS))]
    primary = {name: f"h{name}" for name in names[3:]}
    target = {name: f"h{name}" if number % 100 else "old" for number, name in enumerate(names[:-5])}
    for file, held in (("p", primary), ("t", target)):
        columns = {"id": pa.array(held.keys(), pa.string()), "hash": pa.array(held.values(), pa.string())}
        parquet.write_table(pa.table(columns), tmp_path / f"{file}.parquet")
    primary_file, target_file, delta = (str(tmp_path / name) for name in ("p.parquet", "t.parquet", "delta.parquet"))
    return Partition(primary_file, target_file, delta, Room(200, 2, str(tmp_path / "spill")))


def counts() -> tuple[int, int]:
    return len(HOSTILE) + ROWS - 3, len(HOSTILE) + ROWS - 5


def read(whole: Partition) -> list[dict[str, str]]:
    rows: list[dict[str, str]] = parquet.read_table(whole.delta).to_pylist()
    return rows


def test_the_cluster_gives_the_same_delta_as_duckdb(whole: Partition, cluster: Any) -> None:
    """Row for row, in the same order, and no partition's file is left."""
    join(whole)
    alone = read(whole)
    assert {row["kind"] for row in alone} == {"orphan", "stale", "missing"}
    Path(whole.delta).unlink()
    said: list[str] = []
    join_spread(whole, counts(), cluster.scheduler_address, Budget(60), said.append)
    assert read(whole) == alone
    assert not list(Path(whole.delta).parent.glob("delta.parquet.*"))
    assert said[-1].startswith("comparing: 8 of 8 partitions (100 %)")


def test_a_killed_worker_costs_nothing_but_time(whole: Partition, cluster: Any) -> None:
    """SIGKILL of one of the two while partitions are out: another one does them, the delta is the same."""
    join(whole)
    alone = read(whole)
    said: list[str] = []

    def kill(line: str) -> None:
        if not said:
            with distributed.Client(cluster.scheduler_address, set_as_default=False) as client:
                victim = next(iter(client.run(os.getpid).values()))
            os.kill(victim, signal.SIGKILL)
        said.append(line)

    join_spread(whole, counts(), cluster.scheduler_address, Budget(120), kill)
    assert len(said) == 8
    assert read(whole) == alone


def test_a_partition_is_repeatable(whole: Partition) -> None:
    """Done twice, also over a scrap of a worker that died, its file is the same."""
    Path(f"{whole.delta}.1.tmp").write_bytes(b"half")
    assert join(whole) == join(whole)
    assert len(read(whole)) > 50


def test_documents_that_no_partition_has_counted_are_noticed(whole: Partition, cluster: Any) -> None:
    """Workers of another DuckDB version could divide the ids differently."""
    with pytest.raises(CannotMeasure, match="expected the same"):
        join_spread(whole, (1, 1), cluster.scheduler_address, Budget(60), silent)


def test_a_scheduler_that_is_not_there_is_one_clear_line(whole: Partition, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drill.purge.spread.CONNECT_S", 1)
    with pytest.raises(CannotMeasure, match=r"check \[purge\] scheduler") as caught:
        join_spread(whole, counts(), "tcp://127.0.0.1:9", Budget(60), silent)
    assert "\n" not in str(caught.value)


def test_the_time_budget_holds_on_a_cluster(whole: Partition, cluster: Any) -> None:
    """What is out is cancelled."""
    with pytest.raises(OverBudget):
        join_spread(whole, counts(), cluster.scheduler_address, Budget(0), silent)


@pytest.mark.long
def test_a_purge_compares_on_a_cluster_of_its_own(world: World) -> None:
    """``scheduler = "local"``, end to end: the delta goes, and nothing is left behind."""
    seeded = world.seed()
    report = world.purge(scheduler="local", time_budget_s=300).run()
    assert (report.status, report.purged, report.left) == (PurgeStatus.PURGED, seeded, 0), report
    assert list(world.leftovers()) == []

"""The comparison on a Dask cluster, partitioned by id, for inventories that are too much for one machine.

The workers run ``drill.purge.join`` and need this project installed in the same versions; the artifacts directory must
be storage that all of them see under the same path.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from drill.errors import CannotMeasure
from drill.purge.budget import Budget
from drill.purge.join import Partition, join, merge
from drill.purge.model import OverBudget
from drill.purge.progress import Progress

LOCAL = "local"
CONNECT_S = 10
DOCUMENTS = 2_000_000
"""Documents of one side that a partition holds, about: a worker then needs a few hundred MB, or spills."""
MIN_PARTITIONS = 8
RETRIES = 3


def join_spread(
    whole: Partition, documents: tuple[int, int], scheduler: str, budget: Budget, say: Callable[[str], None]
) -> None:
    """Write the delta of ``whole`` as ``join`` does, on the cluster at ``scheduler`` (``local``: one made for it).

    A lost worker's partitions are done by another one. ``documents``: how many both inventories hold; a partition that
    was counted differently by another DuckDB version does not go unseen. Raises CannotMeasure, OverBudget.
    """
    of = max(MIN_PARTITIONS, -(-max(documents) // DOCUMENTS))
    parts = [replace(whole, number=number, of=of, delta=f"{whole.delta}.{number:05d}") for number in range(of)]
    seen = _run(parts, scheduler, whole.room.threads, budget, Progress(say, "comparing", of, "partitions"))
    if seen != documents:
        raise CannotMeasure(
            f"comparison on {scheduler}: {seen[0]} and {seen[1]} documents compared, {documents[0]} and {documents[1]} "
            "read; expected the same, run the same versions on every worker, then run again"
        )
    merge([part.delta for part in parts], whole.delta, whole.room)
    for part in parts:
        Path(part.delta).unlink()


def _run(parts: list[Partition], scheduler: str, workers: int, budget: Budget, progress: Progress) -> tuple[int, int]:
    import distributed

    as_completed: Any = distributed.as_completed  # untyped

    sides = [0, 0]
    with _client(scheduler, workers) as client:
        futures = client.map(join, parts, retries=RETRIES, pure=False)
        try:
            for future in as_completed(futures, timeout=max(0.1, budget.seconds - budget.spent_s)):
                counts = future.result()
                sides = [sides[0] + counts[0], sides[1] + counts[1]]
                progress.add(1)
        except TimeoutError:
            raise OverBudget(f"the time budget of {budget.seconds:g} s is used up") from None
        except (distributed.KilledWorker, OSError) as error:
            raise _lost(scheduler, error) from None
        finally:
            client.cancel(futures, force=True)
    return sides[0], sides[1]


@contextmanager
def _client(scheduler: str, workers: int) -> Iterator[Any]:
    try:
        import distributed
    except ImportError:
        raise CannotMeasure(
            "[purge] scheduler is set and Dask is not installed: pip install 'rollback-drill[dask]', or leave it empty"
        ) from None
    made: Any = None
    if scheduler == LOCAL:
        cluster: Any = distributed.LocalCluster
        made = cluster(n_workers=workers, threads_per_worker=1, host="127.0.0.1", dashboard_address="127.0.0.1:0")
    try:
        connect: Any = distributed.Client  # untyped
        with (
            connect(made or scheduler, timeout=CONNECT_S, set_as_default=False) as client,
            client.as_current(),
        ):
            yield client
    except OSError as error:
        raise _lost(scheduler, error) from None
    finally:
        if made is not None:
            made.close()


def _lost(scheduler: str, error: Exception) -> CannotMeasure:
    return CannotMeasure(
        f"comparison on {scheduler}: {type(error).__name__}; expected a Dask scheduler with workers that see the "
        "artifacts directory, check [purge] scheduler, then run again"
    )

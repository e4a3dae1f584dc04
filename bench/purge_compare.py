"""Comparing two inventories: time against a bare full outer join on the same files, and peak memory.

Each measurement is a process of its own: ``python -m bench.purge_compare ours|bare PRIMARY TARGET MEGABYTES``.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench.environ import ROOT, plain_environ
from bench.lines import Line
from bench.purge_data import inventories

LOW_MEMORY_MB = 500
ROUNDS = 3
RATIO_BOUND = 1.3
MEMORY_BOUND_MIB = 700
BARE = """
COPY (SELECT coalesce(p.id, t.id), p.hash, t.hash FROM read_parquet(?) p FULL OUTER JOIN read_parquet(?) t
      ON p.id = t.id
      WHERE p.hash IS DISTINCT FROM t.hash) TO '{delta}' (FORMAT parquet)
"""


def measure(folder: Path, rows: int) -> Iterator[Line]:
    """Yield the ratio at ``rows`` a side, and the peak of memory there."""
    files = inventories(folder, rows)
    taken: dict[str, list[tuple[float, float]]] = {"ours": [], "bare": []}
    for _ in range(ROUNDS):
        for name, found in taken.items():
            found.append(_once(name, files, LOW_MEMORY_MB))
    seconds = {name: statistics.median(second for second, _ in found) for name, found in taken.items()}
    for name, found in taken.items():
        spread = f"{min(found)[0]:.1f} to {max(found)[0]:.1f} s in {ROUNDS} runs, memory_limit_mb {LOW_MEMORY_MB}"
        yield Line(f"compare {rows:.0e} x {rows:.0e}: {name}", seconds[name], "s", note=spread)
    yield Line("compare: ours / bare full outer join", seconds["ours"] / seconds["bare"], "x", RATIO_BOUND)
    peak = max(memory for _, memory in taken["ours"])
    yield Line("compare: peak memory of the process", peak, "MiB", MEMORY_BOUND_MIB)


def _once(name: str, files: tuple[Path, Path], memory_mb: int) -> tuple[float, float]:
    command = [sys.executable, "-m", "bench.purge_compare", name, *map(str, files), str(memory_mb)]
    done = subprocess.run(command, cwd=ROOT, env=plain_environ(), capture_output=True, text=True, check=True)
    seconds, memory = json.loads(done.stdout)
    return float(seconds), float(memory)


def _ours(primary: str, target: str, folder: str, memory_mb: int) -> None:
    from drill.purge.join import Partition, Room, join

    join(Partition(primary, target, f"{folder}/delta.parquet", Room(memory_mb, 2, f"{folder}/spill")))


def _bare(primary: str, target: str, folder: str, memory_mb: int) -> None:
    import duckdb

    config: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": f"{memory_mb}MB",
        "threads": "2",
        "temp_directory": f"{folder}/spill",
        "preserve_insertion_order": "false",
    }
    with duckdb.connect(":memory:", config=config) as duck:
        duck.execute("SET enable_progress_bar = false")
        duck.execute(BARE.format(delta=f"{folder}/bare.parquet"), [primary, target])


def peak_mib() -> float:
    """Return the largest resident size of this program; ``ru_maxrss`` would hold its parent's."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024


def main() -> None:
    """Do one measurement and print (seconds, peak MiB)."""
    work = {"ours": _ours, "bare": _bare}[sys.argv[1]]
    with tempfile.TemporaryDirectory(dir=Path(sys.argv[2]).parent) as folder:
        began = time.perf_counter()
        work(sys.argv[2], sys.argv[3], folder, int(sys.argv[4]))
        seconds = time.perf_counter() - began
    print(json.dumps([seconds, peak_mib()]))


if __name__ == "__main__":
    main()

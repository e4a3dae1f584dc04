"""How much memory a plan takes, by size: both sides streamed to Parquet, compared and digested, in one process.

Each size is a process of its own: ``python -m bench.purge_memory DOCUMENTS FOLDER``.
"""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.environ import ROOT, plain_environ
from bench.lines import Line
from bench.purge_compare import peak_mib

LEAST_MB = 50
"""The least that ``[purge] memory_limit_mb`` can be."""
PAGE = 10_000
SPREAD = 0x9E3779B97F4A7C15F39CC0605CEDC835
"""An odd number: its multiples look like random identifiers, and are all different."""
GROWTH_BOUND = 1.2


def measure(folder: Path, rows: int) -> Iterator[Line]:
    """Yield the peak of memory at a hundredth of ``rows``, a tenth and all of them, and how much it grows."""
    peaks = []
    for size in (rows // 100, rows // 10, rows):
        command = [sys.executable, "-m", "bench.purge_memory", str(size), str(folder)]
        done = subprocess.run(command, cwd=ROOT, env=plain_environ(), capture_output=True, text=True, check=True)
        peaks.append(float(done.stdout))
        yield Line(f"plan {size:.0e} x {size:.0e}: peak memory", peaks[-1], "MiB", note=f"memory_limit_mb {LEAST_MB}")
    yield Line("plan: largest / smallest peak", max(peaks) / min(peaks), "x", GROWTH_BOUND)


class _Side:
    """One side of ``rows`` documents, page by page as a driver hands them over; ``shift`` makes 1 % differ."""

    def __init__(self, rows: int, shift: int) -> None:
        self._rows = rows
        self._shift = shift

    def counts(self) -> dict[str, int]:
        return {"a": self._rows}

    def scan(self, tenant: str) -> Iterator[list[tuple[str, str]]]:
        del tenant
        for start in range(0, self._rows, PAGE):
            yield [self._pair(number) for number in range(start, min(start + PAGE, self._rows))]

    def version(self, tenant: str) -> str:
        return tenant

    def inventory(self, tenant: str) -> Iterator[tuple[str, str]]:
        return (pair for page in self.scan(tenant) for pair in page)

    def _pair(self, number: int) -> tuple[str, str]:
        key, value = number, number
        if number % 1000 < 3:
            key = number + self._shift * self._rows
        elif number % 1000 < 7:
            value = number + self._shift * self._rows
        return f"{key * SPREAD % (1 << 128):032x}", f"{value * SPREAD % (1 << 256):064x}"


def main() -> None:
    """Plan once and print the peak in MiB."""
    from drill.purge.budget import Budget
    from drill.purge.compare import compare
    from drill.purge.model import PurgeSettings

    rows = int(sys.argv[1])
    primary: Any = _Side(rows, 0)
    target: Any = _Side(rows, 1)
    settings = PurgeSettings(("a",), memory_limit_mb=LEAST_MB)
    with tempfile.TemporaryDirectory(dir=sys.argv[2]) as folder:
        delta = compare(primary, target, settings, Path(folder), Budget(3600))
    if (delta.orphans, delta.stale, delta.missing) != (rows * 3 // 1000, rows * 4 // 1000, rows * 3 // 1000):
        raise RuntimeError(f"{delta.orphans} orphans, {delta.stale} stale, {delta.missing} missing")
    print(peak_mib())


if __name__ == "__main__":
    main()

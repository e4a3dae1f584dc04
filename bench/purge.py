"""``python -m bench.purge [SCALE]``: the purge's figures, each with its bound; exits with 1 if one is over.

``SCALE`` divides all sizes: 1 (default) is 10^7 a side, 10^6 scanned and 10^5 purged documents.
"""

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench import purge_compare, purge_memory, purge_target
from bench.lines import Line
from bench.purge_data import postgres


def main(argv: list[str]) -> int:
    """Return the exit code: 0 if every bound holds, 1 if one does not."""
    scale = int(argv[0]) if argv else 1
    over = 0
    with tempfile.TemporaryDirectory(prefix="purge-bench-") as folder:
        for line in _measure(Path(folder), scale):
            print(line, flush=True)
            over += line.over
    print(f"{over} over their bounds" if over else "all within their bounds")
    return 1 if over else 0


def _measure(folder: Path, scale: int) -> Iterator[Line]:
    with postgres() as dsn:
        yield from purge_target.measure(dsn, folder, 1_000_000 // scale, 100_000 // scale)
    yield from purge_compare.measure(folder, 10_000_000 // scale)
    yield from purge_memory.measure(folder, 10_000_000 // scale)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

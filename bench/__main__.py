"""``python -m bench``: measure, print each figure with its bound, and exit with 1 if one is over."""

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench import dry_run, durability, flags, load_tool, probe
from bench.lines import Line
from sandbox.stack import Stack


def main() -> int:
    """Return the exit code: 0 if every bound holds, 1 if one does not."""
    busy, cores = os.getloadavg()[0], os.cpu_count() or 1
    if busy > cores / 2:
        print(f"this machine is busy (load {busy:.1f} on {cores} cores): the figures below hold its other work too")
    over = 0
    with tempfile.TemporaryDirectory(prefix="drill-bench-") as folder:
        for line in _measure(Path(folder)):
            print(line, flush=True)
            over += line.over
    print(f"{over} over their bounds" if over else "all within their bounds")
    return 1 if over else 0


def _measure(folder: Path) -> Iterator[Line]:
    yield from flags.measure(folder)
    yield from durability.measure(folder)
    with Stack.start(folder / "stack", incident=False, traffic=False) as stack:
        yield from dry_run.measure(stack)
        if problem := load_tool.missing():
            print(f"probe accuracy is not measured: {problem}", flush=True)
        else:
            yield from probe.measure(stack)


if __name__ == "__main__":
    sys.exit(main())

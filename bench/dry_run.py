"""A whole dry-run against a service that is up; it waits for no observation, so all of it is the drill's own time."""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

from bench.environ import ROOT, plain_environ
from bench.lines import Line
from drill.events import events_path
from drill.unfinished import ROW, Event, read_events
from sandbox.stack import Stack

REPETITIONS = 7
BOUND_S = 3.0


def measure(stack: Stack) -> Iterator[Line]:
    """Yield the wall time of a dry-run with pending changes on ``stack``, and where it goes."""
    with tempfile.TemporaryDirectory(prefix="drill-bench-") as folder:
        runs = [_dry_run(stack, Path(folder)) for _ in range(REPETITIONS + 1)][1:]
    walls = [wall for wall, _ in runs]
    parts = {name: statistics.median(parts[name] for _, parts in runs) for name in runs[0][1]}
    spread = f"{min(walls):.2f} to {max(walls):.2f} s in {len(walls)} runs"
    yield Line("dry-run: wall time, nothing waited for", statistics.median(walls), "s", BOUND_S, spread)
    for name, seconds in parts.items():
        yield Line(f"dry-run:   of it {name}", seconds, "s")


def _dry_run(stack: Stack, folder: Path) -> tuple[float, dict[str, float]]:
    where = ["--artifacts-dir", str(folder / "artifacts"), "--reports-dir", str(folder / "reports")]
    command = [sys.executable, "-m", "pytest", "drill_tests", "--env-file", str(stack.env_file), "--operator", "bench"]
    before = stack.env_file.read_bytes()
    began = time.perf_counter()
    done = subprocess.run(
        [*command, *where], cwd=ROOT, env=plain_environ(), capture_output=True, text=True, timeout=120, check=False
    )
    wall = time.perf_counter() - began
    if done.returncode or stack.env_file.read_bytes() != before:
        raise RuntimeError(f"the dry-run ended with exit code {done.returncode}, expected 0:\n{done.stdout}")
    entry = json.loads((folder / "artifacts" / "rollback_drill_log.ndjson").read_text().splitlines()[-1])
    return wall, _parts(wall, read_events(events_path(folder / "artifacts", entry["drill_id"])))


def _parts(wall: float, events: Iterable[Event]) -> dict[str, float]:
    """Return the seconds of the rows of a drill by their kind, and what is left outside of them."""
    parts: dict[str, float] = defaultdict(float)
    for event in events:
        if event.kind == ROW:
            parts[event.text("id").partition(".")[0]] += float(event.text("duration_s"))
    return {**parts, "start-up, collection, report and journal": wall - sum(parts.values())}

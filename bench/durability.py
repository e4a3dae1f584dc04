"""What durability costs: an edit with all its fsyncs, a journal line, and the check of a long journal's chain.

``python -m bench.durability 1000000`` measures a journal of that many entries (5 GB in the temporary directory).
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

from bench.desk import ENV
from bench.environ import ROOT, plain_environ
from bench.lines import Line
from drill.envfile import EnvFile
from drill.events import EventLog, events_path
from drill.journal.entry import GENESIS, JournalEntry, journal_entry
from drill.journal.log import append, dump, journal_path
from drill.record import DrillRecord, Evidence
from drill.verdict import Verdict

REPETITIONS = 60
ENTRIES = 100_000
ENTRY_BOUND_US = 10.0
"""A hundred thousand entries a second."""
_VERIFY = """
import json, resource, sys, time
from pathlib import Path
from drill.journal.verify import verify
began = time.perf_counter()
result = verify(Path(sys.argv[1]))
taken = time.perf_counter() - began
assert result.ok, result.summary()
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({"entries": result.entries, "seconds": taken, "peak_mib": peak}))
"""


def measure(folder: Path, entries: int = ENTRIES) -> Iterator[Line]:
    """Yield the milliseconds of an edit and of an append, and the microseconds per entry of a verify."""
    yield _line("durability: one edit with intent, backup and all fsyncs", _edits(folder / "edit"))
    yield _line("durability: one journal append with its fsync", _appends(folder / "append"))
    path = folder / "long.ndjson"
    size = write_journal(path, entries)
    child = [sys.executable, "-c", _VERIFY, str(path)]
    seen = subprocess.run(child, cwd=ROOT, env=plain_environ(), capture_output=True, text=True, check=True)
    path.unlink()
    found = json.loads(seen.stdout)
    each_us = found["seconds"] / found["entries"] * 1e6
    note = f"{found['entries']:,} entries, {size / 1e9:.2f} GB: {found['entries'] / found['seconds']:,.0f} a second"
    yield Line("durability: journal verify, per entry", each_us, "us", ENTRY_BOUND_US, note)
    yield Line("durability: journal verify, peak memory of the process", found["peak_mib"], "MiB", 64)


def _line(name: str, seconds: list[float]) -> Line:
    ordered = sorted(seconds)
    spread = f"{ordered[0] * 1000:.2f} to {ordered[-1] * 1000:.2f} ms in {len(ordered)}"
    return Line(name, statistics.median(ordered) * 1000, "ms", note=spread)


def _timed(work: Callable[[int], None]) -> list[float]:
    times = []
    for number in range(REPETITIONS + 1):
        began = time.perf_counter()
        work(number)
        times.append(time.perf_counter() - began)
    return times[1:]


def _edits(folder: Path) -> list[float]:
    env_file = folder / ".env"
    folder.mkdir()

    def edit(number: int) -> None:
        events = EventLog(events_path(folder / "artifacts", f"drill-{number}").parent)
        with EnvFile.open(env_file, intents=events) as opened:
            opened.apply(opened.plan())
        events.close()
        env_file.write_bytes(ENV)

    env_file.write_bytes(ENV)
    return _timed(edit)


def _appends(folder: Path) -> list[float]:
    path = journal_path(folder)
    lines = [entry(number) for number in range(REPETITIONS + 1)]

    def one(number: int) -> None:
        append(path, lines[number])

    return _timed(one)


def entry(number: int) -> JournalEntry:
    """Return the entry of a drill in which every row has its evidence, about 5 kB long."""
    record = DrillRecord(f"20251021T145000Z-{number:06x}", ".env.production", "bench", apply=True, notes="bench")
    for row in record.entries.values():
        row.evidence = Evidence(Verdict.PASS, f"seen on both instances: {row.id}", 212.0, "<=", 500, 3120, 30.0, "ms")
    return journal_entry(record)


def write_journal(path: Path, count: int) -> int:
    """Write a journal of ``count`` chained entries without their fsyncs; return its bytes."""
    drill_id = str(entry(0)["drill_id"])
    head, _, rest = dump(entry(0)).rpartition('"prev_sha256"')[0].partition(drill_id)
    previous, size = GENESIS, 0
    with path.open("wb", buffering=1 << 20) as file:
        for number in range(count):
            line = f'{head}20251021T145000Z-{number:06x}{rest}"prev_sha256": "{previous}"}}'.encode()
            previous = sha256(line).hexdigest()
            size += file.write(line + b"\n")
    return size


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="drill-bench-") as scratch:
        for measured in measure(Path(scratch), int(sys.argv[1]) if sys.argv[1:] else ENTRIES):
            print(measured, flush=True)

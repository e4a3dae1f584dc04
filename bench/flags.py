"""From process start to all three flags on disk: the drill against the bare script that it replaces."""

import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from bench.desk import FLAGS_OFF, Desk, black_hole, make_desk
from bench.environ import ROOT, plain_environ
from bench.lines import Line

REPETITIONS = 15
POLL_S = 0.0005
GIVE_UP_S = 20.0
BOUND = 6.0


def measure(folder: Path) -> Iterator[Line]:
    """Yield the ratio of the drill to the bare script, and what it is made of."""
    with black_hole() as port:
        desk = make_desk(folder, port)
        environ = {**plain_environ(), "BENCH_DSN": f"postgresql://bench@127.0.0.1:{port}/bench"}
        times = _alternate(desk, _commands(desk), environ)
    middle = {name: statistics.median(values) for name, values in times.items()}
    for name, values in times.items():
        spread = f"{min(values) * 1000:.0f} to {max(values) * 1000:.0f} ms in {len(values)} runs"
        yield Line(f"flags on disk: {name}", middle[name] * 1000, "ms", note=spread)
    yield Line("flags on disk: drill / bare script", middle["drill"] / middle["bare script"], "x", BOUND)
    yield Line("flags on disk: drill / minimal script", middle["drill"] / middle["minimal script"], "x")


def _commands(desk: Desk) -> dict[str, list[str]]:
    bench = Path(__file__).parent
    env_file = str(desk.env_file)
    bare = ["--env-file", env_file, "--journal", str(desk.folder / "bare.ndjson"), "--operator", "bench"]
    drill = ["-m", "pytest", "drill_tests", *desk.drill_options(), "--apply", "--reason", "bench"]
    return {
        "drill": [sys.executable, *drill],
        "bare script": [sys.executable, str(bench / "bare_script.py"), *bare],
        "minimal script": [sys.executable, str(bench / "minimal_script.py"), env_file],
    }


def _alternate(desk: Desk, commands: Mapping[str, Sequence[str]], environ: Mapping[str, str]) -> dict[str, list[float]]:
    """Run all commands in turn; the first round is thrown away: it compiles, and it fills the page cache."""
    times: dict[str, list[float]] = {name: [] for name in commands}
    for repetition in range(REPETITIONS + 1):
        for name, command in commands.items():
            taken = _until_written(desk, command, environ)
            if repetition:
                times[name].append(taken)
    return times


def _until_written(desk: Desk, command: Sequence[str], environ: Mapping[str, str]) -> float:
    """Return the seconds from before the start of the process until the file holds all three flags."""
    desk.reset()
    began = time.perf_counter()
    with subprocess.Popen(
        command, cwd=ROOT, env=environ, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            return _await_flags(desk.env_file, process, began)
        finally:
            process.terminate()


def _await_flags(path: Path, process: "subprocess.Popen[bytes]", began: float) -> float:
    before = path.stat()
    while (taken := time.perf_counter() - began) < GIVE_UP_S:
        now = path.stat()
        if (now.st_ino, now.st_mtime_ns) != (before.st_ino, before.st_mtime_ns):
            data = path.read_bytes()
            if all(flag in data for flag in FLAGS_OFF):
                return time.perf_counter() - began
        elif process.poll() is not None:
            break
        time.sleep(POLL_S)
    command = process.args if isinstance(process.args, list) else []
    raise RuntimeError(f"the flags did not come on disk within {taken:.1f} s; run by hand: {' '.join(command)}")

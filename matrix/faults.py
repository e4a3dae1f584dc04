"""Every fault and every oddity against the drill."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from matrix.bench import Bench, let_shadow_reads_show, open_bench, seen
from matrix.modes import MODES
from matrix.outcome import Outcome, judge
from sandbox.faults.expected import EXPECTED
from sandbox.faults.expected.model import Mode
from sandbox.oddities import ODDITIES
from sandbox.oddities.expected import GREEN, STATED

SOURCES = ("scrape", "prometheus")
"""Where metrics are read; the first is where faults are met that every source shows alike."""
UNSAID = "DRILL_SERVICE__FLAGS_PATH"
"""What a drill is configured with where the service does not say its flags."""
TABLE = {**EXPECTED, **STATED}
"""Fault or oddity -> what a drill must show of it."""


def told_by(name: str, source: str) -> bool:
    """Return whether ``source`` is one that can tell the fault, and on which it is met."""
    expected = TABLE[name]
    return expected.only in {"", source} and (source == SOURCES[0] or not MODES[expected.mode].once)


def named(source: str, only: Sequence[str] = (), mode: str = "") -> list[str]:
    """Return the faults and oddities (of ``mode``, empty: all) that are met on ``source``, or those of ``only``."""
    return [name for name in only or TABLE if told_by(name, source) and mode in {"", TABLE[name].mode}]


def try_all(folder: Path, source: str, names: Sequence[str]) -> Iterator[Outcome]:
    """Drill against each of ``names``, on stacks in ``folder``, from a fresh beginning each time."""
    for number, (mode, batch) in enumerate(_batches(names)):
        with open_bench(folder / f"{mode}-{number}", source, **MODES[mode].start) as bench:
            for name in batch:
                bench.reset(TABLE[name].changes)
                yield try_one(bench, source, name)


def try_one(bench: Bench, source: str, name: str) -> Outcome:
    """Drill against one fault or oddity; the bench is as its mode begins."""
    expected = TABLE[name]
    mode = MODES[expected.mode]
    after = mode.before(bench)
    switch_on(bench, expected.fault or name, expected.instance, from_boot=expected.from_boot)
    if expected.result == GREEN and UNSAID in expected.environ:
        let_shadow_reads_show(bench.stack)
    ran, seconds = bench.drill(*mode.options, **mode.environ, **expected.environ)
    found = seen(ran) if ran.entries else {}
    reasons = {row: ran.reason(row) for row in (*found, *expected.tells) if row in ran.verdicts} if ran.entries else {}
    result = str(ran.entry["result"]) if ran.entries else f"exit {ran.code} without a journal line"
    problems = (*judge(expected, found, result, reasons), *after())
    return Outcome(name, source, tuple(expected.red), found, result, round(seconds, 1), problems, reasons)


def switch_on(bench: Bench, name: str, instance: int | None = None, *, from_boot: bool = False) -> None:
    """Switch a fault on now; an oddity has been there since the service's boot, so it is booted again."""
    bench.stack.fault(name, instance)
    if from_boot or name in ODDITIES:
        bench.restart()


def _batches(names: Sequence[str]) -> Iterator[tuple[Mode, list[str]]]:
    """Yield the names that share a stack, with their mode."""
    for name, mode in MODES.items():
        mine = [one for one in names if TABLE[one].mode == name]
        for batch in ([one] for one in mine) if mode.fresh else filter(None, [mine]):
            yield name, batch

"""Every fault against the drill."""

from collections.abc import Iterable, Iterator, Sequence

from matrix.bench import Bench, seen
from matrix.outcome import Outcome, judge
from sandbox.faults.expected import EXPECTED


def named(source: str, only: Sequence[str] = ()) -> list[str]:
    """Return the faults that can be told by ``source``, or those of ``only`` in their order."""
    return [name for name in only or EXPECTED if EXPECTED[name].only in {"", source}]


def try_all(bench: Bench, source: str, names: Iterable[str]) -> Iterator[Outcome]:
    """Drill against each fault, from a fresh incident each time."""
    for name in names:
        bench.reset()
        yield try_one(bench, source, name)


def try_one(bench: Bench, source: str, name: str) -> Outcome:
    """Drill against one fault; the bench is in its incident."""
    expected = EXPECTED[name]
    bench.stack.fault(name, expected.instance)
    ran, seconds = bench.drill()
    found = seen(ran) if ran.entries else {}
    result = str(ran.entry["result"]) if ran.entries else f"exit {ran.code} without a journal line"
    return Outcome(name, source, tuple(expected.red), found, result, round(seconds, 1), judge(expected, found, result))

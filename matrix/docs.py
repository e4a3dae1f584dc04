"""``docs/detection-matrix.md``, made of the table of expectations and of the last results."""

from collections.abc import Iterator
from typing import Any

from matrix.faults import SOURCES, TABLE, told_by
from matrix.modes import MODES, Mode
from matrix.results import ROOT, read
from sandbox.faults import FAULTS
from sandbox.faults.expected import EXPECTED, Expected
from sandbox.oddities import ODDITIES
from sandbox.oddities.expected import STATED

PATH = ROOT / "docs" / "detection-matrix.md"

HEAD = """\
# Detection matrix

What the drill must show of each fault of the embedded stack, and what it showed. Made by `make matrix`; what is
expected stands in `sandbox/faults/expected/`, and `tests/drill/` holds drills against the same table.

Each fault is met by the kind of drill that can meet it: a rollback, a re-opening, a rehearsal. It is switched on in a
fresh stack, on one of two instances or on both, and a real drill is performed, with every limit as delivered, 8 s of
observation and 12 s on a rung. *As expected*: every id of the column "must be red" had one of the verdicts named, and
where the table says so the reason names the fault; no other id was red but those that follow from the same fault (last
table but one); the drill did not end in success; and what its kind asks for afterwards was so. Seconds are those of the
drill itself, with its observation or holds.
"""

NOTE = """\
Run on a machine with two cores that did other work too (load 5 to 15): an idle one is faster. Four streams ran beside
each other, while the last changes came in: rows that those concern, or that did not fit at first, were run again.
"""
"""What must be known of the results that are kept."""


def write_docs() -> None:
    """Write the file."""
    PATH.write_text("\n".join(_lines()) + "\n")


def _lines() -> Iterator[str]:
    seen = {(row["fault"], source): row for source in SOURCES for row in read(f"faults-{source}")}
    yield HEAD
    yield NOTE
    yield from _summary(seen)
    for name, mode in MODES.items():
        yield from _faults(name, mode, seen)
    yield from _oddities(seen)
    yield from _healthy()
    yield from _consequences()


def _faults(name: str, mode: Mode, seen: dict[tuple[str, str], dict[str, Any]]) -> Iterator[str]:
    yield from ("", f"## Faults: {name}", "", f"{mode.doc}.", "")
    yield "| fault | what breaks | must be red | why there | scrape | Prometheus |"
    yield "|---|---|---|---|---|---|"
    for row, expected in sorted(EXPECTED.items()):
        if expected.mode == name:
            shown = " | ".join(_cell(seen.get((row, source)), row, source) for source in SOURCES)
            doc = _escaped(FAULTS[expected.fault or row].doc)
            yield f"| `{row}` | {doc} | {_red(expected)} | {expected.why} | {shown} |"


def _oddities(seen: dict[tuple[str, str], dict[str, Any]]) -> Iterator[str]:
    yield from ("", "## Oddities: services that are strange and well", "")
    yield "Each is there from the service's boot on. Nothing may be red; what cannot be proven says why."
    yield from ("", "| oddity | what is odd | must be shown | why | scrape | Prometheus |", "|---|---|---|---|---|---|")
    for row, stated in sorted(STATED.items()):
        shown = " | ".join(_cell(seen.get((row, source)), row, source) for source in SOURCES)
        must = "success" if not stated.red else _red(stated)
        yield f"| `{row}` | {_escaped(ODDITIES[stated.fault or row].doc)} | {must} | {stated.why} | {shown} |"


def _summary(seen: dict[tuple[str, str], dict[str, Any]]) -> Iterator[str]:
    for source in SOURCES:
        for what, table in (("faults", EXPECTED), ("oddities", STATED)):
            rows = [row for (name, where), row in seen.items() if where == source and name in table]
            good = sum(not row["problems"] for row in rows)
            able = sum(told_by(name, source) for name in table)
            left = f" ({able - len(rows)} not run)" if able > len(rows) else ""
            yield f"- {source}: {good} of {able} {what} as expected{left}"
    yield f"- {len(EXPECTED)} faults; {sum(not e.red for e in EXPECTED.values())} of them must stay green"


def _cell(row: dict[str, Any] | None, name: str, source: str) -> str:
    if TABLE[name].only not in {"", source}:
        return "cannot tell"
    if not told_by(name, source):
        return "the same"
    if row is None:
        return "not run"
    shown = f"**{'; '.join(row['problems'])}**" if row["problems"] else "as expected"
    return f"{shown}, {row['seconds']:.0f} s"


def _red(expected: Expected) -> str:
    where = "" if expected.instance is None else " (one instance)"
    rows = [f"`{row}` {'/'.join(verdicts.split())}" for row, verdicts in expected.red.items()]
    rows += [f"nothing; `{row}` tells it" for row in expected.tells]
    return ("<br>".join(rows) or "nothing") + where


def _escaped(text: str) -> str:
    return text.replace("|", "\\\\|")


def _healthy() -> Iterator[str]:
    runs = [row for source in SOURCES for row in read(f"healthy-{source}")]
    yield from ("", "## False alarms", "")
    if not runs:
        yield "No healthy runs were recorded."
        return
    for source in SOURCES:
        rows = [row for row in runs if row["source"] == source]
        if not rows:
            continue
        alarms = [row for row in rows if row["result"] != "success" or row["seen"]]
        seconds = sorted(row["seconds"] for row in rows)
        yield (
            f"{source}: {len(alarms)} of {len(rows)} healthy drills were red or inconclusive, on random load (0 to 30 "
            "searches a second more), sample rates (1 % to 100 %), tenants (1 to all), flags, purge modes and up to "
            f"two oddities, from a seed; {seconds[0]:.0f} to {seconds[-1]:.0f} s each."
        )
        yield from (f"- run {row['number']}: {row['result']}, {row['reasons']}" for row in alarms)
        yield ""


def _consequences() -> Iterator[str]:
    yield from ("", "## What may be red beside", "", "| fault | ids | because |", "|---|---|---|")
    for name, expected in sorted(EXPECTED.items()):
        reasons: dict[str, list[str]] = {}
        for row, why in expected.also.items():
            reasons.setdefault(why, []).append(f"`{row}`")
        for why, rows in reasons.items():
            yield f"| `{name}` | {', '.join(rows)} | {why} |"
    yield from ("", "## What one source cannot tell", "")
    for why in dict.fromkeys(expected.blind for expected in EXPECTED.values() if expected.blind):
        names = [f"`{name}`" for name, expected in sorted(EXPECTED.items()) if expected.blind == why]
        yield f"- Without Prometheus, {why}: {', '.join(names)}"

"""``python -m matrix``: every fault and oddity against the drill, or drills of healthy services; 1 if one is not so."""

import argparse
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from matrix import results
from matrix.docs import write_docs
from matrix.faults import SOURCES, TABLE, named, try_all
from matrix.healthy import SEED, healthy_runs
from matrix.outcome import Outcome


def main() -> int:
    """Run what was asked for; return 0 if all of it fits."""
    arguments = _arguments()
    sources = SOURCES if arguments.source == "both" else (arguments.source,)
    missed = 0
    with tempfile.TemporaryDirectory(prefix="drill-matrix-") as folder:
        for source in sources:
            here = Path(folder) / source
            if arguments.healthy:
                missed += _healthy(here, source, arguments.healthy, arguments.seed)
            elif not arguments.docs_only:
                missed += _faults(here, source, arguments.only)
    if arguments.write_docs or arguments.docs_only:
        write_docs()
    if arguments.docs_only:
        return 0
    print(f"{missed} did not fit" if missed else "all fit")
    return 1 if missed else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m matrix", description=__doc__)
    parser.add_argument("--source", choices=[*SOURCES, "both"], default="both", help="where metrics are read")
    parser.add_argument("--only", action="append", default=[], choices=sorted(TABLE), metavar="NAME")
    parser.add_argument("--healthy", type=int, default=0, metavar="N", help="N drills of a healthy service instead")
    parser.add_argument("--seed", type=int, default=SEED, help="of the healthy drills")
    parser.add_argument("--write-docs", action="store_true", help="write docs/detection-matrix.md afterwards")
    parser.add_argument("--docs-only", action="store_true", help="write it from the results that are there")
    return parser.parse_args()


def _faults(folder: Path, source: str, only: list[str]) -> int:
    missed = 0
    print(f"{'fault':<30} {'source':<11} {'seconds':>7}  expected -> seen", flush=True)
    for outcome in try_all(folder, source, named(source, only)):
        results.keep_outcomes([outcome])
        missed += not outcome.ok
        print(_line(outcome), flush=True)
    return missed


def _line(outcome: Outcome) -> str:
    shown = ", ".join(f"{row} {verdict}" for row, verdict in outcome.seen.items()) or "green"
    fits = "" if outcome.ok else f"\n    DOES NOT FIT: {'; '.join(outcome.problems)}"
    expected = ", ".join(outcome.expected) or "green"
    return f"{outcome.fault:<30} {outcome.source:<11} {outcome.seconds:7.1f}  {expected} -> {shown}{fits}"


def _healthy(folder: Path, source: str, count: int, seed: int) -> int:
    rows, missed = [], 0
    for run in healthy_runs(folder, source, count, seed=seed):
        rows.append({**asdict(run), "situation": asdict(run.situation)})
        missed += not run.ok
        detail = "" if run.ok else f"  {run.reasons}"
        print(f"healthy {run.number:>3} {source:<11} {run.seconds:6.1f} s  {run.result}{detail}", flush=True)
        results.write(f"healthy-{source}", rows)
    return missed


if __name__ == "__main__":
    sys.exit(main())

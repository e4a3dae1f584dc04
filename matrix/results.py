"""What the last runs showed, kept in files from which the documentation is made."""

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from matrix.outcome import Outcome

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "build" / "matrix"


def keep_outcomes(outcomes: Iterable[Outcome]) -> None:
    """Keep outcomes of one source, in the place of earlier ones of the same faults."""
    for one in outcomes:
        kept = {old["fault"]: old for old in read(f"faults-{one.source}")}
        write(f"faults-{one.source}", list({**kept, one.fault: asdict(one)}.values()))


def read(name: str) -> list[dict[str, Any]]:
    """Return what is kept under ``name``; nothing if there was no run yet."""
    path = FOLDER / f"{name}.json"
    rows: list[dict[str, Any]] = json.loads(path.read_text()) if path.exists() else []
    return rows


def write(name: str, rows: list[dict[str, Any]]) -> None:
    """Keep ``rows`` under ``name``."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / f"{name}.json").write_text(json.dumps(rows, indent=1) + "\n")

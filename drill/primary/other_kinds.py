"""Indexes of every kind but the flat ones: faiss looks at them, in a process of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from drill.errors import CannotMeasure

CHILD = Path(__file__).with_name("faiss_child.py")
TIMEOUT_S = 120.0
"""How long a look may take; what is mapped takes seconds, what has to be loaded as long as its file."""


def look_with_faiss(path: Path) -> dict[str, Any]:
    """Return what ``faiss_child`` found, of which ``damaged`` says why there is nothing else. Raises CannotMeasure.

    A process that dies over a file has found it damaged.
    """
    command = [sys.executable, "-P", "-W", "ignore", str(CHILD), str(path)]
    try:
        done = subprocess.run(
            command,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise CannotMeasure(f"{path.name} was not read by faiss in {TIMEOUT_S:g} s: look at it by hand") from None
    except OSError as problem:
        raise CannotMeasure(f"no process could be started to read {path.name} ({problem.strerror})") from None
    return _understood(done.stdout, done.returncode)


def _understood(said: bytes, code: int) -> dict[str, Any]:
    first, _, second = said.partition(b"\n")
    try:
        found: dict[str, Any] = json.loads(first)
    except ValueError:
        return {"damaged": f"cannot be read by faiss (its process ended with {code})"}
    try:
        more: dict[str, Any] = {} if "damaged" in found else json.loads(second)
    except ValueError:
        more = {"unchecked": f"its vectors: faiss ended with {code} over them"}
    return {**found, **more}

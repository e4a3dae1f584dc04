"""``python -m tests.purge.paused FOLDER purge ...``: such a purge, which waits before its second write on the target.

It says so by a file ``reached`` in FOLDER, and goes on once there is a file ``go``.
"""

import itertools
import sys
import time
from collections.abc import Callable
from pathlib import Path

from drill.__main__ import main
from drill.gates import Gates
from drill.purge import dual_write

PATIENCE_S = 120.0


def paused(gate: Callable[[Gates], None], folder: Path) -> Callable[[Gates], None]:
    calls = itertools.count(1)

    def ask(gates: Gates) -> None:
        if next(calls) == 2:
            (folder / "reached").touch()
            deadline = time.monotonic() + PATIENCE_S
            while not (folder / "go").exists() and time.monotonic() < deadline:
                time.sleep(0.02)
        gate(gates)

    return ask


if __name__ == "__main__":
    for name in ("deletes", "documents"):
        setattr(Gates, name, paused(getattr(Gates, name), Path(sys.argv[1])))
    dual_write.WATCH_S = 0.05
    sys.exit(main(sys.argv[2:]))

"""A drill of an env file in a process of its own: ``python -m tests.envfile.other_drill PATH``.

Each line of its input (``open``, ``write``, ``restore``) is answered by one line: ``ok``, or what stood against it.
"""

import sys
from pathlib import Path

from drill.envfile import EnvFile
from drill.errors import DrillError

from .support import MemoryLog


def main(path: Path) -> None:
    held: list[EnvFile] = []
    for line in sys.stdin:
        try:
            match line.strip():
                case "open":
                    held.append(EnvFile.open(path, intents=MemoryLog()))
                case "write":
                    held[0].apply(held[0].plan())
                case "restore":
                    held[0].restore()
        except DrillError as refusal:
            print(f"{type(refusal).__name__}: {refusal}", flush=True)
        else:
            print("ok", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

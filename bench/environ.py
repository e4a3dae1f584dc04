"""Where the measured processes run, and in which environment."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def plain_environ() -> dict[str, str]:
    """Return the environment without settings of Python: where it may not cache bytecode, a compiler is measured."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}

"""Edits of an env file as scripts make them: what the sweep must find wanting."""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from dotenv import set_key

from drill.envfile import FLAGS, plan_edit
from tests.reliability.markers import section


def truncate(path: Path) -> None:
    """Write as ``open(path, "w")`` does."""
    new = plan_edit(path.read_bytes()).new_bytes
    with path.open("wb") as file:
        file.write(new)


def copy(path: Path) -> None:
    """Copy to a backup, then write the text."""
    shutil.copy2(path, path.with_name(f"{path.name}.bak"))
    path.write_text(plan_edit(path.read_bytes()).new_bytes.decode())


def set_keys(path: Path) -> None:
    """Call ``dotenv.set_key`` for each flag."""
    for key, value in FLAGS.items():
        set_key(path, key, value, quote_mode="never")


plan_edit(b"A=1\n")  # loads what is loaded only when it is used

WAYS: dict[str, Callable[[Path], None]] = {"truncate": truncate, "copy": copy, "set_keys": set_keys}

if __name__ == "__main__":
    with section():
        WAYS[sys.argv[2]](Path(sys.argv[1]))

"""An env file that is a mount point of its own, as a container has it: a real EBUSY, made by the kernel."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.reliability.edit_case import NEW, OLD
from tests.reliability.tracing import ROOT

_EDIT = """
import runpy, subprocess, sys
path, *arguments = sys.argv[1:]
subprocess.run(["mount", "--bind", path, path], check=True)
sys.argv = ["child_edit", path, *arguments]
runpy.run_module("tests.reliability.child_edit", run_name="__main__")
"""


def namespace_problem() -> str:
    """Return why no mount can be made in a namespace of our own, empty if it can."""
    command = ["unshare", "-rm", "mount", "--bind", str(Path(__file__).parent), str(Path(__file__).parent)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except FileNotFoundError:
        return "unshare is not installed"
    return "" if done.returncode == 0 else f"no mount namespace may be made here ({done.stderr.strip()[:80]})"


@pytest.mark.skipif(bool(problem := namespace_problem()), reason=problem or "namespaces work")
def test_a_bind_mounted_env_file_is_written_in_place(tmp_path: Path) -> None:
    """Same inode, new bytes, the old ones in the backup, nothing of ours left beside it."""
    path = tmp_path / "config" / "service.env"
    path.parent.mkdir()
    path.write_bytes(OLD)
    inode = path.stat().st_ino
    command = ["unshare", "-rm", sys.executable, "-c", _EDIT, str(path), str(tmp_path / "artifacts"), "first", "rename"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert (path.read_bytes(), path.stat().st_ino) == (NEW, inode)
    assert path.with_name("service.env.bak").read_bytes() == OLD
    assert sorted(other.name for other in path.parent.iterdir()) == [
        "service.env",
        "service.env.bak",
        "service.env.lock",
    ]

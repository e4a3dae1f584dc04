"""``up`` hands the stack over to the background, whatever it was run in."""

import subprocess
import sys
from pathlib import Path

from sandbox.home import ROOT


def test_up_in_a_pipe_ends_when_the_stack_is_up(tmp_path: Path) -> None:
    """The stack must not keep the pipe open: `up | tail` would wait for ever."""
    home = tmp_path / "home"
    command = [sys.executable, "-m", "sandbox", "up", "--no-traffic", "--home", str(home)]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        assert "sandbox is up" in done.stdout
    finally:
        subprocess.run([*command[:3], "down", "--home", str(home)], cwd=ROOT, check=True, timeout=60)
    assert not home.exists()

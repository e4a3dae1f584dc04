"""The drill on a stack that it starts itself, as the README's first command does."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.drill.harness import ROOT, Desk


@pytest.mark.long
def test_a_drill_on_its_own_stack_lasts_from_its_start_to_its_end_and_says_nothing_after_its_last_line(
    tmp_path: Path,
) -> None:
    where = ["--artifacts-dir", str(tmp_path / "artifacts"), "--reports-dir", str(tmp_path / "reports")]
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "drill_tests", "--sandbox", "--apply", *where]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240, check=False)
    ended = datetime.now(UTC)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1].lstrip().startswith("history: ")
    assert done.stderr == ""
    (entry,) = Desk(tmp_path / ".env", tmp_path / "artifacts", tmp_path / "reports").journal()
    began = datetime.fromisoformat(entry["timestamp"])
    assert began + timedelta(seconds=entry["duration_s"]) <= ended + timedelta(seconds=1)

"""A whole drill among what others have planted: its result, exit code and journal line are its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.drill.harness import ENV, ROOT, Desk
from tests.drill.test_broken_session import AFTER

ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
ID = "20251021T145000Z-00000a"


@ROOT_ONLY
@pytest.mark.parametrize("planted", [False, True])
def test_what_is_planted_costs_the_report_and_nothing_else(env_desk: Desk, tmp_path: Path, *, planted: bool) -> None:
    """The flags are written, the line says so, and one line each names what was refused; without it, all is as ever."""
    here = tmp_path / "hostile"
    here.mkdir()
    env_desk.artifacts.mkdir()
    victim = tmp_path / "victim"
    victim.write_text("somebody else's\n")
    rescued = env_desk.artifacts / f"rollback_drill_log.{ID}.ndjson"
    if planted:
        for name in ("json", "httpx", "sitecustomize", "conftest"):
            (here / f"{name}.py").write_text(f"open({str(here / 'RAN')!r}, 'w')\n")
        for name in ("matplotlibrc", ".netrc", ".pgpass", ".env"):
            os.mkfifo(here / name)
        env_desk.reports.symlink_to(tmp_path / "elsewhere")
        os.lchown(env_desk.reports, 12345, 12345)
        (tmp_path / "elsewhere").mkdir()
        (env_desk.artifacts / "plans").symlink_to(tmp_path / "elsewhere")
        rescued.symlink_to(victim)
    command = [sys.executable, str(ROOT / "scripts" / "rollback_retrieval.py"), *env_desk.command("--apply")[3:]]
    command = [word for word in command if word != str(ROOT / "drill_tests")]
    environ = {**os.environ, "DRILL_SLO__OBSERVE_S": "1", "SSLKEYLOGFILE": str(here / "keys"), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=here, env=environ, capture_output=True, text=True, timeout=240, check=False)
    said = done.stdout + done.stderr
    assert done.returncode == 1, said
    assert env_desk.env_file.read_bytes() == AFTER != ENV
    entry = json.loads((env_desk.artifacts / "rollback_drill_log.ndjson").read_text())
    assert (entry["result"], entry["exit_code"]) == ("failure", 1)
    assert bool(entry["report"]) is not planted
    assert (
        f"no report: {entry['drill_id']}.html could not be written (reports belongs to user 12345" in said
    ) is planted
    assert (f"{rescued.name} was not entered into the journal ({rescued.name} is a symlink" in said) is planted
    if planted:
        assert sorted(path.name for path in here.iterdir() if path.is_file()) == [
            f"{name}.py" for name in ("conftest", "httpx", "json", "sitecustomize")
        ]
        assert list((tmp_path / "elsewhere").iterdir()) == []
        assert victim.read_text() == "somebody else's\n"

"""A session that breaks, and a disk that takes nothing: the rollback happens, the line is written, the codes agree."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from drill.__main__ import main
from drill.journal.schema import schema_errors
from drill.journal.verify import verify
from tests.drill.harness import ENV, ROOT, Desk, Ran
from tests.drill.test_partial_runs import plugin, run
from tests.reliability.test_bind_mount import namespace_problem

AFTER = ENV.replace(b"WRITE=ON", b"WRITE=OFF").replace(b"READ=ON", b"READ=OFF").replace(b"pgvector", b"faiss")
BREAKS = {
    "in_the_middle": """
def pytest_runtest_logreport(report):
    if report.when == "call" and "shadow_read" in report.nodeid:
        raise RuntimeError("broken")
""",
    "after_the_start": """
import pytest

def pytest_collection_finish():
    raise pytest.UsageError("too late")
""",
    "at_the_end": """
def pytest_sessionfinish():
    raise RuntimeError("broken")
""",
    "around_the_end": """
import pytest

class Outermost:
    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self):
        raise RuntimeError("broken")
        yield

def pytest_sessionstart(session):
    session.config.pluginmanager.register(Outermost())
""",
}
"""Plugins that break a session; in the last case pytest never comes to the drill's own end of session."""


@pytest.mark.parametrize("mode", ["--apply", "--dry-run"])
@pytest.mark.parametrize("where", BREAKS)
def test_a_broken_session_has_its_line_and_exits_with_the_lines_code(
    env_desk: Desk, tmp_path: Path, where: str, mode: str
) -> None:
    ran = run(env_desk, mode, "--purge", "off", *plugin(tmp_path, "broken", BREAKS[where]))
    written = mode == "--apply" and where != "after_the_start"
    assert ran.code == (12 if written else 10 if where == "after_the_start" else 1), ran
    assert [entry["exit_code"] for entry in ran.entries] == [ran.code]
    assert env_desk.env_file.read_bytes() == (AFTER if written else ENV)
    assert verify(env_desk.artifacts / "rollback_drill_log.ndjson", schema=True).ok


DISKS = {
    "read-only": 'mount -t tmpfs -o ro tmpfs "$1"',
    "full": 'mount -t tmpfs -o size=64k tmpfs "$1"; dd if=/dev/zero of="$1/filler" 2>/dev/null || true',
}


def drill_on_a_bad_disk(desk: Desk, disk: str, home: Path) -> Ran:
    """Drill in a mount namespace in which the artifacts are to lie on a disk that takes nothing."""
    desk.artifacts.mkdir()
    inside = f'{DISKS[disk]}; shift; exec "$@"'
    unshare = shutil.which("unshare") or "unshare"
    command = [unshare, "-rm", "sh", "-c", inside, "sh", str(desk.artifacts), *desk.command("--apply")]
    environ = {"DRILL_SERVICE__RELOAD_TIMEOUT_S": "0.2", "DRILL_SERVICE__ON_BOOT_FAILURE": "leave"}
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, **environ, "XDG_STATE_HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return Ran(command, done.returncode, done.stdout + done.stderr, list(desk.journal()), desk.found_reports())


@pytest.mark.skipif(bool(problem := namespace_problem()), reason=problem or "namespaces work")
@pytest.mark.parametrize("disk", DISKS)
def test_a_disk_that_takes_no_journal_stops_no_rollback_and_loses_no_line(
    env_desk: Desk, tmp_path: Path, disk: str
) -> None:
    ran = drill_on_a_bad_disk(env_desk, disk, tmp_path / "state")
    ran.expect(1)
    assert env_desk.env_file.read_bytes() == AFTER
    (rescued,) = (tmp_path / "state" / "rollback-drill").iterdir()
    entry = json.loads(rescued.read_text())
    assert schema_errors(entry) == []
    assert (entry["exit_code"], entry["changes"]["RETRIEVAL_BACKEND"]) == (1, "faiss")
    assert rescued.read_text().strip() in ran.output.splitlines()
    assert f"the entry is in {rescued}: enter it with python -m drill journal enter {rescued}" in ran.output
    assert "the events of this drill could not be kept" in ran.output
    assert len(ran.reports) == 1, ran

    journal = env_desk.artifacts / "rollback_drill_log.ndjson"
    assert main(["journal", "enter", str(rescued), "--path", str(journal)]) == 0
    env_desk.env_file.write_bytes(ENV)
    again = run(env_desk)
    assert again.entries[0]["drill_id"] == entry["drill_id"]
    assert len(again.entries) == 2
    assert verify(env_desk.artifacts / "rollback_drill_log.ndjson", schema=True).ok

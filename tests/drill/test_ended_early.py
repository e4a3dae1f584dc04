"""Drills that do not come to their end: a signal, a kill, a command line that would repeat steps."""

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.drill.harness import DEAD, ENV, ROOT, Desk, surely_ended

AFTER = ENV.replace(b"WRITE=ON", b"WRITE=OFF").replace(b"READ=ON", b"READ=OFF").replace(b"pgvector", b"faiss")


@contextmanager
def begun(desk: Desk) -> Iterator["subprocess.Popen[bytes]"]:
    """Start a drill and yield it when its flags are on disk and it waits for a service that is not there."""
    desk.env_file.with_name("drill.toml").write_text(f'[service]\nbase_url = "{DEAD}"\nreload_timeout_s = 60\n')
    started = subprocess.Popen(desk.command("--apply"), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    with surely_ended(started) as process:
        while desk.env_file.read_bytes() == ENV:
            assert process.poll() is None
        events = next(desk.artifacts.glob("drills/*/events.ndjson"))
        while b'"action": "reload"' not in events.read_bytes():
            assert process.poll() is None
        yield process


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_drill_in_order_with_journal_and_report(env_desk: Desk, number: signal.Signals) -> None:
    with begun(env_desk) as process:
        process.send_signal(number)
        output, _ = process.communicate(timeout=60)
    assert process.returncode == 12, output
    (entry,) = env_desk.journal()
    assert entry["result"] == "interrupted"
    assert number.name in next(step["reason"] for step in entry["steps"] if step["id"] == "disable_dual_write")
    assert len(env_desk.found_reports()) == 1
    assert env_desk.env_file.read_bytes() == AFTER


def test_a_killed_drill_is_entered_as_interrupted_by_the_next_run(env_desk: Desk) -> None:
    with begun(env_desk) as process:
        process.kill()
    assert not list(env_desk.journal())
    env_desk.env_file.write_bytes(ENV)  # a dry-run with changes to make waits for no observation
    ran = env_desk.drill()
    assert [entry["result"] for entry in ran.entries] == ["interrupted", "failure"]
    assert ran.entries[0]["exit_code"] == 12
    assert ran.entries[0]["drill_id"] in ran.reason("preflight.window")
    assert len(env_desk.drill().entries) == 3


def test_a_plugin_that_would_repeat_steps_is_refused(env_desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "pytest_rerunfailures.py").write_text("")
    ran = env_desk.drill("-p", "pytest_rerunfailures", "--apply", PYTHONPATH=str(tmp_path))
    ran.expect(4)
    assert not ran.entries
    assert env_desk.env_file.read_bytes() == ENV


def test_stopping_at_the_first_failure_does_not_keep_the_flags_from_being_written(env_desk: Desk) -> None:
    ran = env_desk.drill("--apply", "-x", DRILL_SERVICE__ON_BOOT_FAILURE="leave")
    ran.expect(1)
    assert env_desk.env_file.read_bytes() == AFTER

"""Events are on the disk before the side effect, and a killed drill is told from a running one."""

import json
import multiprocessing
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from drill.envfile.replace import ACTION
from drill.errors import LockHeld
from drill.events import EventLog, events_path
from drill.journal.closing import close_unfinished
from drill.journal.entry import journal_entry
from drill.journal.log import append, journal_path
from drill.journal.schema import schema_errors
from drill.journal.verify import verify
from drill.record import Entry, Evidence
from drill.secret import Secret
from drill.unfinished import find_unfinished, read_events
from drill.verdict import Outcome, Verdict
from tests.evidence.records import green

KILLED_DRILL = """
import os, sys, signal
from pathlib import Path
from drill.envfile.replace import ACTION
from drill.events import EventLog, events_path
from tests.evidence.records import green
record = green(sys.argv[2])
log = EventLog(events_path(Path(sys.argv[1]), record.drill_id).parent)
log.start(record)
log.row(record.entries["slo.latency"])
if sys.argv[3] == "written":
    log.intent("set_flags", **record.changes)
    log.intent(ACTION, file=".env.staging")
print("ready", flush=True)
signal.pause() if sys.argv[4] == "wait" else os.kill(os.getpid(), signal.SIGKILL)
"""


def run_drill(artifacts: Path, drill_id: str, written: str = "written", end: str = "kill") -> "subprocess.Popen[bytes]":
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", KILLED_DRILL, str(artifacts), drill_id, written, end]
    process = subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    if end == "kill":
        process.wait()
        process.stdout.close()
    return process


def journal_lines(artifacts: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in journal_path(artifacts).read_text().splitlines()]


def test_each_event_is_one_line_with_its_number_time_and_facts(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "d1")
    log.start(green())
    log.intent(ACTION, path=".env\n\x1b[31m", keys=3)
    log.done(ACTION, took_s=0.004, ratio=float("nan"), note=None)
    log.close()
    events = read_events(log.path)
    assert [(event.seq, event.kind) for event in events] == [(0, "start"), (1, "intent"), (2, "done"), (3, "closed")]
    assert events[0].facts["operator"] == "alice"
    assert events[1].facts == {"action": ACTION, "path": ".env\n\x1b[31m", "keys": 3}
    assert events[2].facts["ratio"] == "nan"
    raw = log.path.read_bytes()
    assert raw.count(b"\n") == 4
    assert b"\x1b" not in raw
    assert events[0].t.endswith("Z")


def test_an_event_is_readable_by_others_before_the_call_returns(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "d1")
    log.intent("purge-delete", batch=1)
    assert [event.kind for event in read_events(log.path)] == ["intent"]


def test_events_are_for_the_operators_eyes_only(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "drills" / "d1")
    log.event("step")
    assert stat.S_IMODE(log.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(log.path.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize("fact", [Secret("hunter2"), ["list"], b"bytes", {"a": 1}])
def test_only_scalars_are_facts_and_a_secret_never_is(tmp_path: Path, fact: Any) -> None:
    log = EventLog(tmp_path / "d1")
    with pytest.raises(TypeError, match="event fact 'what'") as refusal:
        log.event("step", what=fact)
    assert "hunter2" not in str(refusal.value)
    assert log.path.read_bytes() == b""


def test_facts_cannot_take_the_place_of_the_events_own_fields(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="must not be named seq"):
        EventLog(tmp_path / "d1").event("step", seq=7)


def test_a_second_writer_is_refused_while_the_first_lives(tmp_path: Path) -> None:
    first = EventLog(tmp_path / "d1")
    with pytest.raises(LockHeld):
        EventLog(tmp_path / "d1")
    first.close()
    EventLog(tmp_path / "d1").close()


def test_a_torn_last_event_is_passed_over_and_closed_by_the_next(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "d1")
    log.event("one")
    log.close()
    with log.path.open("ab") as file:
        file.write(b'{"seq": 2, "t": "20')
    again = EventLog(tmp_path / "d1")
    again.event("three")
    assert [event.kind for event in read_events(log.path)] == ["one", "closed", "three"]


def test_a_disk_that_takes_nothing_does_not_stop_the_drill_and_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    log = EventLog(tmp_path / "file" / "d1")
    log.intent(ACTION)
    log.close()
    assert log.degraded == "file is a file, expected a directory; move it away"


def test_a_full_disk_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = EventLog(tmp_path / "d1")

    def full(fd: int, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("drill.events.os.write", full)
    log.intent(ACTION)
    assert log.degraded == "No space left on device"


def test_a_running_drill_is_not_taken_for_a_killed_one(tmp_path: Path) -> None:
    process = run_drill(tmp_path, "running", end="wait")
    try:
        assert find_unfinished(tmp_path) == []
        assert close_unfinished(tmp_path) == []
        assert not journal_path(tmp_path).exists()
    finally:
        process.kill()
        process.communicate()
    assert [drill.drill_id for drill in find_unfinished(tmp_path)] == ["running"]


@pytest.mark.parametrize(("written", "changed"), [("written", True), ("nothing", False)])
def test_a_killed_drill_gets_exactly_one_valid_line_with_what_it_had_found(
    tmp_path: Path, written: str, changed: bool
) -> None:
    run_drill(tmp_path, "killed-1", written)
    (drill,) = find_unfinished(tmp_path)
    assert drill.flags_may_be_written is changed
    assert len(close_unfinished(tmp_path)) == 1
    assert close_unfinished(tmp_path) == []
    (entry,) = journal_lines(tmp_path)
    assert schema_errors(entry) == []
    assert (entry["drill_id"], entry["result"], entry["exit_code"]) == ("killed-1", "interrupted", 12)
    assert (entry["operator"], entry["env_file"], entry["apply"]) == ("alice", ".env.staging", True)
    assert entry["timestamp"] == "2025-10-21T14:50:00Z"
    assert bool(entry["changes"]) is changed
    verdicts = {check["id"]: check["verdict"] for check in entry["checks"]}
    assert verdicts["slo.latency"] == "pass"
    assert verdicts["slo.errors"] == "not_run"


def test_a_drill_killed_between_its_line_and_its_last_event_gets_no_second_line(tmp_path: Path) -> None:
    run_drill(tmp_path, "killed-1")
    entry = close_unfinished(tmp_path)[0]
    events = events_path(tmp_path, "killed-1")
    events.write_bytes(b"".join(events.read_bytes().splitlines(keepends=True)[:-1]))
    assert len(find_unfinished(tmp_path)) == 1
    assert close_unfinished(tmp_path) == []
    assert find_unfinished(tmp_path) == []
    assert [line["drill_id"] for line in journal_lines(tmp_path)] == [entry["drill_id"]]


def test_a_killed_drill_whose_line_was_torn_gets_a_whole_one(tmp_path: Path) -> None:
    run_drill(tmp_path, "killed")
    path = journal_path(tmp_path)
    line = append(path, journal_entry(green("killed")))
    path.write_text(line[:-200])
    (entry,) = close_unfinished(tmp_path)
    assert (entry["drill_id"], entry["result"]) == ("killed", "interrupted")
    result = verify(path)
    assert (result.ok, result.entries, result.torn) == (True, 1, 1)


def test_a_drill_killed_in_its_purge_tells_how_many_documents_are_gone_for_certain(tmp_path: Path) -> None:
    log = EventLog(events_path(tmp_path, "killed").parent)
    log.start(green("killed"))
    for documents in (500, 120):
        log.event("purge_delete", tenant="default")
        log.event("purge_deleted", tenant="default", documents=documents)
    log.event("purge_delete", tenant="default")
    assert "purge_delete" in log.kinds
    os.close(log._fd)  # as a kill does
    (entry,) = close_unfinished(tmp_path)
    assert entry["purge"]["purged"] == 620  # type: ignore[index,call-overload]


def test_two_sessions_closing_at_once_write_each_line_once(tmp_path: Path) -> None:
    names = [f"killed-{number}" for number in range(3)]
    for name in names:
        run_drill(tmp_path, name)
    with multiprocessing.get_context("fork").Pool(3) as pool:
        pool.map(close_unfinished, [tmp_path] * 6)
    assert sorted(line["drill_id"] for line in journal_lines(tmp_path)) == names
    assert verify(journal_path(tmp_path), schema=True).ok


def test_a_closed_drill_and_a_foreign_folder_are_no_killed_drills(tmp_path: Path) -> None:
    log = EventLog(events_path(tmp_path, "done").parent)
    log.start(green("done"))
    log.row(Entry("slo.errors", Evidence(Verdict.PASS, "none"), Outcome.NO_CHANGE, 1.0))
    log.close()
    events_path(tmp_path, "empty").parent.mkdir()
    events_path(tmp_path, "empty").write_bytes(b"")
    events_path(tmp_path, "noise").parent.mkdir()
    events_path(tmp_path, "noise").write_bytes(b"\0" * 100)
    assert find_unfinished(tmp_path) == []


def test_the_lock_dies_with_the_process(tmp_path: Path) -> None:
    process = run_drill(tmp_path, "d1", end="wait")
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert len(find_unfinished(tmp_path)) == 1


def test_an_append_only_journal_keeps_older_lines_when_a_killed_drill_is_entered(tmp_path: Path) -> None:
    from drill.journal.entry import journal_entry

    first = append(journal_path(tmp_path), journal_entry(green("first")))
    run_drill(tmp_path, "killed-1")
    close_unfinished(tmp_path)
    assert journal_path(tmp_path).read_text().splitlines()[0] == first
    assert verify(journal_path(tmp_path)).ok

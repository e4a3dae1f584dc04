"""The journal: one valid line per drill, chained, whatever happens to the file."""

import io
import json
import multiprocessing
import os
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from drill.__main__ import main
from drill.journal import lock as lock_module
from drill.journal.entry import GENESIS, journal_entry
from drill.journal.log import append, journal_head, journal_path
from drill.journal.rescue import adopt_rescued, append_or_rescue
from drill.journal.schema import schema, schema_errors
from drill.journal.verify import verify
from drill.record import CHECK_IDS, STEP_IDS, Evidence
from drill.verdict import EXIT_CODES, Outcome, Result, Verdict
from tests.evidence.records import green, leave_events, with_result

FIRST_EIGHT = {
    "timestamp": str,
    "operator": str,
    "env_file": str,
    "apply": bool,
    "result": str,
    "duration_s": float,
    "changes": dict,
    "notes": str,
}
THEN = [
    *("schema", "drill_id", "env_id", "exit_code", "steps", "checks", "time_to_safety_s", "downtime_s"),
    *("purge", "restored", "report", "prev_sha256"),
]


def write(path: Path, count: int) -> list[str]:
    return [append(path, journal_entry(green(f"drill-{number}"))) for number in range(count)]


@pytest.mark.parametrize("result", list(Result))
def test_the_line_of_every_result_is_valid_and_has_its_exit_code(result: Result) -> None:
    entry = json.loads(json.dumps(journal_entry(with_result(result))))
    assert schema_errors(entry) == []
    assert (entry["result"], entry["exit_code"]) == (result, EXIT_CODES[result])


def test_the_first_eight_fields_have_their_order_and_types() -> None:
    entry = json.loads(json.dumps(journal_entry(green())))
    assert list(entry) == [*FIRST_EIGHT, *THEN]
    assert {name: type(entry[name]) for name in FIRST_EIGHT} == FIRST_EIGHT
    assert entry["timestamp"] == "2025-10-21T14:50:00Z"


def test_steps_and_checks_stand_in_the_order_of_the_runbook_with_their_fields_in_order() -> None:
    entry: Any = journal_entry(green())
    assert [step["id"] for step in entry["steps"]] == list(STEP_IDS)
    assert [check["id"] for check in entry["checks"]] == list(CHECK_IDS)
    assert list(entry["steps"][0]) == ["id", "outcome", "verdict", "duration_s", "reason"]
    assert list(entry["checks"][0]) == ["id", "verdict", "value", "op", "threshold", "samples", "window_s", "reason"]
    assert list(entry["purge"]) == ["orphans", "stale", "missing", "purged", "deferred"]


def test_a_line_that_was_written_before_a_check_was_added_stays_valid() -> None:
    """Journals outlive versions; a check that was always there must not be missing, nor any be there twice."""
    entry: Any = journal_entry(green())

    def without(row: str) -> list[str]:
        return schema_errors({**entry, "checks": [check for check in entry["checks"] if check["id"] != row]})

    assert without("post.faiss") == without("post.environment") == []
    for row in ("preflight.faiss", "post.backend", "reopen.shadow_read", "reopen.dual_write"):
        assert without(row) != [], row
    for row in ("post.environment", "post.faiss", "reopen.dual_write"):
        again = [check for check in entry["checks"] if check["id"] == row]
        assert schema_errors({**entry, "checks": entry["checks"] + again}) != [], row


def test_the_reopen_step_is_the_worst_of_its_rungs() -> None:
    record = green()
    entry: Any = journal_entry(record)
    assert (entry["steps"][-1]["verdict"], entry["steps"][-1]["outcome"]) == ("not_run", "not_run")
    shadow = record.entries["reopen.shadow_read"]
    shadow.evidence, shadow.outcome = Evidence(Verdict.FAIL, "agreement too low", 0.4, ">=", 0.9), Outcome.APPLIED
    reopened: Any = journal_entry(record)
    assert (reopened["steps"][-1]["verdict"], reopened["steps"][-1]["outcome"]) == ("fail", "applied")


def test_numbers_that_json_lacks_stay_visible_and_the_line_stays_valid() -> None:
    record = green()
    record.duration_s = float("inf")
    record.entries["slo.errors"].evidence = Evidence(Verdict.FAIL, "", float("nan"), "<=", 0.01, 0, float("inf"))
    entry: Any = json.loads(json.dumps(journal_entry(record), allow_nan=False))
    assert schema_errors(entry) == []
    assert next(check["value"] for check in entry["checks"] if check["id"] == "slo.errors") == "nan"


@pytest.mark.parametrize(
    "change",
    [
        {"extra": 1},
        {"operator": "alice@example.org"},
        {"timestamp": "2025-10-21T14:50:00+02:00"},
        {"env_file": "/etc/service/.env"},
        {"apply": "false"},
        {"result": "ok"},
        {"exit_code": 1},
        {"changes": {"DATABASE_URL": "x"}},
        {"steps": []},
        {"checks": list(reversed(journal_entry(green())["checks"]))},  # type: ignore[arg-type]
        {"purge": {"orphans": -1, "stale": 0, "missing": 0, "purged": 0, "deferred": False}},
        {"prev_sha256": None},
        {"downtime_s": -0.1},
    ],
)
def test_the_schema_refuses_what_the_design_does_not_know(change: dict[str, object]) -> None:
    assert schema_errors({**journal_entry(green()), **change}) != []


def test_the_schema_requires_every_field_and_is_itself_valid() -> None:
    """All but the environment, which the lines of earlier releases do not have."""
    from jsonschema import Draft202012Validator

    Draft202012Validator.check_schema(schema())
    for name in journal_entry(green()):
        entry = journal_entry(green())
        del entry[name]
        assert (schema_errors(entry) == []) is (name == "env_id"), name
    assert schema_errors({**journal_entry(green()), "env_id": "/srv/app/.env"}) != []


def test_lines_are_chained_by_the_hash_of_the_line_before(tmp_path: Path) -> None:
    path = journal_path(tmp_path)
    lines = write(path, 3)
    assert path.read_text() == "".join(line + "\n" for line in lines)
    previous = [json.loads(line)["prev_sha256"] for line in lines]
    assert previous == [GENESIS, *(sha256(line.encode()).hexdigest() for line in lines[:2])]
    result = verify(path, schema=True)
    assert (result.ok, result.entries, result.torn, result.head) == (True, 3, 0, journal_head(path))


def test_a_line_is_ascii_whatever_the_record_holds(tmp_path: Path) -> None:
    record = green()
    record.notes = "\u00dcbung \u2028 \x1b[31m </script>"
    line = append(journal_path(tmp_path), journal_entry(record))
    assert line.isascii()
    assert line.isprintable()
    assert json.loads(line)["notes"] == record.notes


@pytest.mark.parametrize("tail", [b'{"timestamp": "2025-1', b"\0" * 5000, b"\0" * 200_000, b'{"timestamp": "\0\0\0"}'])
def test_a_torn_tail_is_kept_closed_with_a_newline_and_counted(tmp_path: Path, tail: bytes) -> None:
    path = journal_path(tmp_path)
    (first,) = write(path, 1)
    with path.open("ab") as file:
        file.write(tail)
    assert verify(path).open_tail
    line = append(path, journal_entry(green("after")))
    assert path.read_bytes() == first.encode() + b"\n" + tail + b"\n" + line.encode() + b"\n"
    assert json.loads(line)["prev_sha256"] == sha256(tail).hexdigest()
    result = verify(path, schema=True)
    assert (result.ok, result.entries, result.torn, result.open_tail) == (True, 2, 1, False)


def test_a_whole_last_line_without_its_newline_is_still_an_entry(tmp_path: Path) -> None:
    path = journal_path(tmp_path)
    write(path, 2)
    path.write_bytes(path.read_bytes()[:-1])
    write(path, 1)
    result = verify(path, schema=True)
    assert (result.ok, result.entries, result.torn) == (True, 3, 0)


def test_a_torn_line_that_looks_whole_is_found_at_the_end(tmp_path: Path) -> None:
    path = journal_path(tmp_path)
    (line,) = write(path, 1)
    path.write_text(line[:40] + line[80:] + "\n")
    assert (verify(path).entries, verify(path).torn) == (0, 1)


@pytest.mark.parametrize("edit", ["change", "remove", "insert", "swap"])
def test_a_journal_that_was_tampered_with_does_not_verify(tmp_path: Path, edit: str) -> None:
    path = journal_path(tmp_path)
    lines = write(path, 5)
    if edit == "change":
        lines[1] = lines[1].replace('"alice"', '"mallory"')
    elif edit == "remove":
        del lines[2]
    elif edit == "insert":
        lines.insert(2, lines[0])
    else:
        lines[1], lines[2] = lines[2], lines[1]
    path.write_text("".join(line + "\n" for line in lines))
    assert not verify(path).ok
    assert verify(path).broken[0] == (3 if edit != "swap" else 2)


def test_appending_does_not_read_the_whole_journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = journal_path(tmp_path)
    write(path, 300)
    read = 0
    pread = os.pread

    def counting(fd: int, size: int, offset: int) -> bytes:
        nonlocal read
        read += size
        return pread(fd, size, offset)

    monkeypatch.setattr(os, "pread", counting)
    append(path, journal_entry(green("last")))
    assert 0 < read < 200_000 < path.stat().st_size


def append_many(path: Path, worker: int) -> None:
    for number in range(25):
        append(path, journal_entry(green(f"drill-{worker}-{number}")))


def test_eight_processes_at_once_lose_nothing_and_never_interleave(tmp_path: Path) -> None:
    path = journal_path(tmp_path)
    fork = multiprocessing.get_context("fork")
    workers = [fork.Process(target=append_many, args=(path, worker)) for worker in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    ids = [json.loads(line)["drill_id"] for line in path.read_text().splitlines()]
    assert sorted(ids) == sorted(f"drill-{worker}-{number}" for worker in range(8) for number in range(25))
    result = verify(path, schema=False)
    assert (result.ok, result.entries, result.torn) == (True, 200, 0)


def test_a_short_write_is_completed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = journal_path(tmp_path)
    write_once = os.write
    monkeypatch.setattr("drill.events.os.write", lambda fd, data: write_once(fd, data[:100]))
    write(path, 2)
    assert verify(path, schema=True).entries == 2


def test_a_disk_that_fills_up_in_the_middle_leaves_a_torn_line_and_the_entry_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = journal_path(tmp_path / "artifacts")
    write(path, 1)
    write_once = os.write
    room = [1000]

    def full(fd: int, data: bytes) -> int:
        if not room[0]:
            raise OSError(28, "No space left on device")
        if not Path(f"/proc/self/fd/{fd}").readlink().is_relative_to(tmp_path / "artifacts"):
            return write_once(fd, data)
        room[0], allowed = 0, room[0]
        return write_once(fd, data[:allowed])

    monkeypatch.setattr("drill.events.os.write", full)
    stderr = io.StringIO()
    appended = append_or_rescue(path, journal_entry(green("full")), {"HOME": ""}, stderr)
    monkeypatch.undo()
    assert "No space left on device" in appended.problem
    assert json.loads(stderr.getvalue())["drill_id"] == "full"
    write(path, 1)
    result = verify(path)
    assert (result.ok, result.entries, result.torn) == (True, 2, 1)


@pytest.mark.parametrize("obstacle", ["journal is a directory", "artifacts is a file"])
def test_an_entry_that_cannot_be_written_goes_to_stderr_and_the_first_writable_place(
    tmp_path: Path, obstacle: str
) -> None:
    path = journal_path(tmp_path / "artifacts")
    if obstacle == "journal is a directory":
        path.mkdir(parents=True)
    else:
        path.parent.write_text("")
    stderr = io.StringIO()
    environ = {"XDG_STATE_HOME": str(tmp_path / "state")}
    appended = append_or_rescue(path, journal_entry(green()), environ, stderr)
    expected = path.parent if obstacle == "journal is a directory" else tmp_path / "state" / "rollback-drill"
    assert appended.path is not None
    assert appended.path.parent == expected
    assert path.name in appended.problem
    assert appended.path.read_text() == stderr.getvalue() == appended.line + "\n"
    assert verify(appended.path, schema=True).entries == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes into read-only directories")
def test_a_read_only_directory_is_no_reason_to_lose_the_entry(tmp_path: Path) -> None:
    folder = tmp_path / "artifacts"
    folder.mkdir(mode=0o500)
    appended = append_or_rescue(journal_path(folder), journal_entry(green()), {"HOME": str(tmp_path)}, io.StringIO())
    assert appended.path == tmp_path / ".local/state/rollback-drill" / f"rollback_drill_log.{green().drill_id}.ndjson"


def test_a_rescued_entry_never_follows_a_link_laid_out_for_it(tmp_path: Path) -> None:
    path = journal_path(tmp_path / "artifacts")
    path.mkdir(parents=True)
    victim = tmp_path / "victim"
    (path.parent / f"rollback_drill_log.{green().drill_id}.ndjson").symlink_to(victim)
    environ = {"XDG_STATE_HOME": str(tmp_path / "state")}
    appended = append_or_rescue(path, journal_entry(green()), environ, io.StringIO())
    assert not victim.exists()
    assert appended.path is not None
    assert appended.path.parent == tmp_path / "state" / "rollback-drill"


def rescued_beside(path: Path, drill_id: str) -> Path:
    """Leave a rescued entry beside the journal, and its events, as a drill that could not append it."""
    leave_events(path.parent, green(drill_id)).close()
    file = path.with_name(f"{path.stem}.{drill_id}{path.suffix}")
    file.write_text(json.dumps(journal_entry(green(drill_id))) + "\n")
    return file


def test_rescued_entries_are_entered_once_in_the_chain_and_their_files_removed(tmp_path: Path) -> None:
    path = journal_path(tmp_path)
    write(path, 1)
    files = [rescued_beside(path, name) for name in ("20251021T145000Z-000001", "20251021T145000Z-000002")]
    assert sorted(adopt_rescued(path)) == ["20251021T145000Z-000001", "20251021T145000Z-000002"]
    assert not any(file.exists() for file in files)
    assert adopt_rescued(path) == []
    result = verify(path, schema=True)
    assert (result.ok, result.entries, result.torn) == (True, 3, 0)


@pytest.mark.parametrize("whole", [True, False])
def test_a_rescued_entry_is_entered_if_the_journal_has_at_most_a_torn_line_of_it(tmp_path: Path, whole: bool) -> None:
    """After a failed fsync the whole line may stand there already; after a full disk a piece of it with its id."""
    path = journal_path(tmp_path)
    (first,) = write(path, 1)
    entry = journal_entry(green("20251021T145000Z-000001"))
    line = append(path, entry)
    if not whole:
        path.write_text(first + "\n" + line[:-100])
    rescued_beside(path, "20251021T145000Z-000001")
    adopt_rescued(path)
    result = verify(path, schema=True)
    assert (result.ok, result.entries, result.torn) == (True, 2, int(not whole))


@pytest.mark.parametrize("name", ["rollback_drill_log.1.ndjson", "rollback_drill_log.20251021T145000Z-000001.ndjson"])
def test_a_file_that_is_no_rescued_entry_is_left_alone(tmp_path: Path, name: str) -> None:
    path = journal_path(tmp_path)
    (line,) = write(path, 1)
    (tmp_path / name).write_text(line + "\n")
    (tmp_path / "rollback_drill_log.torn.ndjson").write_text(line[:50])
    assert adopt_rescued(path) == []
    assert len(list(tmp_path.iterdir())) == 3


def test_an_append_whose_fsync_fails_is_never_two_lines_and_never_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = journal_path(tmp_path)
    fsync = os.fsync

    def failing(fd: int) -> None:
        if Path(f"/proc/self/fd/{fd}").readlink() == path:
            raise OSError(5, "Input/output error")
        fsync(fd)

    write(path, 1)
    monkeypatch.setattr("drill.journal.log.os.fsync", failing)
    appended = append_or_rescue(path, journal_entry(green("20251021T145000Z-000001")), {}, io.StringIO())
    monkeypatch.undo()
    assert "Input/output error" in appended.problem
    assert appended.path == path.with_name("rollback_drill_log.20251021T145000Z-000001.ndjson")
    leave_events(path.parent, green("20251021T145000Z-000001")).close()
    adopt_rescued(path)
    result = verify(path, schema=True)
    assert (result.ok, result.entries, result.torn) == (True, 2, 0)
    assert not appended.path.exists()


def test_a_lock_that_is_never_given_up_costs_its_timeout_and_not_the_entry(tmp_path: Path) -> None:
    path = journal_path(tmp_path)
    with lock_module.locked(path), pytest.raises(lock_module.JournalBusyError), lock_module.locked(path, 0.05):
        pass


def test_a_journal_rotated_while_waiting_for_the_lock_is_opened_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = journal_path(tmp_path)
    write(path, 1)
    wait = lock_module._wait_for_lock
    rotations = iter([True])

    def rotate_first(fd: int, deadline: float) -> None:
        if next(rotations, False):
            path.rename(path.with_suffix(".1"))
        wait(fd, deadline)

    monkeypatch.setattr(lock_module, "_wait_for_lock", rotate_first)
    write(path, 1)
    assert verify(path).entries == 1
    assert verify(path.with_suffix(".1")).entries == 1


def test_verify_and_show_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = journal_path(tmp_path)
    record = green()
    record.notes = "\x1b[31mred"
    append(path, journal_entry(record))
    write(path, 2)
    assert main(["journal", "verify", "--schema", "--path", str(path)]) == 0
    assert capsys.readouterr().out.startswith("3 entries: chain holds; head ")
    assert main(["journal", "show", "--path", str(path)]) == 0
    table = capsys.readouterr().out
    assert len(table.splitlines()) == 4
    assert "\x1b" not in table
    assert "\\x1b[31mred" in table
    assert main(["journal", "show", "--json", "--last", "2", "--path", str(path)]) == 0
    assert capsys.readouterr().out.splitlines() == path.read_text().splitlines()[1:]
    path.write_text("".join(path.read_text().splitlines(keepends=True)[1:]))
    assert main(["journal", "verify", "--path", str(path)]) == 1
    assert "chain broken at 1 line [1]" in capsys.readouterr().out


@pytest.mark.parametrize("argv", [[], ["journal"], ["journal", "verify", "--path", "does-not-exist"], ["nonsense"]])
def test_wrong_usage_is_exit_4_with_one_line(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    try:
        code = main(argv)
    except SystemExit as error:
        code = error.code  # type: ignore[assignment]
    assert code == 4
    assert "Traceback" not in capsys.readouterr().err

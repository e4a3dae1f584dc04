"""A rescued line comes into the journal only if its drill's own events tell it, or somebody says so who looked."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from drill.__main__ import main
from drill.journal.entry import JournalEntry, journal_entry
from drill.journal.log import append, dump, has_line, journal_path
from drill.journal.rescue import adopt_rescued
from drill.journal.told import digest_of
from drill.journal.verify import verify
from drill.record import DrillRecord, Evidence
from drill.unfinished import LINE
from drill.verdict import Verdict
from tests.evidence.records import green, leave_events

ID = "20251021T145000Z-00000a"
ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")


def red() -> DrillRecord:
    record = green(ID)
    record.entries["slo.latency"].evidence = Evidence(Verdict.FAIL, "above the objective", 612.4, "<=", 500, 3120)
    return record


def leave(artifacts: Path, entry: JournalEntry) -> Path:
    file = artifacts / f"rollback_drill_log.{ID}.ndjson"
    file.write_text(dump(entry) + "\n")
    return file


def test_a_line_that_its_events_tell_is_entered(tmp_path: Path) -> None:
    """With its digest among them and without, as where the disk was full by then: the control of what follows."""
    for noted in (True, False):
        artifacts = tmp_path / str(noted)
        events, entry = leave_events(artifacts, green(ID)), journal_entry(green(ID))
        if noted:
            events.event(LINE, sha256=digest_of(entry))
        events.close()
        file, passed_over = leave(artifacts, entry), list[str]()
        assert adopt_rescued(journal_path(artifacts), passed_over) == [ID]
        assert passed_over == []
        assert has_line(journal_path(artifacts), ID)
        assert not file.exists()


def test_a_red_line_needs_no_more_than_the_beginning_of_its_events(tmp_path: Path) -> None:
    """A disk that filled up in the middle costs no line of a drill that was not green."""
    events = leave_events(tmp_path, red())
    events.path.write_text("".join(events.path.read_text().splitlines(keepends=True)[:3]))
    leave(tmp_path, journal_entry(red()))
    assert adopt_rescued(journal_path(tmp_path)) == [ID]


Plant = Callable[[Path], object]


def events_of(record: DrillRecord, **digest: str) -> Plant:
    def left(artifacts: Path) -> None:
        events = leave_events(artifacts, record)
        if digest:
            events.event(LINE, **digest)
        events.close()

    return left


def killed(artifacts: Path) -> None:
    """Leave the events of a drill of which only the first rows were green."""
    path = leave_events(artifacts, green(ID)).path
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:4]))


def linked(artifacts: Path) -> None:
    leave_events(artifacts / "elsewhere", green(ID)).close()
    (artifacts / "drills").symlink_to(artifacts / "elsewhere" / "drills")


def strangers(artifacts: Path) -> None:
    os.chown(leave_events(artifacts, green(ID)).path, 12345, 12345)


PLANTED: dict[str, tuple[Plant, str]] = {
    "no events": (lambda _: None, "events cannot be read"),
    "another environment": (events_of(replace(green(ID), env_id="f" * 16)), "of another environment"),
    "an environment that is not noted": (events_of(replace(green(ID), env_id="")), "of another environment"),
    "a dry-run": (events_of(green(ID, apply=False)), "of another mode"),
    "a failure": (events_of(red()), "do not tell its result"),
    "a killed drill": (killed, "do not tell its result"),
    "another line": (events_of(green(ID), sha256=digest_of(journal_entry(red()))), "not the line that its events note"),
    "a symlink to the events of another": (linked, "drills is a symlink"),
}


@pytest.mark.parametrize("how", PLANTED)
def test_a_success_that_its_events_do_not_tell_is_left_and_named(tmp_path: Path, how: str) -> None:
    """Nothing is entered or removed; one line says why, and how somebody who looked at it enters it."""
    plant, why = PLANTED[how]
    journal, passed_over = journal_path(tmp_path), list[str]()
    append(journal, journal_entry(green("before")))
    plant(tmp_path)
    file = leave(tmp_path, journal_entry(green(ID)))
    assert adopt_rescued(journal, passed_over) == []
    assert not has_line(journal, ID)
    (line,) = passed_over
    assert line.startswith(f"{file.name} was not entered into the journal (")
    assert why in line
    assert "drill journal enter" in line
    assert main(["journal", "enter", str(file), "--path", str(journal)]) == 0
    assert not file.exists()
    assert (verify(journal, schema=True).ok, verify(journal).entries) == (True, 2)


@ROOT_ONLY
def test_the_events_and_the_line_of_somebody_else_tell_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also not when somebody says so: whose file it is, is asked of the command, too."""
    strangers(tmp_path)
    file, passed_over = leave(tmp_path, journal_entry(green(ID))), list[str]()
    assert adopt_rescued(journal_path(tmp_path), passed_over) == []
    os.chown(file, 12345, 12345)
    assert adopt_rescued(journal_path(tmp_path), passed_over) == []
    assert ["12345" in line for line in passed_over] == [True, True]
    assert main(["journal", "enter", str(file), "--path", str(journal_path(tmp_path))]) == 4
    assert "belongs to user 12345" in capsys.readouterr().err
    assert file.exists()
    assert not journal_path(tmp_path).exists()


def test_a_line_that_is_there_is_not_entered_again_by_hand(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It may be another one: a later drill wrote that it was killed. The file stays."""
    journal = journal_path(tmp_path)
    append(journal, journal_entry(green(ID)))
    file = leave(tmp_path, journal_entry(green(ID)))
    assert main(["journal", "enter", str(file), "--path", str(journal)]) == 4
    assert "has a line of this drill already" in capsys.readouterr().err
    file.write_text("{}")
    assert main(["journal", "enter", str(file), "--path", str(journal)]) == 4
    assert "expected a rescued line" in capsys.readouterr().err
    assert main(["journal", "enter", str(tmp_path / "none"), "--path", str(journal)]) == 4
    assert file.exists()
    assert verify(journal).entries == 1


def test_a_journal_that_was_rotated_is_no_rescued_line(tmp_path: Path) -> None:
    """It is left alone without a word."""
    path, passed_over = journal_path(tmp_path), list[str]()
    append(path, journal_entry(green(ID)))
    for name in ("1", "20251021", "20251021T145000Z"):
        path.with_name(f"{path.stem}.{name}{path.suffix}").write_bytes(path.read_bytes() * 2)
    assert adopt_rescued(path, passed_over) == []
    assert passed_over == []

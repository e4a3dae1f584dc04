"""Names that others chose never reach a terminal with anything in them that it obeys."""

import json
from pathlib import Path

import pytest

from drill.__main__ import main
from drill.events import EventLog
from drill.journal.entry import journal_entry
from drill.printable import show
from drill.purge.progress import Ticker
from tests.evidence.records import green

EVIL = "\x1b[2J\x1b]52;c;ZXZpbA==\x07\u202e\x9b31m\x7f"


def assert_harmless(text: str) -> None:
    assert all(line.isprintable() for line in text.split("\n")), ascii(text)


def purged(folder: Path, env_file: str) -> None:
    log = EventLog(folder)
    log.event("purge_start", drill_id=folder.name, action=f"run{EVIL}", env_file=env_file)
    log.event("purge_end", status=f"planned{EVIL}", left=f"5{EVIL}")
    log.close()
    (folder / "quarantine").mkdir()


def test_purge_status_shows_names_of_others_and_obeys_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The name of a directory, of an env file, an action and an end; in the name of the artifacts directory, too."""
    artifacts = tmp_path / f"artifacts{EVIL}"
    purged(artifacts / "drills" / f"drill{EVIL}", f".env{EVIL}")
    (artifacts / "drills" / f"drill{EVIL}" / "quarantine" / f"part-1{EVIL}.parquet").write_bytes(b"x")
    assert main(["purge", "status", "--artifacts-dir", str(artifacts)]) == 0
    shown = capsys.readouterr().out
    assert_harmless(shown)
    for part in (r"drill\x1b[2J", r".env\x1b[2J", r"planned\x1b[2J", r"5\x1b[2J"):
        assert part in shown
    assert main(["purge", "status", "--artifacts-dir", str(tmp_path / EVIL)]) == 0
    assert_harmless(capsys.readouterr().out)


@pytest.mark.parametrize("extra", [[], ["--json"]])
def test_journal_show_shows_lines_of_others_and_obeys_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], extra: list[str]
) -> None:
    """As a table and as they are: JSON may hold DEL and text beyond ASCII raw."""
    entry = {**journal_entry(green()), "operator": f"eve{EVIL}", "notes": EVIL, "env_file": EVIL, "result": EVIL}
    path = tmp_path / "journal"
    path.write_bytes(
        json.dumps(entry, ensure_ascii=False).replace("\x1b", "\\u001b").replace("\x07", "").encode() + b"\n"
    )
    assert main(["journal", "show", "--path", str(path), *extra]) == 0
    shown = capsys.readouterr().out
    assert_harmless(shown)
    assert "eve" in shown


def test_history_and_errors_name_files_of_others_and_obey_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file that is not there, and the env file of an overdue drill."""
    assert main(["journal", "verify", "--path", str(tmp_path / EVIL)]) == 4
    assert_harmless(capsys.readouterr().err)
    path = tmp_path / "rollback_drill_log.ndjson"
    path.write_text(json.dumps({**journal_entry(green()), "env_file": f".env{EVIL}"}) + "\n")
    reports = tmp_path / f"reports{EVIL}"
    assert main(["history", "--artifacts-dir", str(tmp_path), "--reports-dir", str(reports)]) == 1
    shown = capsys.readouterr().out
    assert_harmless(shown)
    assert "rehearse the rollback" in shown


def test_a_line_of_progress_obeys_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """And a long line is shown whole."""
    import sys

    ticker = Ticker(sys.stdout, clock=iter([0.0, 99.0]).__next__)
    ticker(f"tenant {EVIL}")
    show("x" * 9000 + EVIL)
    shown = capsys.readouterr().out
    assert_harmless(shown)
    assert "x" * 9000 in shown

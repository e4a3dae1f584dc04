"""Building the page: atomically, at the end of every drill, and on the command line."""

import os
from pathlib import Path

import pytest

from drill.__main__ import main
from drill.history import write
from drill.history.write import HISTORY_FILE, build, build_at_end
from drill.journal.log import journal_path
from drill.verdict import Result
from tests.history.journals import NOW, Ago, write_journal


def test_a_reader_sees_the_old_page_or_the_new_one_and_no_draft_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = write_journal(tmp_path / "j", Ago(2), Ago(1))
    page, _ = build(journal, tmp_path / "reports", 90, NOW)
    before = page.read_bytes()

    def fails(source: str, target: str, **_: int) -> None:
        assert (page.parent / target).read_bytes() == before
        assert (page.parent / source).read_bytes() == before
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("drill.plain_file.os.rename", fails)
    with pytest.raises(OSError, match="No space"):
        build(journal, tmp_path / "reports", 90, NOW)
    assert [path.name for path in page.parent.iterdir()] == [HISTORY_FILE]
    assert page.read_bytes() == before


def test_at_the_end_of_a_drill_any_trouble_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "could not be written (No such file" in build_at_end(tmp_path / "none", tmp_path, 90)
    journal = write_journal(tmp_path / "j", Ago(1))
    assert build_at_end(journal, tmp_path, 90) == f"history: {tmp_path / HISTORY_FILE}"
    occupied = tmp_path / "file"
    occupied.touch()
    assert "could not be written" in build_at_end(journal, occupied, 90)
    monkeypatch.setattr("drill.history.write.read_history", lambda _path: 1 / 0)
    assert "could not be built (ZeroDivisionError)" in build_at_end(journal, tmp_path, 90)
    monkeypatch.setattr(write, "MAX_BYTES_AT_END", 10)
    assert "too long" in build_at_end(journal, tmp_path, 90)


def run(tmp_path: Path, *more: str) -> int:
    where = ["--artifacts-dir", str(tmp_path / "artifacts"), "--reports-dir", str(tmp_path / "reports")]
    return main(["history", *where, *more])


def test_the_command_builds_the_page_and_says_what_it_tells(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_journal(journal_path(tmp_path / "artifacts"), Ago(2), Ago(1))
    config = tmp_path / "mine.toml"
    config.write_text("[history]\nmax_age_days = 99999\n")
    assert run(tmp_path, "--drill-config", str(config)) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'reports' / HISTORY_FILE}: 2 drills of 1 env file\n"
    assert (tmp_path / "reports" / HISTORY_FILE).stat().st_mode & 0o777 == 0o666 & ~_umask()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_an_overdue_env_file_and_a_broken_chain_are_exit_code_1_with_a_line_each(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "drill.toml").write_text("[history]\nmax_age_days = 0\n")
    journal = write_journal(
        journal_path(tmp_path / "artifacts"), Ago(2), Ago(1), Ago(3, "\x1b[31m", result=Result.REFUSED)
    )
    journal.write_text("".join(journal.read_text().splitlines(keepends=True)[1:]))
    assert run(tmp_path) == 1
    _, one, other, chain = capsys.readouterr().out.splitlines()
    assert "'.env.staging': last successful drill" in one
    assert "'\\x1b[31m': no successful drill yet" in other
    assert "chain is broken" in chain


@pytest.mark.parametrize("toml", ["[history]\nmax_age = 1\n", "[history]\nmax_age_days = -1\n", "[history\n"])
def test_a_wrong_configuration_and_a_missing_journal_are_exit_4_with_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, toml: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(tmp_path) == 4
    (tmp_path / "drill.toml").write_text(toml)
    write_journal(journal_path(tmp_path / "artifacts"), Ago(2))
    assert run(tmp_path) == 4
    assert len(capsys.readouterr().err.splitlines()) == 2

"""Reading the journal of all drills: whole, in bounded memory, and silent about nothing."""

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from drill.errors import NOT_THERE
from drill.history import past
from drill.history.page import render_history
from drill.history.past import parse, read_history
from drill.verdict import Result
from tests.history.journals import NOW, Ago, entry, write_entries, write_journal


def test_drills_are_listed_newest_first_whatever_order_their_lines_came_in(tmp_path: Path) -> None:
    journal = write_journal(tmp_path / "j", Ago(3), Ago(1), Ago(2))
    history = read_history(journal)
    assert [NOW - drill.at for drill in history.drills] == [timedelta(days=days) for days in (1, 2, 3)]
    assert (history.total, history.unreadable, history.chain.ok) == (3, 0, True)


def test_a_rehearsal_and_a_performed_rollback_are_told_apart(tmp_path: Path) -> None:
    journal = write_journal(
        tmp_path / "j",
        *(Ago(40), Ago(30, apply=False), Ago(20, result=Result.FAILURE), Ago(10, apply=False, result=Result.REFUSED)),
    )
    (env,) = read_history(journal).envs
    assert env.drills == 4
    assert env.performed == NOW - timedelta(days=40)
    assert env.rehearsed == env.succeeded == NOW - timedelta(days=30)
    assert env.age_days(NOW) == 30


@pytest.mark.parametrize(("limit", "stale"), [(9, ["old", "never"]), (100, ["never"]), (10, ["never"])])
def test_an_env_file_is_overdue_when_its_last_success_is_older_than_the_limit_or_never_was(
    tmp_path: Path, limit: float, stale: list[str]
) -> None:
    journal = write_journal(
        tmp_path / "j", Ago(10, "old"), Ago(2, "old", result=Result.FAILURE), Ago(3, "never", result=Result.FAILURE)
    )
    assert [env.name for env in read_history(journal).stale(limit, NOW)] == stale


def test_a_mistyped_env_file_is_a_drill_and_no_environment(tmp_path: Path) -> None:
    """One that was refused for what stands in it is an environment, and so is one that is gone since."""
    gone = f".env {NOT_THERE}; check --env-file"
    journal = write_entries(
        tmp_path / "j",
        [
            refused(Ago(3, ".env.prduction", env_id="1" * 16), gone),
            refused(Ago(2, ".env.broken", env_id="2" * 16), "line 3 does not parse"),
            entry(Ago(9, ".env.moved", env_id="3" * 16)),
            refused(Ago(1, ".env.moved", env_id="3" * 16), gone),
        ],
    )
    history = read_history(journal)
    assert (history.total, len(history.drills)) == (4, 4)
    assert [env.name for env in history.envs] == [".env.moved", ".env.broken"]
    assert [env.name for env in history.stale(5, NOW)] == [".env.moved", ".env.broken"]
    assert ".env.prduction" in render_history(history, (), 10, NOW), "the drill itself stays in the table"


def refused(drill: Ago, why: str) -> dict[str, Any]:
    line = entry(replace(drill, result=Result.REFUSED))
    plan = next(check for check in line["checks"] if check["id"] == "preflight.env_file")
    plan["reason"] = why
    return line


TORN = [
    b'{"timestamp": "2026-0',
    b"\0" * 3_000_000,
    b"[1, 2]",
    b"null",
    b"7",
    b'{"timestamp": 5, "drill_id": "x", "env_file": "y"}',
    b'{"timestamp": "yesterday", "drill_id": "x", "env_file": "y"}',
    b'{"timestamp": "2026-01-01T00:00:00Z", "drill_id": "x", "env_file": 1}',
    b'{"timestamp": "2026-01-01T00:00:00Z", "env_file": "y"}',
    b"[" * 100_000,
    b"\xff\xfe",
    b"",
]


@pytest.mark.parametrize("torn", TORN, ids=range(len(TORN)))
def test_a_line_that_tells_of_no_drill_is_counted_once_and_the_others_are_read(tmp_path: Path, torn: bytes) -> None:
    journal = write_journal(tmp_path / "j", Ago(2), Ago(1))
    first, second = journal.read_bytes().splitlines()
    journal.write_bytes(first + b"\n" + torn + b"\n" + second + b"\n")
    history = read_history(journal)
    assert (history.total, history.unreadable) == (2, 1)
    assert history.chain.broken_total == 1


def test_a_torn_tail_is_counted(tmp_path: Path) -> None:
    journal = write_journal(tmp_path / "j", Ago(2), Ago(1))
    journal.write_bytes(journal.read_bytes()[:-400])
    history = read_history(journal)
    assert (history.total, history.unreadable) == (1, 1)


@pytest.mark.parametrize("value", [True, "5", None, [], {}, 10**400, float("nan")])
def test_a_value_of_the_wrong_type_is_unknown_and_never_a_measurement(value: object) -> None:
    line = {**entry(Ago(1)), "duration_s": value, "time_to_safety_s": value, "downtime_s": value}
    line["checks"] = [7, {"id": "slo.latency", "value": value, "threshold": value}]
    drill = parse(json.dumps(line).encode())
    assert drill is not None
    numbers = (drill.duration_s, drill.time_to_safety_s, drill.downtime_s, drill.p95_ms, drill.p95_limit_ms)
    assert numbers == (None,) * 5


def test_entries_without_checks_or_texts_are_still_drills() -> None:
    line = {"timestamp": "2026-01-01T00:00:00Z", "env_file": "e", "drill_id": "x", "notes": 5, "checks": {}}
    drill = parse(json.dumps(line).encode())
    assert drill is not None
    assert (drill.result, drill.notes, drill.report, drill.apply, drill.p95_ms) == ("", "", "", False, None)


def test_only_the_last_drills_are_kept_one_by_one_and_all_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(past, "MAX_DRILLS", 2)
    journal = write_journal(tmp_path / "j", *(Ago(days) for days in (5, 4, 3, 2)))
    history = read_history(journal)
    assert [(NOW - drill.at).days for drill in history.drills] == [2, 3]
    assert (history.total, history.envs[0].drills) == (4, 4)


def test_an_empty_journal_is_no_drill_and_a_missing_one_an_error(tmp_path: Path) -> None:
    assert read_history(write_entries(tmp_path / "j", [])).total == 0
    with pytest.raises(FileNotFoundError):
        read_history(tmp_path / "none")


def test_environments_of_one_shown_name_are_two_and_one_of_two_names_is_one(tmp_path: Path) -> None:
    """A drill from another working directory shows another name; the last one stands."""
    one, other = "1" * 16, "2" * 16
    journal = write_journal(
        tmp_path / "j",
        *(Ago(9, "a/.env", env_id=one), Ago(8, ".env", env_id=one), Ago(30, ".env", env_id=other)),
    )
    history = read_history(journal)
    assert [(env.name, env.drills) for env in history.envs] == [(".env (111111)", 2), (".env (222222)", 1)]
    assert [env.name for env in history.stale(10, NOW)] == [".env (222222)"]


def test_the_lines_of_earlier_releases_are_listed_and_not_overdue_once_their_name_is_known_better(
    tmp_path: Path,
) -> None:
    """They say no environment; alone, they count by name as ever."""
    old = write_journal(tmp_path / "old", Ago(30))
    assert [env.name for env in read_history(old).stale(10, NOW)] == [".env.staging"]
    both = write_journal(tmp_path / "both", Ago(30), Ago(2, env_id="1" * 16))
    history = read_history(both)
    assert history.stale(10, NOW) == []
    assert sorted(env.name for env in history.envs) == [
        ".env.staging (111111)",
        ".env.staging (environment not noted)",
    ]
    page = render_history(history, (), 10, NOW)
    assert page.count("known better since") == 1
    assert page.count("data-newest=") == 1

"""A plan holds as long as nothing has moved, and says what has."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from drill.errors import Refused, UsageError
from drill.plans import Plan, hold, load_plan, make_plan, moved_delta, save_plan

ENV = b"RETRIEVAL_BACKEND=pgvector\nAPI_KEY=s3cr3t-value\n"
CHANGES = {"RETRIEVAL_BACKEND": "faiss"}
URLS = ("http://a:1", "http://b:2")
DAY = 86_400.0
ENV_ID = "0123456789abcdef"


def plan(delta: dict[str, int] | None = None) -> Plan:
    return make_plan("20251021T145000Z-3f9a1c", ".env", ENV, CHANGES, URLS, delta, apply=False, env_id=ENV_ID)


def test_a_plan_comes_back_as_it_was_saved_and_holds_nothing_of_the_env_file(tmp_path: Path) -> None:
    made = plan({"orphans": 3, "stale": 2, "missing": 1})
    path = save_plan(tmp_path, made)
    assert load_plan(tmp_path, made.id) == made
    assert b"s3cr3t" not in path.read_bytes()
    assert plan().env_digest != made.env_digest, "two plans of one file must not show that it is the same"


def test_a_plan_holds_while_nothing_has_moved() -> None:
    hold(plan(), ENV_ID, ENV, CHANGES, tuple(reversed(URLS)), DAY)


@pytest.mark.parametrize(
    ("env", "changes", "urls", "words"),
    [
        (ENV + b"X=1\n", CHANGES, URLS, "env file"),
        (ENV, {}, URLS, "env file"),
        (ENV, CHANGES, URLS[:1], "instances"),
    ],
)
def test_what_has_moved_is_refused_by_name(
    env: bytes, changes: dict[str, str], urls: tuple[str, ...], words: str
) -> None:
    with pytest.raises(Refused, match=words):
        hold(plan(), ENV_ID, env, changes, urls, DAY)


@pytest.mark.parametrize("age", [timedelta(days=2), timedelta(hours=-2)])
def test_a_plan_that_is_too_old_or_from_the_future_is_refused(age: timedelta) -> None:
    created = (datetime.now(UTC) - age).isoformat()
    with pytest.raises(Refused, match="old"):
        hold(replace(plan(), created=created), ENV_ID, ENV, CHANGES, URLS, DAY)


@pytest.mark.parametrize(
    ("now", "said"),
    [
        ({"orphans": 1200, "stale": 20, "missing": 25}, ""),
        ({"orphans": 1201, "stale": 0, "missing": 5}, "1201 orphans, plan 20251021T145000Z-3f9a1c saw 1000"),
        ({"orphans": 799, "stale": 0, "missing": 5}, "799 orphans, plan 20251021T145000Z-3f9a1c saw 1000"),
        ({"orphans": 1000, "stale": 21, "missing": 5}, "21 stale, plan 20251021T145000Z-3f9a1c saw 0"),
        ({"orphans": None, "stale": None, "missing": None}, ""),
    ],
)
def test_a_delta_may_move_a_little_and_what_moves_more_is_said(now: dict[str, int | None], said: str) -> None:
    assert moved_delta(plan({"orphans": 1000, "stale": 0, "missing": 5}), now) == said


def test_a_plan_without_a_delta_has_none_that_moves() -> None:
    assert moved_delta(plan(), {"orphans": 9999}) == ""


@pytest.mark.parametrize("text", ["", "{", "[]", json.dumps({"id": "x"})])
def test_a_damaged_plan_is_one_clear_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "plans").mkdir()
    (tmp_path / "plans" / "x.json").write_text(text)
    with pytest.raises(UsageError, match="damaged"):
        load_plan(tmp_path, "x")


@pytest.mark.parametrize(
    "part",
    [
        {"created": "2025-10-21T14:50:00"},
        {"created": 5},
        {"salt": "no hex"},
        {"env_digest": "\u00e9"},
        {"env_digest": None},
        {"changes": ["RETRIEVAL_BACKEND"]},
        {"changes": {"RETRIEVAL_BACKEND": 1}},
        {"instances": 5},
        {"instances": [5, "http://a:1"]},
        {"delta": {"orphans": "3"}},
        {"delta": [3]},
    ],
    ids=str,
)
def test_a_part_of_another_kind_is_damage_before_anything_is_written(tmp_path: Path, part: dict[str, object]) -> None:
    """Also a date without a zone, which could not be compared with now."""
    made = plan({"orphans": 3, "stale": 2, "missing": 1})
    path = save_plan(tmp_path, made)
    path.write_text(json.dumps({**json.loads(path.read_text()), **part}))
    with pytest.raises(UsageError, match="damaged"):
        load_plan(tmp_path, made.id)


@pytest.mark.parametrize("name", ["absent", "../x", "", "a/b"])
def test_a_plan_that_is_not_there_is_one_clear_line(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="no such plan"):
        load_plan(tmp_path, name)


@pytest.mark.parametrize(
    ("made_for", "here"), [(ENV_ID, "fedcba9876543210"), ("", ENV_ID), ("", "")], ids=["another", "old", "unknown"]
)
def test_a_plan_of_another_environment_or_of_none_is_refused(made_for: str, here: str) -> None:
    """The env files may be the same to the last byte; what an earlier release made says no environment."""
    with pytest.raises(Refused, match=r"was made for .env \(environment .*\), this is"):
        hold(replace(plan(), env_id=made_for), here, ENV, CHANGES, URLS, DAY)


def test_the_plan_of_an_earlier_release_can_be_read(tmp_path: Path) -> None:
    path = save_plan(tmp_path, plan())
    content = json.loads(path.read_text())
    del content["env_id"]
    path.write_text(json.dumps(content))
    assert not load_plan(tmp_path, plan().id).env_id

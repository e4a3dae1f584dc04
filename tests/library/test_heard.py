"""What health requests have met: what is bad, what the rollback may heal, and what tells nothing."""

from pathlib import Path

import pytest

from drill.checks.heard import Heard, hear
from drill.http import BROKEN_OFF, Reply
from drill.limits import Apart
from drill.service import Health
from tests.library.world import MIGRATING, ROLLED_BACK, A, B, make_drill

GONE = Reply(404, "", b"", 0.25)
WELL, SICK, UNKNOWN = Reply(200, "", b"", 1.0), Reply(503, "", b"", 0.25), Reply(401, "", b"", 0.25)
SILENT = Reply(0, "", b"", 0.0, error="connection refused")
LIMITED = Reply(429, "", b"", 0.25, apart=Apart.LIMITED)


def heard(folder: Path, *replies: Reply, env: str = MIGRATING, apply: bool = False) -> Heard:
    """Return what instances come to of which all but those who are well are down."""
    found = [Health(url, reply) for url, reply in zip((A, B), replies, strict=False)]
    drill = make_drill(folder, env=env, apply=apply)
    return hear(drill, found, [health for health in found if health.reply is not WELL])


@pytest.mark.parametrize(
    ("replies", "apply", "problems", "mendable"),
    [
        ((WELL, WELL), False, 0, 0),
        ((WELL, SICK), False, 0, 1),
        ((WELL, SICK), True, 1, 0),  # it is judged after the rollback
        ((WELL, SILENT), False, 0, 1),
        ((SILENT, SILENT), False, 2, 0),  # nothing shows that these are the service's addresses
        ((WELL, UNKNOWN), False, 1, 0),
        ((SICK, UNKNOWN), False, 1, 1),
        ((WELL, LIMITED), False, 0, 0),
    ],
)
def test_before_the_rollback_what_it_may_heal_is_told_from_what_it_does_not_touch(
    tmp_path: Path, replies: tuple[Reply, ...], apply: bool, problems: int, mendable: int
) -> None:
    found = heard(tmp_path, *replies, apply=apply)
    assert (len(found.problems), len(found.mendable)) == (problems, mendable)
    assert found.sick == {url for url, one in zip((A, B), replies, strict=True) if one not in (WELL, LIMITED)}
    assert found.apart == [one for one in replies if one is LIMITED]


def test_a_file_that_is_rolled_back_already_has_nothing_left_to_heal(tmp_path: Path) -> None:
    found = heard(tmp_path, WELL, SICK, env=ROLLED_BACK)
    assert len(found.problems) == 1
    assert "--apply goes on" not in found.problems[0]


@pytest.mark.parametrize("apply", [False, True])
def test_the_last_problem_says_what_to_do_and_a_dry_run_that_apply_goes_on(tmp_path: Path, apply: bool) -> None:
    first, last = heard(tmp_path, SILENT, SILENT, apply=apply).problems
    assert first == "a:1/health: connection refused"
    assert "expected healthy instances; check [service] base_url and instances" in last
    assert ("--apply goes on all the same" in last) is not apply


@pytest.mark.parametrize(("replies", "named"), [((GONE, GONE), True), ((GONE, SILENT), False)])
def test_where_nobody_serves_the_path_its_key_is_named_first(
    tmp_path: Path, replies: tuple[Reply, Reply], named: bool
) -> None:
    assert ("check [service] health_path, base_url and instances" in heard(tmp_path, *replies).problems[-1]) == named


def test_how_long_each_answer_took_is_shown_in_milliseconds(tmp_path: Path) -> None:
    assert heard(tmp_path, WELL, SICK).detail == {"a:1 health ms": 1000.0, "b:2 health ms": 250.0}


@pytest.mark.parametrize(("seen", "mendable"), [("the certificate has expired", 0), ("", 1)])
def test_a_connection_that_breaks_off_may_be_tls_which_the_rollback_does_not_touch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seen: str, mendable: int
) -> None:
    monkeypatch.setattr("drill.tls.look", lambda *_: seen)
    found = heard(tmp_path, WELL, Reply(0, "", b"", 0.0, error=f"{BROKEN_OFF}: reset"))
    assert (len(found.mendable), len(found.problems)) == (mendable, 1 - mendable)
    assert (seen or BROKEN_OFF) in (*found.mendable, *found.problems)[0]

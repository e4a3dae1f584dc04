"""Whether a service turns its users away for their number, and whether the drill is why: at each bound."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from drill.checks.limited_users import users_limited
from drill.checks.slo import errors
from drill.context import Drill
from drill.verdict import Verdict
from tests.library.world import A, make_drill, probes, served, snapshot, window, with_probes


@pytest.fixture
def drill(tmp_path: Path) -> Drill:
    return make_drill(tmp_path, toml=f'[service]\ninstances = ["{A}"]\n')


def judge_429(drill: Drill, statuses: Mapping[str, float], *, own: int = 0, answered: int = 300) -> tuple[Verdict, str]:
    for _ in range(own):
        drill.limiter._limited.append((1.0, A))
    with_probes(drill, probes(answered))
    series = {f"http_requests_total{{status={status}}}": count for status, count in statuses.items()}
    seen = window([snapshot(A)], [snapshot(A, series)], probes(answered))
    return users_limited(drill, seen)


def test_a_service_that_turns_its_users_away_fails(drill: Drill) -> None:
    verdict, reason = judge_429(drill, {"200": 600, "429": 60})
    assert verdict is Verdict.FAIL
    assert "60 requests of users were answered 429" in reason
    with_probes(drill, probes(300))
    seen = served({"http_requests_total{code=200}": 300, "http_requests_total{code=429}": 60}, count=300)
    assert errors(drill, seen).verdict is Verdict.FAIL


@pytest.mark.parametrize(
    ("statuses", "own"), [({"200": 600, "429": 60}, 60), ({"200": 600}, 60), ({"200": 600, "429": 3}, 0), ({}, 0)]
)
def test_the_drill_s_own_refusals_and_a_few_are_no_fault(drill: Drill, statuses: dict[str, float], own: int) -> None:
    assert judge_429(drill, statuses, own=own)[0] is Verdict.PASS


@pytest.mark.parametrize("refused", [160, 360, 368])
def test_where_the_drill_may_have_taken_what_users_needed_nothing_is_concluded(drill: Drill, refused: int) -> None:
    """Of 300 probes that were answered; what is beyond them must be more than the limit for sure."""
    verdict, reason = judge_429(drill, {"200": 600, "429": refused}, own=60)
    assert verdict is Verdict.INCONCLUSIVE
    assert "lower [probe] rate" in reason


def test_where_more_users_were_refused_than_the_drill_was_answered_the_drill_is_not_why(drill: Drill) -> None:
    assert judge_429(drill, {"200": 600, "429": 960}, own=60)[0] is Verdict.FAIL

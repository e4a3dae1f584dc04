"""What the service limits, and what the drill itself could not do, is never a failure of the service."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from drill.availability import availability, downtime_s
from drill.baseline import by_probes
from drill.checks.chat import chat
from drill.checks.post import backend, endpoints, primary_latency
from drill.checks.preflight import service
from drill.checks.slo import errors, latency
from drill.checks.smoke import embed, search
from drill.checks.unmeasured import allow_more, stood_still
from drill.config import Probe
from drill.context import Drill
from drill.errors import CannotMeasure
from drill.limits import Apart, Told
from drill.load import window_rate
from drill.metrics.scrape import ScrapeSource
from drill.observation import Window
from drill.probe import ProbeResult
from drill.report.timeline import timeline_of
from drill.verdict import Verdict, worst
from tests.library.server import Answer, scripted
from tests.library.world import A, Probes, make_drill, probes, served, shared_client, with_probes

BUCKET = "retrieval_latency_seconds_bucket{backend=faiss,le=%s}"
QUICK: dict[str, float] = {BUCKET % "0.1": 300, BUCKET % "+Inf": 300}
SLOW_DOWN = Answer(b"slow down", 429, "text/plain", {"Retry-After": "1"})


@pytest.fixture
def drill(tmp_path: Path) -> Drill:
    return make_drill(tmp_path, toml=f'[service]\ninstances = ["{A}"]\n')


def limited(count: int, good: int, apart: Apart = Apart.LIMITED) -> Probes:
    """Return ``good`` answered probes and ``count`` that say nothing, over the window."""
    found = probes(count + good).found
    return Probes([replace(one, ok=n >= count, apart=apart if n < count else None) for n, one in enumerate(found)])


@pytest.mark.parametrize("apart", list(Apart))
def test_enough_answered_probes_pass_whatever_else_was_turned_away(drill: Drill, apart: Apart) -> None:
    with_probes(drill, limited(200, 300, apart))
    seen = served(QUICK, count=300)
    assert errors(drill, seen).verdict is Verdict.PASS
    assert latency(drill, seen).verdict is Verdict.PASS
    assert primary_latency(drill, seen).verdict is Verdict.PASS


def test_too_few_answers_are_inconclusive_and_say_how_to_allow_more(drill: Drill) -> None:
    with_probes(drill, limited(780, 40))
    for second in range(3):
        drill.limiter._limited.append((float(second), A))
    seen = served(QUICK, count=40)
    for evidence in (errors(drill, seen), latency(drill, seen), primary_latency(drill, seen)):
        assert evidence.verdict is Verdict.INCONCLUSIVE
        assert "the service limits the drill (HTTP 429, 3 times)" in evidence.reason
        assert "raise the limit for the drill's key" in evidence.reason
        assert "[probe] rate" in evidence.reason


def test_where_a_limit_was_met_the_advice_is_in_numbers_that_make_enough_probes(drill: Drill) -> None:
    with_probes(drill, limited(780, 40))
    for _ in range(60):
        drill.limiter.note(f"{A}/x", Told(200))
    drill.limiter._gates[A].since -= 6.0
    drill.limiter.note(f"{A}/x", Told(429, 54.0))
    told = allow_more(drill)
    found = re.search(
        r"set \[probe\] rate = ([\d.]+) and \[slo\] observe_s = (\d+): .* allows 60 requests a minute$", told
    )
    assert found, told
    rate, observe_s = float(found[1]), float(found[2])
    assert 0.4 <= rate <= 0.5
    config = replace(drill.config, probe=Probe(rate=rate), slo=replace(drill.config.slo, observe_s=observe_s))
    assert window_rate(config) <= 0.5, "half of what is let through, as the limiter holds it"
    assert window_rate(config) * observe_s >= config.slo.min_requests


def test_a_service_that_is_unavailable_is_not_said_to_limit_the_drill(drill: Drill) -> None:
    """503 with Retry-After: probes fail, users are not served either, and no limit could be raised."""
    drill.limiter._unavailable.append((1.0, 7.0))
    with_probes(drill, replace(probes(40), held=9))
    reason = latency(drill, served(QUICK, count=40)).reason
    assert "unavailable, to users too (HTTP 503, 1 time; it asked to wait 7 s)" in reason
    assert "limit" not in reason


@pytest.mark.parametrize("head", [{"Retry-After": "1"}, {"Retry-After": "1", "X-RateLimit-Remaining": "0"}])
def test_503_says_how_long_it_asks_to_wait_and_what_it_turns_away_is_downtime(
    tmp_path: Path, head: dict[str, str]
) -> None:
    with scripted() as server:
        server.script["POST", "/internal/retrieval/search"] = Answer(b"", 503, "text/plain", head)
        drill = make_drill(tmp_path, toml=f'[service]\ninstances = ["{server.url}"]\n')
        del drill.__dict__["client"]
        reply = drill.client.post(f"{server.url}/internal/retrieval/search", {})
        assert "the service asks to wait 1 s" in reply.seen()
        assert "limit" not in reply.seen()
        prober = drill.prober
        assert prober.wait(bool, 0.0, 20.0)
        drill.close()
        first = prober.results()[0]
    assert first.failed
    assert downtime_s([first]) > 0


def test_what_was_limited_is_no_downtime_no_failure_and_no_sample(drill: Drill) -> None:
    found = [
        ProbeResult(n / 10, A, 0.01, ok=n >= 30, error="", apart=Apart.LIMITED if n < 20 else None) for n in range(100)
    ]
    assert downtime_s(found) == pytest.approx(1.0)
    assert availability(found) == pytest.approx(1 - 10 / 80)
    side = by_probes(found)
    assert side is not None
    assert (side.requests, side.error_rate) == (80, 0.125)
    assert by_probes(found[:20]) is None
    assert availability(found[:20]) is None
    samples = timeline_of(with_probes(drill, Probes(found))).samples
    assert (len(samples), sum(not sample.ok for sample in samples)) == (80, 10)


def test_one_of_two_instances_that_is_down_is_half_of_the_downtime_however_rarely_it_is_asked() -> None:
    well = [ProbeResult(n / 5, "http://b", 0.01, ok=True, error="") for n in range(101)]
    down = [ProbeResult(float(n), A, 0.01, ok=False, error="refused") for n in range(21)]
    merged = sorted([*well, *down], key=lambda one: one.due)
    assert downtime_s(merged) == pytest.approx(10.5)
    assert availability(merged) == pytest.approx(0.49, abs=0.02)


def test_a_pause_between_two_failed_probes_is_not_all_downtime() -> None:
    assert downtime_s([ProbeResult(due, A, 0.0, ok=False, error="") for due in (0.0, 600.0)]) == 10.0


def still(drill: Drill, seconds: float) -> tuple[Verdict, str]:
    """Judge a window of 30 s in which the drill stood still for so long."""
    now = [0.0]
    drill.heartbeat._clock = drill.heartbeat._boot = lambda: now[0]
    drill.heartbeat.beat()
    now[0] = seconds
    drill.heartbeat.beat()
    return stood_still(drill, served())


@pytest.mark.parametrize(("seconds", "verdict"), [(3.0, Verdict.PASS), (3.1, Verdict.INCONCLUSIVE)])
def test_a_window_in_which_the_drill_stood_still_is_doubted(drill: Drill, seconds: float, verdict: Verdict) -> None:
    found, reason = still(drill, seconds)
    assert found is verdict
    assert ("the drill itself stood still for 3 s of a window of 30 s" in reason) is (verdict is not Verdict.PASS)


def test_a_standstill_makes_nothing_red_and_nothing_green(drill: Drill) -> None:
    still(drill, 20.0)
    with_probes(drill, probes(300))
    seen: Window = served(QUICK, count=300)
    verdicts = {judge(drill, seen).verdict for judge in (errors, latency, primary_latency)}
    assert verdicts == {Verdict.INCONCLUSIVE}


def test_a_service_that_limits_every_request_is_unproven_and_never_red(tmp_path: Path) -> None:
    """Health, endpoints, smoke tests, metrics: all are 429, and none says anything of the service."""
    with scripted() as server:
        for key in (("GET", "/health"), ("GET", "/metrics"), ("POST", "/chat/advise")):
            server.script[key] = SLOW_DOWN
        for method in ("POST", "OPTIONS"):
            for path in ("search", "embed"):
                server.script[method, f"/internal/retrieval/{path}"] = SLOW_DOWN
        drill = make_drill(tmp_path, toml=f'[service]\ninstances = ["{server.url}"]\n')
        with_probes(drill, probes(20))
        drill.settled = drill.before = served().first
        rows = [service(drill), search(drill), embed(drill), chat(drill), endpoints(drill, served())]
        assert {row.verdict for row in rows} == {Verdict.INCONCLUSIVE}
        assert all("the service limits the drill" in row.reason for row in rows)
        assert worst(row.verdict for row in [*rows, backend(drill, served())]) is not Verdict.FAIL
        with pytest.raises(CannotMeasure, match="the service limits the drill"):
            ScrapeSource(shared_client(), "/metrics", {}).snapshot(server.url)


@pytest.mark.parametrize("held", [0, 7])
def test_probes_that_were_left_to_users_are_the_reason_also_without_one_429(drill: Drill, held: int) -> None:
    with_probes(drill, replace(probes(40), held=held))
    assert ("7 probes were not sent" in latency(drill, served(QUICK, count=40)).reason) is (held > 0)


def test_probes_that_the_drill_did_not_send_say_why(drill: Drill) -> None:
    asked = limited(200, 40, Apart.UNMEASURED)
    with_probes(drill, Probes([replace(one, error="not sent: it was announced otherwise") for one in asked.found]))
    reason = latency(drill, served(QUICK, count=40)).reason
    assert "200 probes were not measured (not sent: it was announced otherwise)" in reason

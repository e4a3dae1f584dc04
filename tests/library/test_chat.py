"""A chat that answers is proven only if it says what it should, and if retrieval was asked for it."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from drill.checks import retrieval_asked
from drill.checks.chat import chat
from drill.checks.retrieval_asked import RetrievalAsked
from drill.context import Drill
from drill.errors import UsageError
from drill.http import Reply
from drill.observation import Reading, Window, open_window
from drill.probe import ProbeResult
from drill.record import Evidence
from drill.verdict import Verdict
from tests.library.server import CLASSIC, Answer, ScriptedService, as_json, scripted
from tests.library.world import MIGRATING, A, Probes, make_drill, reading, snapshot, with_primary, with_probes

CHAT, METRICS = "/chat/advise", "/metrics"
ANSWER = "Read the Runbook,\n  chapter 3."


class Counted(ScriptedService):
    """A service whose chat asks retrieval ``each`` times an answer, and whose users ask it ``users`` times a page."""

    def __init__(self) -> None:
        super().__init__()
        self.requests, self.each, self.users, self.started = 0, 1, 0, 1.0
        self.searched = self.cached = False
        self.searches = 0


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Counted]:
    monkeypatch.setattr(retrieval_asked, "COUNTED_S", 0.1)
    monkeypatch.setattr("tests.library.server.ScriptedService", Counted)
    with scripted() as server:
        assert isinstance(server, Counted)
        server.script["POST", CHAT] = lambda _body: said(server, ANSWER)
        server.script["GET", METRICS] = lambda _body: page(server)
        yield server


def said(server: Counted, text: str) -> Answer:
    server.requests += server.each
    return as_json({"answer": text})


def page(server: Counted) -> Answer:
    server.requests += server.users
    server.searches += server.users * (2 if server.cached else 1)
    counted = f'{{method="POST",route="/internal/retrieval/search",status="200"}} {server.searches}'
    lines = [
        *(["# TYPE http_requests_total counter", f"http_requests_total{counted}"] * server.searched),
        "# TYPE retrieval_requests_total counter",
        f'retrieval_requests_total{{backend="faiss"}} {server.requests}',
        "# TYPE process_start_time_seconds gauge",
        f"process_start_time_seconds {server.started}",
    ]
    return Answer("\n".join([*lines, ""]).encode(), kind=CLASSIC)


def drill_of(folder: Path, *servers: ScriptedService, text: str = "", search_s: float = 0.0) -> Drill:
    urls = ", ".join(f'"{server.url}"' for server in servers)
    toml = f"[service]\ninstances = [{urls}]\n" + (f"[service.chat]\n{text}\n" if text else "")
    lately = ProbeResult(time.monotonic() - 1, servers[0].url, search_s, ok=True, error="")
    return with_probes(with_primary(make_drill(folder, toml=toml)), Probes([lately]))


def asked(folder: Path, server: ScriptedService, text: str = "", search_s: float = 0.0) -> Evidence:
    return chat(drill_of(folder, server, text=text, search_s=search_s))


def test_a_chat_that_asks_retrieval_for_each_answer_passes(tmp_path: Path, server: Counted) -> None:
    """How often retrieval was asked is said."""
    evidence = asked(tmp_path, server)
    assert evidence.verdict is Verdict.PASS
    assert "retrieval was asked 3 times meanwhile" in evidence.reason


@pytest.mark.parametrize("users", [0, 5])
def test_users_can_only_hide_that_a_chat_does_not_ask_never_the_other_way_round(
    tmp_path: Path, server: Counted, users: int
) -> None:
    """No traffic makes a chat that asks look as if it did not."""
    server.users = users
    assert asked(tmp_path, server).verdict is Verdict.PASS


def test_a_chat_that_never_asks_retrieval_is_not_proven(tmp_path: Path, server: Counted) -> None:
    """The answer may be good, but not FAISS's; what to do is said."""
    server.each = 0
    evidence = asked(tmp_path, server)
    assert evidence.verdict is Verdict.INCONCLUSIVE
    assert "3 answers, but retrieval was asked 0 times" in evidence.reason
    assert "chat_body" in evidence.reason
    assert "asks_retrieval = false" in evidence.reason


@pytest.mark.parametrize(
    ("each", "cached", "verdict"),
    [(0, False, Verdict.INCONCLUSIVE), (1, False, Verdict.PASS), (0, True, Verdict.PASS), (1, True, Verdict.PASS)],
)
def test_where_requests_are_counted_by_route_users_hide_nothing(
    tmp_path: Path, server: Counted, each: int, cached: bool, verdict: Verdict
) -> None:
    """What is asked beyond searches is what chats ask; a service that keeps answers cannot be judged so."""
    server.each, server.users, server.searched, server.cached = each, 5, True, cached
    assert asked(tmp_path, server).verdict is verdict


def test_where_many_searches_are_under_way_routes_show_nothing(tmp_path: Path, server: Counted) -> None:
    """What is under way at either end is counted on one side only."""
    server.each, server.users, server.searched = 0, 5, True
    evidence = asked(tmp_path, server, search_s=60.0)
    assert evidence.verdict is Verdict.PASS
    assert "expect_text" in str(evidence.detail["retrieval for the chat"])


def test_a_chat_that_takes_long_hides_nothing(tmp_path: Path, server: Counted) -> None:
    """How many searches are under way depends on how long they take, not on what a language model takes."""
    server.each, server.users, server.searched = 0, 5, True

    def slow(_body: object) -> Answer:
        time.sleep(0.4)
        return said(server, ANSWER)

    server.script["POST", CHAT] = slow
    assert asked(tmp_path, server).verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(("text", "said"), [("", True), ("expect_text = 'runbook'", False)])
def test_where_users_are_not_told_from_the_chat_that_is_said(
    tmp_path: Path, server: Counted, text: str, said: bool
) -> None:
    """Unless the answer itself shows it."""
    evidence = asked(tmp_path, server, text)
    assert evidence.verdict is Verdict.PASS
    assert ("retrieval for the chat" in evidence.detail) is said


def test_a_drill_that_does_not_probe_does_not_begin_to(tmp_path: Path, server: Counted) -> None:
    """A dry-run sends no continuous probe."""
    drill = with_primary(make_drill(tmp_path, toml=f'[service]\ninstances = ["{server.url}"]\n'))
    assert chat(drill).verdict is Verdict.PASS
    assert not drill.probing


def test_no_more_answers_are_watched_than_are_announced(
    tmp_path: Path, server: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each costs some readings of every instance."""
    monkeypatch.setattr(retrieval_asked, "WATCHED", 1)
    asked(tmp_path, server)
    assert server.asked.count(("GET", METRICS)) == 2
    assert server.asked.count(("POST", CHAT)) == 3


def test_a_chat_that_asks_elsewhere_by_configuration_passes_and_the_report_says_so(
    tmp_path: Path, server: Counted
) -> None:
    """Whoever keeps answers, or asks another service, says that."""
    server.each = 0
    evidence = asked(tmp_path, server, "asks_retrieval = false")
    assert evidence.verdict is Verdict.PASS
    assert "asks_retrieval = false" in str(evidence.detail["retrieval for the chat"])


def test_a_chat_that_asks_another_instance_has_asked(tmp_path: Path, server: Counted) -> None:
    """A chat may reach retrieval through a load balancer: the counters of all instances are watched."""
    server.each = 0
    with scripted() as other:
        assert isinstance(other, Counted)
        other.each = 0
        for one, reached in ((server, other), (other, server)):
            one.script["POST", CHAT] = lambda _body, reached=reached: reach(reached)  # type: ignore[misc]
            one.script["GET", METRICS] = lambda _body, one=one: page(one)  # type: ignore[misc]
        assert chat(drill_of(tmp_path, server, other)).verdict is Verdict.PASS


def reach(other: Counted) -> Answer:
    other.requests += 1
    return as_json({"answer": ANSWER})


@pytest.mark.parametrize("probes", [1, 2])
def test_probes_of_the_drill_are_not_taken_for_the_chats(
    tmp_path: Path, server: Counted, monkeypatch: pytest.MonkeyPatch, probes: int
) -> None:
    """What the drill itself has asked meanwhile is taken off; a probe may be counted later than it was answered."""
    server.each, server.users = 0, 1

    def one_probe(*arguments: Any) -> Window:
        window = open_window(*arguments)
        window.probes[server.url] += probes
        return window

    monkeypatch.setattr("drill.checks.retrieval_asked.open_window", one_probe)
    monkeypatch.setattr(retrieval_asked, "COUNTED_S", 0.0)
    evidence = asked(tmp_path, server)
    assert evidence.verdict is Verdict.INCONCLUSIVE
    assert "retrieval was asked 0 times" in evidence.reason


def test_a_service_that_counts_a_little_later_is_waited_for(
    tmp_path: Path, server: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each page shows what was counted by the page before."""
    monkeypatch.setattr(retrieval_asked, "COUNTED_S", 60.0)
    monkeypatch.setattr(retrieval_asked, "POLL_S", 0.0)
    pages = [page(server)]

    def late(_body: object) -> Answer:
        pages.append(page(server))
        return pages.pop(0)

    server.script["GET", METRICS] = late
    evidence = asked(tmp_path, server)
    assert evidence.verdict is Verdict.PASS
    assert "retrieval was asked 3 times meanwhile" in evidence.reason


def counted(at: float, requests: float, searches: float) -> Reading:
    route = "http_requests_total{method=POST,route=/internal/retrieval/search,status=200}"
    return reading(at, snapshot(A, {"retrieval_requests_total": requests, route: searches}))


@pytest.mark.parametrize(
    ("answers", "requests", "beyond", "missing", "most"),
    [
        (4, 3, None, True, 3),
        (4, 4, None, False, 4),
        (4, 9, 2, False, 2),  # half of them may be under way at either end
        (4, 9, 1, True, 1),
        (3, 9, 2, False, 2),
        (3, 9, 1, True, 1),
        (3, 9, -2, True, 0),
    ],
)
def test_requests_beyond_searches_tell_whether_retrieval_was_asked_for_answers(
    tmp_path: Path, answers: int, requests: float, beyond: float | None, missing: bool, most: float
) -> None:
    """Without them all requests count, users' too."""
    drill = with_probes(make_drill(tmp_path), Probes([ProbeResult(0.0, A, 0.01, ok=True, error="")]))
    last = None if beyond is None else counted(10.0, 120 + beyond, 120)
    seen = RetrievalAsked(drill, answers, requests, _first=counted(0.0, 100, 100), _last=last)
    assert (seen.missing, seen.most) == (missing, most)


@pytest.mark.parametrize(
    ("requests", "searched", "span_s", "search_s", "told"),
    [
        (98, 10, 10.0, 0.1, True),  # all but one in fifty searches ask retrieval
        (97, 10, 10.0, 0.1, False),
        (100, 10, 10.0, 1.0, True),  # one is under way at any time
        (100, 10, 10.0, 1.5, False),
        (100, 1, 0.5, 0.6, False),
        (100, 1, 0.0, 0.6, False),
    ],
)
def test_routes_tell_nothing_where_searches_are_answered_from_a_cache_or_overlap(
    tmp_path: Path, requests: float, searched: float, span_s: float, search_s: float, told: bool
) -> None:
    drill = with_probes(make_drill(tmp_path), Probes([ProbeResult(-1.0, A, search_s, ok=True, error="")]))
    ends = counted(0.0, requests, 100), counted(span_s, requests + searched, 100 + searched)
    seen = RetrievalAsked(drill, 1, 7, _first=ends[0], _last=ends[1])
    assert seen.most == (0 if told else 7)


@pytest.mark.parametrize("broken", ["unread", "restarted"])
def test_where_the_counters_cannot_be_followed_nothing_is_concluded(
    tmp_path: Path, server: Counted, broken: str
) -> None:
    """Only what was seen counts against a chat."""
    server.each = 0

    def other_process(_body: object) -> Answer:
        server.started += 1
        return page(server)

    server.script["GET", METRICS] = Answer(b"", 404) if broken == "unread" else other_process
    evidence = asked(tmp_path, server)
    assert evidence.verdict is Verdict.PASS
    assert "not looked at" in str(evidence.detail["retrieval for the chat"])


@pytest.mark.parametrize(
    ("text", "verdict", "said"),
    [
        ("expect_text = 'runbook, CHAPTER 3'", Verdict.PASS, "answers"),
        ("expect_text = 'handbook'", Verdict.FAIL, "does not hold what [service.chat] expect_text expects"),
        ("forbid_text = 'I do not know'", Verdict.PASS, "answers"),
        ("forbid_text = 'the  runbook'", Verdict.FAIL, "holds what [service.chat] forbid_text forbids"),
        ("expect_text = 'runbook'\nforbid_text = 'chapter 3'", Verdict.FAIL, "forbid_text forbids"),
    ],
)
def test_an_answer_must_hold_what_is_expected_and_not_what_is_forbidden(
    tmp_path: Path, server: Counted, text: str, verdict: Verdict, said: str
) -> None:
    """Case and white space do not count, and no word of the answer is repeated."""
    evidence = asked(tmp_path, server, text)
    assert evidence.verdict is verdict
    assert said in evidence.reason
    assert "Runbook" not in evidence.reason


@pytest.mark.parametrize(("latency_s", "stays"), [(0.4999, True), (0.5, True), (0.5001, False)])
def test_a_chat_that_falls_back_beside_searches_within_the_slo_will_fall_back_after_the_rollback(
    tmp_path: Path, server: Counted, monkeypatch: pytest.MonkeyPatch, latency_s: float, stays: bool
) -> None:
    """Searches that are slower than the SLO's P95 may be why it falls back: these the rollback mends."""
    toml = f'[service]\ninstances = ["{server.url}"]\n[service.chat]\nexpect_text = "handbook"\n'
    drill = with_probes(with_primary(make_drill(tmp_path, toml=toml, env=MIGRATING)), Probes())
    found = Reply(200, "application/json", b'{"results": [{"id": "d1"}]}', latency_s)
    monkeypatch.setattr(drill.service, "search", lambda *_: found)
    assert (chat(drill).foretold is not None) is stays


@pytest.mark.parametrize(
    "kind",
    [
        *("application/json", "application/json; charset=utf-8", "APPLICATION/JSON", "text/json"),
        *("application/problem+json", "application/vnd.acme.v2+json"),
    ],
)
def test_json_is_json_by_whatever_name(tmp_path: Path, server: Counted, kind: str) -> None:
    """Vendors and frameworks name JSON in many ways."""

    def answer(_body: object) -> Answer:
        given = said(server, ANSWER)
        given.kind = kind
        return given

    server.script["POST", CHAT] = answer
    assert asked(tmp_path, server).verdict is Verdict.PASS


def test_unknown_keys_of_the_chat_are_errors(tmp_path: Path) -> None:
    """A typing error does not switch a check off."""
    with pytest.raises(UsageError, match="unknown key 'expect'"):
        make_drill(tmp_path, toml="[service.chat]\nexpect = 'x'\n")


@pytest.mark.parametrize(("taken_s", "told"), [([0.5, 0.5], True), ([0.5, 1.5], True), ([0.5, 2.5], False)])
def test_where_no_probe_tells_how_long_a_search_takes_the_answers_do(
    tmp_path: Path, taken_s: list[float], told: bool
) -> None:
    """One search may be made for an answer: it takes no longer."""
    drill = with_probes(make_drill(tmp_path), Probes())
    ends = counted(0.0, 100, 100), counted(10.0, 110, 110)
    seen = RetrievalAsked(drill, 2, 7, _first=ends[0], _last=ends[1], _taken_s=taken_s)
    assert seen.most == (0 if told else 7)

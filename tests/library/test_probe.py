"""The continuous probe: on schedule whatever the service does, and bounded when it is told to stop."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import cast

import pytest

from drill import probe
from drill.http import HttpClient, Reply
from drill.limiter import Limiter
from drill.limits import Apart, Told
from drill.load import Budget
from drill.probe import Ask, Prober, ProbeResult, wrong_answer
from tests.library.server import Answer, ScriptedService, as_json, html, scripted

SEARCH = "/search"
GOOD = as_json({"results": []})


class Client:
    """Answers each request as told, after waiting for ``gate``."""

    def __init__(self, answer: Callable[[str], Reply] | None = None) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.asked: list[tuple[str, object]] = []
        self._answer = answer or (lambda _url: Reply(200, "application/json", b'{"results": []}', 0.001))

    def post(self, url: str, body: object) -> Reply:
        self.asked.append((url, body))
        self.gate.wait(10.0)
        return self._answer(url)


@contextmanager
def probing(client: Client | HttpClient, *asks: Ask, rate: float = 200.0) -> Iterator[Prober]:
    prober = Prober(cast("HttpClient", client), SEARCH, asks or (Ask("http://a", "default", "q"),), 5, rate)
    prober.start()
    try:
        yield prober
    finally:
        if isinstance(client, Client):
            client.gate.set()
        prober.stop()


def at_least(count: int) -> Callable[[Sequence[ProbeResult]], bool]:
    return lambda results: len(results) >= count


@pytest.fixture
def server() -> Iterator[ScriptedService]:
    with scripted() as server:
        yield server


def test_instances_tenants_and_queries_are_asked_in_turn() -> None:
    client = Client()
    asks = [Ask("http://a", "t", "q1"), Ask("http://b", "t", "q1"), Ask("http://a", "u", "q2")]
    with probing(client, *asks) as prober:
        assert prober.wait(at_least(6), 0.0, 10.0)
    assert [url for url, _ in client.asked[:6]] == [ask.instance + SEARCH for ask in asks * 2]
    assert client.asked[2][1] == {"query": "q2", "top_k": 5, "tenant": "u"}
    assert [result.instance for result in prober.results()[:4]] == ["http://a", "http://b", "http://a", "http://a"]


def test_probes_are_due_at_fixed_times_at_the_rate() -> None:
    with probing(Client(), rate=100.0) as prober:
        assert prober.wait(at_least(20), 0.0, 10.0)
    due = [result.due for result in prober.results()]
    assert [later - earlier for earlier, later in pairwise(due)] == pytest.approx([0.01] * (len(due) - 1))


def test_a_stalled_service_does_not_slow_the_schedule() -> None:
    client = Client()
    client.gate.clear()
    with probing(client, rate=100.0) as prober:
        deadline = time.monotonic() + 10.0
        while len(client.asked) < 30 and time.monotonic() < deadline:
            threading.Event().wait(0.01)
        assert len(client.asked) >= 30
        assert prober.results() == []
        client.gate.set()
        assert prober.wait(at_least(30), 0.0, 10.0)
    due = [result.due for result in prober.results()[:30]]
    assert due[-1] - due[0] == pytest.approx(0.29)


def test_a_stall_that_takes_every_worker_is_seen_by_as_many_probes_as_it_lasted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(probe, "WORKERS", 3)
    client = Client()
    client.gate.clear()
    with probing(client) as prober:
        assert prober.wait(at_least(10), 0.0, 10.0)
        stalled = prober.results()
        assert {(result.ok, result.error) for result in stalled} == {(False, "not sent: no probe is answered")}
        assert len(client.asked) == 3
        client.gate.set()
        assert prober.wait(lambda results: sum(result.ok for result in results) >= 6, 0.0, 10.0)


def test_the_rate_can_be_changed_while_probing() -> None:
    with probing(Client(), rate=5.0) as prober:
        assert prober.wait(at_least(1), 0.0, 10.0)
        prober.rate = 500.0
        assert prober.wait(at_least(50), 0.0, 3.0)


def test_waiting_ends_when_there_is_enough_and_says_so() -> None:
    with probing(Client()) as prober:
        began = time.monotonic()
        assert prober.wait(at_least(5), 0.0, 10.0)
        assert time.monotonic() - began < 3.0


@pytest.mark.parametrize("answering", [True, False])
def test_waiting_ends_at_its_timeout_whether_probes_come_or_not(answering: bool) -> None:
    client = Client()
    if not answering:
        client.gate.clear()
    with probing(client) as prober:
        began = time.monotonic()
        assert not prober.wait(lambda _results: False, 0.0, 0.2)
        assert 0.2 <= time.monotonic() - began < 2.0


def test_waiting_looks_only_at_probes_due_since_then() -> None:
    with probing(Client()) as prober:
        assert prober.wait(at_least(5), 0.0, 10.0)
        now = time.monotonic()
        assert prober.wait(at_least(3), now, 10.0)
        assert not prober.wait(at_least(1), now + 100, 0.0)


def test_stopping_is_bounded_by_the_clients_timeout_and_sends_no_more(server: ScriptedService) -> None:
    over = threading.Event()

    def never(_body: dict[str, object]) -> Answer:
        over.wait(5.0)
        return GOOD

    server.script["POST", SEARCH] = never
    client = HttpClient(timeout_s=0.3)
    with probing(client, Ask(server.url, "default", "q"), rate=50.0) as prober:
        assert prober.wait(at_least(1), 0.0, 3.0)
        began = time.monotonic()
        prober.stop()
        assert time.monotonic() - began < 3.0
        sent = len(server.asked)
    over.set()
    client.close()
    assert len(server.asked) == sent
    assert not any(result.ok for result in prober.results())
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("probe")]


def test_stopping_before_the_start_is_no_error() -> None:
    Prober(cast("HttpClient", Client()), SEARCH, [Ask("http://a", "t", "q")], 5).stop()


def test_results_are_those_due_in_the_half_open_window_in_order() -> None:
    with probing(Client()) as prober:
        pass
    prober._results[:] = [ProbeResult(due, "a", 0.0, due != 2.0, "") for due in (3.0, 1.0, 2.0)]
    assert [result.due for result in prober.results()] == [1.0, 2.0, 3.0]
    assert [result.due for result in prober.results(1.0, 3.0)] == [1.0, 2.0]
    assert prober.sent(1.0, 4.0) == {"a": 2}


@pytest.mark.parametrize(
    ("answer", "wrong"),
    [
        (GOOD, ""),
        (html(), "HTTP 200 (text/html"),
        (as_json({}), "without a list of results"),
        (as_json({"results": {}}), "without a list of results"),
        (as_json([]), "without a list of results"),
        (as_json({"results": []}, 503), "HTTP 503"),
        (as_json({"results": []}, 302), "HTTP 302"),
        (Answer(b"[" * 100_000), "without a list of results"),
    ],
)
def test_a_probe_is_well_only_if_a_list_of_results_came_back(
    server: ScriptedService, answer: Answer, wrong: str
) -> None:
    server.script["POST", SEARCH] = answer
    client = HttpClient(timeout_s=5.0)
    with probing(client, Ask(server.url, "default", "q")) as prober:
        assert prober.wait(at_least(1), 0.0, 10.0)
    client.close()
    result = prober.results()[0]
    assert result.ok is (wrong == "")
    assert wrong in result.error
    assert wrong_answer(Reply(0, "", b"", 0.0, "refused")) == "refused"


def test_a_prober_that_is_closed_leaves_no_connection_open(server: ScriptedService) -> None:
    server.script["POST", SEARCH] = GOOD
    client = HttpClient()
    with probing(client, Ask(server.url, "default", "q")) as prober:
        assert prober.wait(at_least(2), 0.0, 5.0)
        prober.close()
        asked = len(prober.results())
    assert "RuntimeError" in client.post(server.url + SEARCH, {}).error, "the client still opens connections"
    assert len(prober.results()) == asked


def prober(limiter: Limiter | None = None, rate: float = 10.0) -> Prober:
    """Return a prober of two instances that is not started: a test sets its time."""
    asks = [Ask("http://a", "t", "q"), Ask("http://b", "t", "q")]
    return Prober(cast("HttpClient", Client()), SEARCH, asks, 5, rate, limiter)


def times(one: Prober, instance: str, until: float, rate: float = 10.0) -> list[float]:
    """Return when an instance is asked up to a time, where its turn comes every 0.2 s."""
    return [due for turn in range(int(until * 5)) if one._is_time(instance, due := turn / 5, rate)]


def test_an_instance_that_does_not_answer_is_asked_ever_more_rarely() -> None:
    """Nothing answers, or everything is 404: the rate falls to one probe in five seconds, for that instance only."""
    one = prober()
    one._keep(ProbeResult(0.0, "http://a", 0.0, ok=False, error="HTTP 404"))
    asked = times(one, "http://a", 120.0)
    gaps = [round(later - earlier, 6) for earlier, later in pairwise(asked)]
    assert gaps == sorted(gaps)
    assert (gaps[0], gaps[-1]) == (0.2, 5.0)
    assert len(asked) < 60
    assert len(times(one, "http://b", 120.0)) == 600
    one._keep(ProbeResult(120.0, "http://a", 0.0, ok=True, error=""))
    assert one._is_time("http://a", 120.2, 10.0), "one answer, and it is asked as before"
    assert one._is_time("http://a", 120.4, 10.0)
    one.stop()


def test_a_failure_now_and_then_slows_nothing() -> None:
    one = prober()
    for turn in range(100):
        one._keep(ProbeResult(turn / 5, "http://a", 0.0, ok=turn % 5 > 0, error=""))
        assert one._is_time("http://a", turn / 5, 10.0)
    one.stop()


def test_an_instance_that_limits_the_drill_is_asked_when_its_limiter_has_room() -> None:
    now = [0.0]
    limiter = Limiter(["http://a", "http://b"], Budget(100, 100, 50.0), clock=lambda: now[0])
    one = prober(limiter)
    for _ in range(60):
        limiter.note("http://a", Told())
    limiter.note("http://a", Told(429, 60.0))
    assert times(one, "http://a", 70.0) == pytest.approx([60.0, 62.0, 64.0, 66.0, 68.0])
    assert one.held_back(0.0, 70.0) == 345
    assert one.held_back(0.0, 60.0) == 300
    assert len(times(one, "http://b", 70.0)) == 350
    one.stop()


def test_probes_that_the_drill_comes_too_late_to_send_are_left_out_and_never_sent_in_a_burst() -> None:
    one = prober()
    assert one._without_overdue(100.0, 101.0) == 100.0
    assert one._without_overdue(100.0, 190.0) == 190.0
    left_out = one.results()
    assert len(left_out) == 900
    assert {(found.apart, found.failed, found.ok) for found in left_out} == {(Apart.UNMEASURED, False, False)}
    assert left_out[0].error == "not sent: the drill itself stood still for 90 s"
    assert (left_out[0].due, round(left_out[-1].due, 6)) == (100.0, 189.9)
    assert {found.instance for found in left_out} == {"http://a", "http://b"}
    one.stop()


def test_a_night_s_sleep_is_noted_and_does_not_fill_the_memory() -> None:
    one = prober(rate=50.0)
    assert one._without_overdue(0.0, 30_000.0) == 30_000.0
    assert len(one.results()) == probe.DROPS_KEPT
    one.stop()


@pytest.mark.parametrize(
    ("reply", "apart", "failed"),
    [
        (Reply(429, "text/plain", b"slow down", 0.01, apart=Apart.LIMITED), Apart.LIMITED, False),
        (Reply(0, "", b"", 0.0, "not sent", apart=Apart.UNMEASURED), Apart.UNMEASURED, False),
        (Reply(503, "text/plain", b"", 0.01), None, True),
        (Reply(503, "text/plain", b"", 0.01, apart=Apart.LIMITED), None, True),
        (Reply(0, "", b"", 0.0, "connection refused"), None, True),
        (Reply(200, "application/json", b'{"results": []}', 0.01, apart=Apart.UNMEASURED), Apart.UNMEASURED, False),
    ],
)
def test_what_says_nothing_of_the_service_is_neither_answered_nor_failed(
    reply: Reply, apart: Apart | None, failed: bool
) -> None:
    with probing(Client(lambda _url: reply)) as prober:
        assert prober.wait(at_least(1), 0.0, 10.0)
    result = prober.results()[0]
    assert (result.apart, result.failed, result.ok) == (apart, failed, False)
    assert result.rate == 200.0

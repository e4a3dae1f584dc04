"""Several workers behind one port: those that share one page and name themselves can be proven, others cannot."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from drill.checks.silence import doubts
from drill.config import Config, Service
from drill.config_check import check
from drill.context import Drill
from drill.errors import CannotMeasure, UsageError
from drill.http import HttpClient
from drill.load import budget_of
from drill.metrics.snapshot import Snapshot
from drill.metrics.workers import GLANCE, MOST, PAGES, SURE, WorkerSource, missed
from drill.observation import Reading, Window, open_window, replaced
from drill.probe import ProbeResult
from drill.verdict import Verdict
from tests.library import prefork
from tests.library.world import Probes, make_drill, reading, snapshot, with_probes
from tests.prometheus.server import free_port

WORKERS = 3
FAMILIES = ("retrieval_requests_total", "retrieval_shadow_dropped_total")


class Prefork:
    """A service of several workers that can be restarted."""

    def __init__(self, folder: Path, pages: str) -> None:
        self.folder, self.pages, self.port = folder, pages, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.start()

    def start(self, workers: int = WORKERS) -> None:
        """Start the workers, on the counters that earlier ones have left."""
        env = {**os.environ, **({"PROMETHEUS_MULTIPROC_DIR": str(self.folder)} if self.pages == "shared" else {})}
        command = [sys.executable, prefork.__file__, str(self.port), str(workers), self.pages]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env)
        assert self.process.stdout is not None
        assert all(self.process.stdout.readline() for _ in range(workers))

    def stop(self) -> None:
        self.process.communicate(timeout=20)

    def search(self, client: HttpClient, times: int) -> None:
        for _ in range(times):
            assert client.request("POST", self.url, content=b"{}", headers={"Connection": "close"}).ok


@contextmanager
def running(folder: Path, pages: str) -> Iterator[Prefork]:
    service = Prefork(folder, pages)
    try:
        yield service
    finally:
        service.stop()


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Prefork]:
    with running(tmp_path, "shared") as service:
        yield service


def drill_of(folder: Path, service: Prefork, worker_id: str = "header:X-Worker") -> Drill:
    toml = f'[service]\ninstances = ["{service.url}"]\nworker_id = "{worker_id}"'
    return make_drill(folder, toml=toml)


def window(drill: Drill, first: Reading, last: Reading, answered: int) -> Window:
    one = ProbeResult(first.ended, drill.service.instances[0], 0.0, True, "")
    with_probes(drill, Probes([one] * answered))
    return open_window(first, last, drill.prober, drill.new_processes, drill.source.between(first, last))


@pytest.mark.parametrize("worker_id", ["header:X-Worker", "header:x-worker", "json:pid"])
def test_every_worker_is_met_and_the_shared_page_proves_silence(
    tmp_path: Path, service: Prefork, worker_id: str
) -> None:
    """All workers name themselves, all requests are counted on one page, and nothing is left to doubt."""
    drill = drill_of(tmp_path, service, worker_id)
    first = drill.read_metrics()
    service.search(drill.client, 20)
    last = drill.read_metrics()
    assert len(last.snapshots[service.url].workers) == WORKERS
    assert last.snapshots[service.url].start_time is None
    seen = window(drill, first, last, 20)
    assert doubts(seen, FAMILIES) == (Verdict.PASS, "")
    assert f"{WORKERS} met in" in str(seen.asked[f"workers of {service.url[7:]}"])


def test_without_the_names_of_workers_a_shared_page_proves_nothing(tmp_path: Path, service: Prefork) -> None:
    """A restart would not be seen; the reason says what to configure."""
    drill = drill_of(tmp_path, service, "")
    first = drill.read_metrics()
    service.search(drill.client, 20)
    verdict, reason = doubts(window(drill, first, drill.read_metrics(), 20), FAMILIES)
    assert verdict is Verdict.INCONCLUSIVE
    assert "[service] worker_id" in reason


def test_a_restart_is_seen_when_no_old_worker_is_left(tmp_path: Path, service: Prefork) -> None:
    """The counters outlive the restart, so what was counted before it is not held against the new workers."""
    drill = drill_of(tmp_path, service)
    service.search(drill.client, 30)
    before = drill.read_metrics()
    service.stop()
    service.start()
    settled = drill.read_metrics()
    assert replaced(before, settled) == [service.url]
    assert settled.snapshots[service.url].total("retrieval_requests_total") == 30
    drill.new_processes = replaced(before, settled)
    service.search(drill.client, 20)
    seen = window(drill, settled, drill.read_metrics(), 20)
    assert seen.since_boot[service.url].growth("retrieval_requests_total") == 20
    assert doubts(seen, FAMILIES) == (Verdict.PASS, "")
    across = window(drill, before, drill.read_metrics(), 20)
    assert "restarted by itself" in doubts(across, FAMILIES)[1]


def test_pages_of_each_worker_are_never_taken_for_one(tmp_path: Path) -> None:
    """Workers that name themselves do not make their own pages one: counters go down from page to page."""
    with running(tmp_path, "own") as service:
        drill = drill_of(tmp_path, service)
        for _ in range(40):
            service.search(drill.client, 5)
            if drill.read_metrics().doubts:
                break
        first = drill.read_metrics()
        verdict, reason = doubts(window(drill, first, drill.read_metrics(), 1), FAMILIES)
        assert verdict is Verdict.INCONCLUSIVE
        assert "each worker shows its own" in reason or "per worker" in reason


class Inner:
    """A source of one page."""

    waits = False

    def read(self, instances: list[str], *, wait: bool = True) -> Reading:
        return reading(0.0, *(snapshot(name, {}, started=1.0) for name in instances))

    def recent(self, instances: list[str], count: int) -> list[Reading]:
        return [self.read(instances) for _ in range(count)]

    def snapshot(self, instance: str) -> Snapshot:
        return snapshot(instance, {}, started=1.0)


def asked(workers: int, page: Inner | None = None, *, wait: bool = True) -> tuple[Reading, int]:
    """Let so many workers answer in turn, and return the reading and how often they were asked."""
    count, page = [0], page or Inner()

    def identify(_url: str) -> str:
        count[0] += 1
        return str(count[0] % workers)

    return WorkerSource(page, identify, page).read(["http://a:1"], wait=wait), count[0]  # type: ignore[arg-type]


@pytest.mark.parametrize("workers", [1, 2, 4, 8])
def test_workers_are_asked_for_until_another_one_is_unlikely(workers: int) -> None:
    """More workers take more requests, and never more than a bound."""
    read, requests = asked(workers)
    assert len(read.snapshots["http://a:1"].workers) == workers
    assert missed(workers, requests) <= SURE
    assert str(read.facts["workers of a:1"]).startswith(f"{workers} met in {requests} requests, another one is missed")
    assert requests <= MOST
    assert not read.doubts


def test_more_workers_than_can_be_met_again_are_a_doubt() -> None:
    """What many requests may have missed proves no silence."""
    read, requests = asked(100)
    assert requests == MOST
    assert "too many workers" in read.doubts["http://a:1"]


@pytest.mark.parametrize(("met", "asked", "chance"), [(1, 1, 0.5), (1, 10, 1 / 1024), (3, 1, 0.75), (3, 2, 0.5625)])
def test_how_likely_it_is_to_have_missed_another_worker(met: int, asked: int, chance: float) -> None:
    """Of workers that are met equally often, each request misses the other one so often."""
    assert missed(met, asked) == pytest.approx(chance)


class Page(Inner):
    """A source whose page tells no start, and counts this much from one reading to the next."""

    def __init__(self, counts: list[float]) -> None:
        self.counts = counts

    def read(self, instances: list[str], *, wait: bool = True) -> Reading:
        return reading(0.0, *(snapshot(name, {}, started=None) for name in instances))

    def snapshot(self, instance: str) -> Snapshot:
        return snapshot(instance, {"retrieval_requests_total": self.counts.pop()}, started=None)


@pytest.mark.parametrize(
    ("workers", "earlier", "later", "one_page"),
    [
        (2, [5.0, 6.0], [7.0, 8.0], True),
        (2, [5.0, 5.0], [5.0, 5.0], True),  # nobody asks it anything
        (2, [5.0, 6.0], [6.0, 9.0], True),
        (2, [5.0, 9.0], [6.0, 9.0], False),
        (1, [5.0, 9.0], [6.0, 9.0], True),  # one worker has one page
    ],
)
def test_a_page_whose_counters_go_down_is_that_of_one_worker_among_several(
    workers: int, earlier: list[float], later: list[float], one_page: bool
) -> None:
    """What is read later counts no less than what was read before, whoever answers."""
    read, _ = asked(workers, Page([*(later * (PAGES // 2)), *(earlier * (PAGES // 2))]))
    assert ("each worker shows its own" in read.doubts.get("http://a:1", "")) is not one_page


def test_a_page_that_cannot_be_read_from_here_is_not_doubted_for_that() -> None:
    """Prometheus may be all that reads it: the probes that it must count are what there is."""

    class Hidden(Page):
        def snapshot(self, instance: str) -> Snapshot:
            raise CannotMeasure(instance)

    assert not asked(2, Hidden([]))[0].doubts


def test_the_last_of_recent_readings_has_all_workers() -> None:
    names = iter("abcdefgh" * MOST)
    source = WorkerSource(Inner(), lambda _url: next(names), Inner())  # type: ignore[arg-type]
    first, last = source.recent(["http://a:1"], 2)
    assert (first.snapshots["http://a:1"].workers, len(last.snapshots["http://a:1"].workers)) == (frozenset(), 8)


def test_a_glance_asks_little_and_doubts_nothing() -> None:
    """It is taken again and again while the service restarts."""
    read, requests = asked(100, wait=False)
    assert (requests, len(read.snapshots["http://a:1"].workers)) == (GLANCE, GLANCE)
    assert not read.doubts


@pytest.mark.parametrize("worker_id", ["header:X-Other", "json:other", "json:length(pid)", "json:@"])
def test_an_answer_that_does_not_name_its_worker_is_a_doubt_that_says_so(
    tmp_path: Path, service: Prefork, worker_id: str
) -> None:
    """A wrong name of a header or a wrong path is no identity."""
    drill = drill_of(tmp_path, service, worker_id)
    seen = drill.read_metrics()
    if worker_id == "json:length(pid)":  # the same number for all: one worker, as far as anybody can tell
        assert len(seen.snapshots[service.url].workers) == 1
    else:
        assert seen.doubts[service.url].startswith(f"{service.url[7:]}: its health answer")
        assert "check [service] worker_id" in seen.doubts[service.url]


@pytest.mark.parametrize("worker_id", ["pid", "header:", "header:X Worker", "json:", "json:a[", "cookie:a"])
def test_a_worker_id_that_cannot_be_meant_is_an_error_of_the_configuration(worker_id: str) -> None:
    """The message says what is expected."""
    with pytest.raises(UsageError, match=r'worker_id: .*expected "header:NAME" or "json:PATH"'):
        check(Config(service=Service(worker_id=worker_id)))


def test_meeting_workers_is_part_of_what_a_drill_says_it_sends() -> None:
    """The budget grows by the requests that meet them."""
    budgets = [
        budget_of(Config(service=Service(worker_id=name)), apply=True, judged=True, purge=True, reopen=False)
        for name in ("", "json:pid")
    ]
    assert budgets[1].checks >= budgets[0].checks + MOST

"""Reading one address that several processes may answer: who was met, who was not, and what that proves."""

from collections.abc import Iterator, Sequence
from typing import cast

import pytest

from drill.checks.silence import doubts, judge_silence
from drill.errors import CannotMeasure
from drill.metrics import balanced
from drill.metrics.balanced import LEAST, MOST, BalancedSource, missed
from drill.metrics.scrape import ScrapeSource
from drill.metrics.snapshot import Snapshot
from drill.observation import Window, open_window, replaced
from drill.probe import Prober
from drill.verdict import Verdict
from tests.library.world import A, probes, snapshot

FAISS = "retrieval_requests_total{backend=faiss}"


class Address:
    """Answers each reading by the next of ``processes``, given as (start time, requests)."""

    def __init__(self, processes: Iterator[tuple[float | None, float]]) -> None:
        self.processes = processes
        self.asked = 0

    def snapshot(self, instance: str) -> Snapshot:
        self.asked += 1
        started, requests = next(self.processes)
        return snapshot(instance, {FAISS: requests}, started=started, taken=float(self.asked))


def turns(*processes: tuple[float | None, float]) -> Iterator[tuple[float | None, float]]:
    """Yield the processes in turn, for ever."""
    while True:
        yield from processes


def source(processes: Iterator[tuple[float | None, float]]) -> tuple[BalancedSource, Address]:
    address = Address(processes)
    return BalancedSource(cast("ScrapeSource", address)), address


def test_one_process_is_read_often_and_called_by_its_address() -> None:
    reader, address = source(turns((1.0, 5)))
    reading = reader.read([A])
    assert address.asked == LEAST
    assert list(reading.snapshots) == [A]
    assert not reading.doubts
    assert "1 met in 16 readings of one address" in reading.behind_one_address
    assert "probability 0.19" in reading.behind_one_address


def test_several_processes_are_told_apart_and_not_proven() -> None:
    reading = source(turns((1.0, 5), (2.0, 7)))[0].read([A])
    assert list(reading.snapshots) == [f"{A} (process started 1.00)", f"{A} (process started 2.00)"]
    assert [one.total("retrieval_requests_total") for one in reading.snapshots.values()] == [5, 7]
    assert set(reading.doubts) == set(reading.snapshots)
    assert all("list them in [service] instances" in doubt for doubt in reading.doubts.values())


def test_as_many_processes_as_ever_are_looked_for_again() -> None:
    def seldom() -> Iterator[tuple[float | None, float]]:
        yield from [(2.0, 7.0)] + [(1.0, 5.0)] * (LEAST - 1)
        yield from [(1.0, 5.0)] * 30 + [(2.0, 7.0)]
        yield from turns((1.0, 5.0))

    reader, address = source(seldom())
    assert len(reader.read([A]).snapshots) == 2
    assert len(reader.read([A]).snapshots) == 2
    assert address.asked == LEAST + 31
    assert list(reader.read([A]).snapshots) == [f"{A} (process started 1.00)"]
    assert address.asked == LEAST + 31 + MOST


def test_a_slow_page_is_not_read_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(balanced, "BUDGET_S", -1.0)
    reader, address = source(turns((1.0, 5)))
    assert "1 met in 2 readings" in reader.read([A]).behind_one_address
    assert address.asked == 2


def test_counters_that_fall_without_a_restart_are_those_of_several_workers() -> None:
    reading = source(turns((1.0, 6), (1.0, 4)))[0].read([A])
    assert "went down without a restart" in reading.doubts[A]


def test_an_address_that_cannot_be_read_is_unread() -> None:
    class Broken:
        def snapshot(self, _instance: str) -> Snapshot:
            raise CannotMeasure("is down")

    reading = BalancedSource(cast("ScrapeSource", Broken())).read([A])
    assert reading.unread == {A: "is down"}


@pytest.mark.parametrize(("readings", "share", "chance"), [(1, 2, 0.5), (10, 2, 0.5**10), (30, 10, 0.0424)])
def test_the_chance_of_missing_a_share(readings: int, share: int, chance: float) -> None:
    assert missed(readings, share) == pytest.approx(chance, abs=1e-4)


def between(first: Sequence[tuple[float, float]], last: Sequence[tuple[float, float]]) -> Window:
    reader, address = source(turns(*first))
    before = reader.read([A])
    address.processes = turns(*last)
    after = reader.read([A])
    return open_window(before, after, cast("Prober", probes(0)), [], reader.between(before, after))


def test_what_moved_on_one_of_several_processes_is_a_fail_that_names_it() -> None:
    seen = between([(1.0, 5), (2.0, 5)], [(1.0, 9), (2.0, 5)])
    evidence = judge_silence(seen, (), lambda delta: {"x": delta.growth("retrieval_requests_total")}, what="x")
    assert evidence.verdict is Verdict.FAIL
    assert "(process started 1.00) x +4" in evidence.reason
    assert "process started 2.00" not in evidence.reason


def test_silence_of_several_processes_is_not_proven() -> None:
    verdict, reason = doubts(between([(1.0, 5), (2.0, 5)], [(1.0, 9), (2.0, 9)]), ())
    assert verdict is Verdict.INCONCLUSIVE
    assert "2 met in 16 readings" in reason


def test_a_process_that_is_met_only_once_is_doubted() -> None:
    seen = between([(1.0, 5), (2.0, 5)], [(1.0, 9), (3.0, 1)])
    said = " ".join(seen.doubts.values())
    assert "2.00): was not met again" in said
    assert "3.00): was met at the end only" in said


def test_a_process_that_was_not_met_before_is_new() -> None:
    reader, address = source(turns((1.0, 5), (2.0, 5)))
    before = reader.read([A])
    address.processes = turns((1.0, 5), (3.0, 0))
    assert replaced(before, reader.read([A])) == [f"{A} (process started 3.00)"]

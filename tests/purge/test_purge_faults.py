"""What a purge does when something goes wrong, or the world moves, while it runs."""

import errno
import itertools
import json
import socket
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from drill.errors import TargetUnavailable
from drill.purge import PurgeStatus
from drill.purge import quarantine as quarantine_module
from drill.purge.budget import Budget
from drill.purge.model import OverBudget
from drill.secret import Secret
from drill.target import Pair, Target
from tests.purge.world import Forgetful, Killed, Log, World, die, documents, gone


def one_line(text: str) -> bool:
    return bool(text) and "\n" not in text


# --- guards ---------------------------------------------------------------------------------------------------------


def test_more_than_max_fraction_is_refused_and_the_plan_is_kept(world: World) -> None:
    """12 of 212 are 5.7 %: over 5 % nothing is deleted, and the plan can be looked at."""
    world.seed()
    before = world.dump()
    report = world.purge(max_fraction=0.05).run()
    assert report.status is PurgeStatus.REFUSED
    assert "5.7%" in report.reason, report.reason
    assert one_line(report.reason)
    assert (report.purged, report.left, world.dump()) == (0, 12, before)
    plan = json.loads((world.root / "drill" / "plan" / "plan.json").read_text())
    assert (plan["tenants"][0]["orphans"], plan["tenants"][0]["stale"]) == (5, 7)
    assert not any(kind.startswith("purge_") for kind in world.log.kinds())


def test_exactly_max_fraction_is_allowed(world: World) -> None:
    """The bound itself is within the bound."""
    world.faiss(documents(range(95)))
    world.write(documents(range(100)))
    assert world.purge(max_fraction=0.05).run().status is PurgeStatus.PURGED


def test_an_empty_faiss_tenant_is_refused_whatever_the_fraction(world: World) -> None:
    """An empty index makes everything an orphan: that is no reason to delete."""
    world.faiss(documents(range(1000)), "big")
    world.write(documents(range(1000)), "big")
    world.faiss({})
    world.write(documents(range(3)))
    report = world.purge(tenants=("big", "a"), max_fraction=1.0).run()
    assert (report.status, report.purged, len(world.ids())) == (PurgeStatus.REFUSED, 0, 3), report
    assert "holds no document" in report.reason


def test_a_tenant_is_never_deleted_by_more_than_half(world: World) -> None:
    """A small tenant hides in a large scope; it has a bound of its own."""
    world.faiss(documents(range(1000)), "big")
    world.write(documents(range(1000)), "big")
    world.faiss(documents(range(8)))
    world.write(documents(range(30)))
    report = world.purge(tenants=("big", "a"), max_fraction=0.5).run()
    assert (report.status, report.purged, len(world.ids())) == (PurgeStatus.REFUSED, 0, 30), report


def test_faiss_shrunken_since_it_was_last_trusted_is_refused(world: World) -> None:
    """Below 95 % of the last accepted count nothing is deleted, however little would go."""
    world.seed()
    assert world.purge(last_accepted={"a": 222}).run().status is PurgeStatus.REFUSED
    assert world.purge(last_accepted={"a": 221}).run().status is PurgeStatus.PURGED


# --- a side that cannot be read ---------------------------------------------------------------------------------------


def test_a_tenant_that_faiss_does_not_have_cannot_be_compared(world: World) -> None:
    """A missing index is no proof that its documents are orphans."""
    world.write(documents(range(3)))
    report = world.purge().run()
    assert (report.status, report.purged, len(world.ids())) == (PurgeStatus.COULD_NOT_COMPARE, 0, 3)
    assert one_line(report.reason)


def test_a_damaged_index_cannot_be_compared(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """One document less than vectors: the inventory is not complete, so nothing is deleted."""
    monkeypatch.setattr("drill.purge.inventory.RETRY_PAUSES_S", ())
    world.seed()
    docs = world.primary.path / "a" / "docs.json"
    docs.write_text(json.dumps(json.loads(docs.read_text())[:-1]))
    report = world.purge().run()
    assert (report.status, report.orphans, report.purged) == (PurgeStatus.COULD_NOT_COMPARE, None, 0)
    assert "209 documents but 210 vectors" in report.reason


@contextmanager
def black_hole() -> Iterator[int]:
    """Listen, and never say a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield int(listener.getsockname()[1])


def test_a_target_that_never_answers_costs_seconds_and_shows_no_password(world: World) -> None:
    """A black-holed server ends in ``deferred``; neither user nor password nor host is in the reason."""
    world.seed()
    with black_hole() as port:
        dsn = Secret(f"postgresql://someone:hunter2@127.0.0.1:{port}/db")
        started = time.monotonic()
        report = world.purge(target=lambda: world.target(dsn=dsn, connect_timeout_s=1)).run()
    assert time.monotonic() - started < 6
    assert (report.status, report.deferred, report.purged) == (PurgeStatus.DEFERRED, True, 0), report
    assert "no answer in time" in report.reason
    assert not [word for word in ("someone", "hunter2", "127.0.0.1") if word in report.reason]


def test_a_target_that_refuses_is_deferred_and_plan_raises(world: World) -> None:
    """Nothing listens: the report says so, and ``plan`` raises TargetUnavailable."""
    purge = world.purge(target=lambda: world.target(dsn="postgresql://u:hunter2@127.0.0.1:1/db"))
    with pytest.raises(TargetUnavailable, match="refused"):
        purge.plan()
    assert purge.run().status is PurgeStatus.DEFERRED


@pytest.mark.parametrize(
    ("method", "nth", "purged"),
    [
        pytest.param("counts", 1, 0, id="before"),
        pytest.param("scan", 1, 0, id="while scanning"),
        pytest.param("present", 1, 0, id="while looking up what stays"),
        pytest.param("export", 2, 5, id="while exporting"),
        pytest.param("delete", 2, 5, id="while deleting"),
        pytest.param("present", 2, 0, id="after a delete"),
        pytest.param("counts", 2, 12, id="while verifying"),
    ],
)
def test_a_target_that_breaks_off_is_deferred_and_a_rerun_finishes(
    world: World, method: str, nth: int, purged: int
) -> None:
    """Whenever it happens: what was done is stated, the rerun ends at zero, and quarantine = deleted."""
    seeded = world.seed()
    before = {(row[1], row[4]) for row in world.dump()}
    report = world.purge(target=world.meddling(method, nth, gone)).run()
    assert (report.status, report.purged) == (PurgeStatus.DEFERRED, purged), report
    assert f"{purged} " in report.reason
    assert "run the drill again" in report.reason
    assert world.purge().run().left == 0
    assert_quarantine_is_what_went(world, before, seeded)


class Blind:
    """A target whose look-ups find nothing, from the nth on: as where ids are numbers and texts are asked for."""

    def __init__(self, target: Target, nth: int) -> None:
        self._target = target
        self._left = nth - 1

    def present(self, tenant: str, ids: Collection[str]) -> set[Pair]:
        self._left -= 1
        return self._target.present(tenant, ids) if self._left >= 0 else set()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._target, name)


@pytest.mark.parametrize("nth", [1, 2, 3])
def test_a_look_up_that_finds_nothing_proves_nothing_gone(world: World, nth: int) -> None:
    """Documents that stay are asked for with those that are deleted: not found either, the purge stops and says so."""
    seeded = world.seed()
    before = {(row[1], row[4]) for row in world.dump()}
    report = world.purge(target=lambda: Blind(world.target(), nth)).run()
    assert report.status is PurgeStatus.DEFERRED
    assert report.purged == max(0, nth - 2) * 5
    assert "10 of 10 documents which a scan saw are not found by their id" in report.reason
    assert world.purge().run().left == 0
    assert_quarantine_is_what_went(world, before, seeded)


def assert_quarantine_is_what_went(world: World, before: set[tuple[str, str]], seeded: int) -> None:
    went = before - {(row[1], row[4]) for row in world.dump()}
    kept = [row.pair for row in world.quarantined()]
    assert (len(went), len(kept), set(kept)) == (seeded, seeded, went)
    assert world.purge().run().status is PurgeStatus.NOTHING_TO_PURGE


# --- killed -----------------------------------------------------------------------------------------------------------

KILLS = [
    *((kind, nth) for kind in ("purge_quarantine", "purge_delete", "purge_deleted") for nth in (1, 2, 3)),
    ("purge_plan", 1),
]


@pytest.mark.parametrize(("kind", "nth"), KILLS)
def test_killed_at_any_event_then_rerun_ends_at_zero(world: World, kind: str, nth: int) -> None:
    """After kill -9 at every batch boundary the rerun leaves no delta, and the quarantine is what was deleted."""
    seeded = world.seed()
    before = {(row[1], row[4]) for row in world.dump()}
    with pytest.raises(Killed):
        world.purge(log=Log().die_at(kind, nth)).run()
    assert world.purge().run().left == 0
    assert_quarantine_is_what_went(world, before, seeded)


def test_killed_between_delete_and_confirmation_keeps_the_deleted(world: World) -> None:
    """The pending part of a delete that did happen becomes its record."""
    seeded = world.seed()
    before = {(row[1], row[4]) for row in world.dump()}
    with pytest.raises(Killed):
        world.purge(target=world.meddling("present", 3, die)).run()
    assert [path.name for path in (world.root / "drill" / "quarantine").glob("*.pending.parquet")]
    assert world.purge().run().purged == seeded - 10
    assert_quarantine_is_what_went(world, before, seeded)


def test_a_part_that_was_being_written_does_not_count(world: World) -> None:
    """Scraps and old inventories of a killed purge are cleared away."""
    world.seed()
    folder = world.root / "drill" / "quarantine"
    folder.mkdir(parents=True)
    (folder / "part-000001.00.pending.parquet.tmp").write_bytes(b"half")
    (world.root / "drill" / "inventory-old").mkdir()
    world.purge().run()
    assert not list(folder.glob("*.tmp"))
    assert list(world.leftovers()) == []


# --- no time, no room -------------------------------------------------------------------------------------------------


def test_no_time_at_all_is_deferred(world: World) -> None:
    """A used-up budget compares and deletes nothing."""
    world.seed()
    report = world.purge(time_budget_s=0).run()
    assert (report.status, report.purged, len(world.ids())) == (PurgeStatus.DEFERRED, 0, 212)
    assert "time budget" in report.reason


def test_time_running_out_stops_between_batches(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is exported already is finished, the reason says how much was done, and a rerun does the rest."""
    world.seed()

    def use_up() -> None:
        monkeypatch.setattr(Budget, "check", over)

    def over(_: Budget) -> None:
        raise OverBudget("the time budget of 1 s is used up")

    report = world.purge(target=world.meddling("delete", 1, use_up)).run()
    assert (report.status, report.purged, report.left) == (PurgeStatus.DEFERRED, 10, 2)
    assert "10 of 12 documents deleted so far" in report.reason
    monkeypatch.undo()
    assert world.purge().run().purged == 2


def test_a_full_disk_deletes_nothing_that_is_not_in_quarantine(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """ENOSPC while the second part is written: five documents are gone and kept, the rest is on the target."""
    world.seed()
    real = quarantine_module.write_durably
    written: list[Path] = []

    def full(path: Path, content: bytes) -> None:
        written.append(path)
        if len(written) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(path, content)

    monkeypatch.setattr(quarantine_module, "write_durably", full)
    purge = world.purge()
    report = purge.run()
    assert (report.status, report.purged, len(world.ids())) == (PurgeStatus.DEFERRED, 5, 207)
    assert f"files of the purge, in {purge.quarantine.parent}: No space left" in report.reason
    assert len(world.quarantined()) == 5


# --- the world moves --------------------------------------------------------------------------------------------------


def test_a_document_rewritten_before_its_delete_is_kept(world: World) -> None:
    """The delete takes only the content that was exported: the new one stays, and is not in the quarantine."""
    world.faiss(documents(range(20)))
    world.write({**documents(range(19)), "d19": "old"})
    report = world.purge(target=world.meddling("delete", 1, lambda: world.write(documents([19])))).run()
    assert (report.status, report.purged, report.skipped) == (PurgeStatus.PURGED, 0, 1), report
    assert world.ids() == set(documents(range(20)))
    assert world.quarantined() == []


def test_without_hash_column_a_document_rewritten_before_its_delete_is_kept(world: World) -> None:
    """The same where the text is compared on this side."""
    world.faiss(documents(range(20)))
    world.write({**documents(range(19)), "d19": "old"})
    bare = world.target(hash_column="")
    deleted = bare.delete("a", [("d19", "0" * 64)])
    bare.close()
    assert deleted == set()
    assert "d19" in world.ids()


def test_a_document_that_faiss_took_up_meanwhile_is_spared(world: World) -> None:
    """An orphan that a newer snapshot has, with the same content, is looked up again and not deleted."""
    world.faiss(documents(range(20)))
    world.write(documents(range(22)))
    log = Log(on={("purge_plan", 1): lambda: world.faiss(documents(range(21)))})
    report = world.purge(log=log).run()
    assert (report.status, report.orphans, report.purged, report.skipped) == (PurgeStatus.PURGED, 2, 1, 1), report
    assert world.ids() == set(documents(range(21)))


@pytest.mark.parametrize("lost", [False, True])
def test_what_faiss_changes_or_loses_meanwhile_was_in_no_plan_and_is_left(world: World, *, lost: bool) -> None:
    """It agreed with the snapshot that was compared: no failure, and no reason to delete what may be the last copy."""
    world.faiss(documents(range(40)))
    world.write(documents(range(41)))
    now = {**documents(range(40)), "d7": "news"}
    if lost:
        del now["d7"]
    report = world.purge(log=Log(on={("purge_delete", 1): lambda: world.faiss(now)})).run()
    assert (report.status, report.purged, report.left, report.changed_since) == (PurgeStatus.PURGED, 1, 0, 1), report
    assert "d7" in world.ids()
    assert "FAISS changed 1 more" in report.reason


def test_what_a_target_has_not_deleted_is_tried_again_and_nothing_else(world: World) -> None:
    """A first delete that does nothing; meanwhile FAISS has lost a document that was in no plan."""
    world.faiss(documents(range(40)))
    world.write(documents(range(41)))

    def opened() -> Forgetful:
        return Forgetful(world.target(), times=1)

    log = Log(on={("purge_delete", 1): lambda: world.faiss(documents(range(39)))})
    report = world.purge(target=opened, log=log).run()
    assert (report.status, report.purged, report.left, report.changed_since) == (PurgeStatus.PURGED, 1, 0, 1), report
    assert world.ids() == set(documents(range(40)))
    assert [facts["documents"] for kind, facts in log.events if kind == "purge_plan"] == [1, 1]


def test_a_target_that_is_written_to_is_incomplete(world: World) -> None:
    """A document that differs and was not there before means that dual-write is not off."""
    world.seed()
    late = (f"late{number}" for number in itertools.count())
    log = Log(on={("purge_deleted", nth): lambda: world.write({next(late): "x"}) for nth in range(1, 9)})
    report = world.purge(log=log).run()
    assert report.status is PurgeStatus.INCOMPLETE, report
    assert "written to the target meanwhile" in report.reason


def test_a_target_that_does_not_delete_is_incomplete(world: World) -> None:
    """What the database says it deleted is no proof; the second comparison is."""
    seeded = world.seed()
    report = world.purge(target=lambda: Forgetful(world.target())).run()
    assert (report.status, report.left, report.purged) == (PurgeStatus.INCOMPLETE, seeded, 0), report
    assert world.quarantined() == []


def test_live_snapshots_never_cost_a_good_document(world: World) -> None:
    """While the service rewrites its snapshot all the time and adds documents, only the delta goes."""
    good = documents(range(400))
    world.faiss(good)
    world.write({**good, **documents(range(1000, 1010))})
    stop = threading.Event()

    def serve() -> None:
        held = dict(good)
        while not stop.wait(0.02):
            held[f"new{len(held)}"] = "x"
            with suppress(FileNotFoundError):
                world.faiss(held)

    service = threading.Thread(target=serve)
    service.start()
    try:
        report = world.purge(batch=2).run()
    finally:
        stop.set()
        service.join()
    assert (report.status, report.purged) == (PurgeStatus.PURGED, 10), report
    assert world.ids() == set(good)

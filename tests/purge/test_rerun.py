"""Whatever goes wrong in a purge: one clear line, nothing lost, and a rerun finishes."""

import errno
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from drill.purge import PurgeReport, PurgeStatus, undo
from drill.purge import quarantine as quarantine_module
from drill.target import Pair, Target
from tests.purge.world import Log, World, documents, gone


class HalfDeleting:
    """A target whose first delete takes only half of what it was given; then something happens."""

    def __init__(self, target: Target, then: Callable[[], None] = lambda: None) -> None:
        self._target = target
        self._then = then
        self._whole = False

    def delete(self, tenant: str, pairs: Collection[Pair]) -> set[str]:
        if self._whole:
            return self._target.delete(tenant, pairs)
        self._whole = True
        self._target.delete(tenant, list(pairs)[: len(pairs) // 2])
        self._then()
        return {key for key, _ in pairs}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._target, name)


@dataclass(frozen=True)
class Fault:
    """``meet``: purge into it. ``mend``: take it away. Then what the first report must say."""

    meet: Callable[[World], PurgeReport]
    mend: Callable[[World], object]
    status: PurgeStatus
    purged: int
    said: str


def refusing(world: World) -> PurgeReport:
    return world.purge(target=lambda: world.target(dsn="postgresql://u:hunter2@127.0.0.1:1/db")).run()


def half_then_gone(world: World) -> PurgeReport:
    return world.purge(target=lambda: HalfDeleting(world.target(), gone)).run()


def half_and_silent(world: World) -> PurgeReport:
    return world.purge(target=lambda: HalfDeleting(world.target())).run()


def full_at(nth: int, purge: Callable[[World], PurgeReport]) -> Callable[[World], PurgeReport]:
    """Have the disk full when the nth file of the quarantine is written, and from then on."""

    def run(world: World) -> PurgeReport:
        real = quarantine_module.write_durably
        written: list[Path] = []

        def full(path: Path, content: bytes) -> None:
            written.append(path)
            if len(written) >= nth:
                raise OSError(errno.ENOSPC, "No space left on device")
            real(path, content)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(quarantine_module, "write_durably", full)
            return purge(world)

    return run


def without_faiss(world: World) -> PurgeReport:
    (world.primary.path / "a").rename(world.primary.path / "away")
    return world.purge().run()


def without_hashes(world: World) -> PurgeReport:
    world.execute("ALTER TABLE {} RENAME content_hash TO digest")
    return world.purge().run()


def nothing(world: World) -> None:
    del world


def plain(**changes: Any) -> Callable[[World], PurgeReport]:
    return lambda world: world.purge(**changes).run()


DEFERRED = PurgeStatus.DEFERRED
FAULTS = {
    "target down before": Fault(refusing, nothing, DEFERRED, 0, "connection refused"),
    "half a batch deleted, then the target is gone": Fault(half_then_gone, nothing, DEFERRED, 0, "connection lost"),
    "half a batch deleted and the whole claimed": Fault(half_and_silent, nothing, PurgeStatus.PURGED, 12, "12 doc"),
    "disk full at the first part": Fault(full_at(1, plain()), nothing, DEFERRED, 0, "No space left"),
    "disk full at the last part": Fault(full_at(3, plain()), nothing, DEFERRED, 10, "No space left"),
    "disk full while a part is cut to what is gone": Fault(
        full_at(3, half_and_silent), nothing, DEFERRED, 7, "No space left"
    ),
    "over max_fraction": Fault(plain(max_fraction=0.05), nothing, PurgeStatus.REFUSED, 0, "allowed are 5.0%"),
    "no time": Fault(plain(time_budget_s=0), nothing, DEFERRED, 0, "time budget"),
    "tenant only on the target": Fault(
        without_faiss,
        lambda world: (world.primary.path / "away").rename(world.primary.path / "a"),
        PurgeStatus.COULD_NOT_COMPARE,
        0,
        "no such directory",
    ),
    "hash field missing": Fault(
        without_hashes,
        lambda world: world.execute("ALTER TABLE {} RENAME digest TO content_hash"),
        DEFERRED,
        0,
        "no column 'content_hash'",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_one_line_loses_nothing_and_a_rerun_finishes(world: World, name: str) -> None:
    """The quarantine holds each deleted document once, and undo brings the same bytes back."""
    fault = FAULTS[name]
    seeded = world.seed()
    before = world.dump()
    report = fault.meet(world)
    assert (report.status, report.purged) == (fault.status, fault.purged), report
    assert fault.said in report.reason
    assert "\n" not in report.reason
    fault.mend(world)
    assert_nothing_is_lost(world, before)
    again = world.purge().run()
    assert again.left == 0, again
    assert len(world.quarantined()) == seeded
    assert world.ids() == set(documents(range(200)))
    restore(world)
    assert world.dump() == before


def assert_nothing_is_lost(world: World, before: list[tuple[Any, ...]]) -> None:
    """What is not on the target any more is in the quarantine."""
    went = {(row[1], row[4]) for row in before} - {(row[1], row[4]) for row in world.dump()}
    assert went <= {row.pair for row in world.quarantined()}


def restore(world: World) -> None:
    target = world.target()
    assert undo(world.root / "drill" / "quarantine", target).complete
    target.close()


def test_what_was_written_during_a_purge_goes_with_the_rerun(world: World) -> None:
    """``incomplete`` while somebody writes; afterwards the rerun leaves no delta and keeps what was written, too."""
    seeded = world.seed()
    late = iter(documents(range(5000, 5009)).items())
    log = Log(on={("purge_deleted", nth): lambda: world.write(dict([next(late)])) for nth in range(1, 9)})
    first = world.purge(log=log).run()
    assert first.status is PurgeStatus.INCOMPLETE, first
    written = 9 - len(list(late))
    assert world.purge().run().left == 0
    assert world.ids() == set(documents(range(200)))
    assert len(world.quarantined()) == seeded + written


def test_a_tenant_that_is_empty_on_both_sides_is_nothing_to_purge(world: World) -> None:
    """No document is no divergence; the count says so."""
    world.faiss({})
    report = world.purge().run()
    assert (report.status, report.orphans, report.missing) == (PurgeStatus.NOTHING_TO_PURGE, 0, 0), report
    assert "0 documents on the target" in report.reason


def test_ids_that_the_target_cannot_hold_are_missing_there(world: World) -> None:
    """NUL and a lone surrogate in FAISS: reported, and no reason to stop."""
    world.faiss({**documents(range(20)), "nul\0id": "x", "lone \ud800": "y"})
    world.write(documents(range(21)))
    report = world.purge().run()
    assert (report.status, report.missing, report.purged) == (PurgeStatus.PURGED, 2, 1), report


@pytest.mark.parametrize("clock", ["UPDATE {} SET updated_at = NULL", "ALTER TABLE {} DROP updated_at"])
def test_no_clock_is_needed(world: World, clock: str) -> None:
    """Contents are compared, not times."""
    seeded = world.seed()
    world.execute(clock)
    report = world.purge().run()
    assert (report.status, report.purged) == (PurgeStatus.PURGED, seeded), report
    restore(world)
    assert len(world.ids()) == 212

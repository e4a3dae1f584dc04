"""What is concluded of writes that should have reached the target."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import pytest

from drill.context import Drill
from drill.errors import CannotMeasure
from drill.primary import Primary
from drill.proof import lookup
from drill.proof.canary import Bird
from drill.record import Evidence
from drill.reopen import writes
from drill.reopen.rungs import Rung
from drill.reopen.writes import WritesReached
from drill.steps import inventories
from drill.verdict import Verdict
from tests.library.world import make_drill

TOML = """
[service]
tenants = ["a", "b"]
dual_write_lag_s = 0.2
[target]
kind = "pgvector"
dsn_env = "DSN"
"""


@dataclass
class Store:
    """Stands for FAISS and the target: documents by tenant, id to hash."""

    faiss: dict[str, dict[str, str]] = field(default_factory=lambda: {"a": {"old": "1"}, "b": {"old": "1"}})
    target: dict[str, dict[str, str]] = field(default_factory=lambda: {"a": {"old": "1"}, "b": {"old": "1"}})
    arrives: dict[str, dict[str, str]] = field(default_factory=dict)
    """What gets to the target once users have written."""
    unreadable: str = ""

    def inventory(self, tenant: str) -> Iterator[tuple[str, str]]:
        if tenant == self.unreadable:
            raise CannotMeasure(f"{tenant} cannot be read")
        yield from self.faiss[tenant].items()

    def present(self, tenant: str, ids: Collection[str]) -> set[tuple[str, str]]:
        return {(name, digest) for name, digest in self.target[tenant].items() if name in ids}

    def scan(self, tenant: str) -> Iterator[Sequence[tuple[str, str]]]:
        yield list(self.target[tenant].items())

    def flush(self) -> None:
        """Everything is visible at once."""

    def close(self) -> None:
        """Nothing is held."""


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Store:
    store = Store()
    monkeypatch.setattr(Drill, "open_target", lambda _self: store)
    monkeypatch.setattr(writes, "POLL_S", 0.01)
    return store


@pytest.fixture
def reached(store: Store, tmp_path: Path) -> WritesReached:
    drill = make_drill(tmp_path, toml=TOML)
    drill.__dict__["primary"] = cast("Primary", store)
    rung = Rung("dual-write", 0.0, dual_write=True, tenants=("a",), wanted={})
    return WritesReached(drill, rung)


def after(reached: WritesReached, store: Store, **written: dict[str, str]) -> Evidence:
    """Judge a hold in which users wrote these documents, by tenant."""
    reached.begin()
    assert reached.written.stores is not None
    for tenant, items in written.items():
        store.faiss[tenant] |= items
    for tenant, items in store.arrives.items():
        store.target[tenant] |= items
    return reached.judge()


def test_writes_that_all_arrived_pass(reached: WritesReached, store: Store) -> None:
    store.arrives["a"] = {"new": "1"}
    evidence = after(reached, store, a={"new": "1"}, b={"other": "1"})
    assert evidence.verdict is Verdict.PASS
    assert (evidence.value, evidence.op, evidence.threshold, evidence.samples) == (0, "==", 0, 1)


def test_one_that_did_not_arrive_or_arrived_otherwise_is_bad(reached: WritesReached, store: Store) -> None:
    store.arrives["a"] = {"new": "1", "edited": "0"}
    evidence = after(reached, store, a={"new": "1", "edited": "1", "lost": "1"})
    assert (evidence.verdict, evidence.value) == (Verdict.FAIL, 2)


@pytest.mark.parametrize(("lost", "own"), [(("lost",), ""), (("lost", "canary"), " (1 of them the drill's own)")])
def test_of_what_is_missing_the_drill_s_own_is_told_from_users_documents(
    reached: WritesReached, store: Store, lost: tuple[str, ...], own: str
) -> None:
    """A canary that arrived is none of what is missing."""
    reached.written.canary.birds = [Bird("http://a:1", "a", name, "a text") for name in ("canary", "arrived")]
    store.arrives["a"] = {"arrived": "1"}
    evidence = after(reached, store, a={"arrived": "1", **dict.fromkeys(lost, "1")})
    assert f"{len(lost)} of {len(lost) + 1} documents written in the hold{own} are not on the target" in evidence.reason


def test_a_write_of_a_tenant_outside_the_allow_list_is_bad(reached: WritesReached, store: Store) -> None:
    store.arrives = {"a": {"new": "1"}, "b": {"other": "1"}}
    evidence = after(reached, store, a={"new": "1"}, b={"other": "1"})
    assert evidence.verdict is Verdict.FAIL
    assert "outside the allow-list" in evidence.reason


def test_no_write_at_all_proves_nothing(reached: WritesReached, store: Store) -> None:
    nothing = after(reached, store)
    assert (nothing.verdict, nothing.samples) == (Verdict.INCONCLUSIVE, 0)
    assert after(reached, store, b={"other": "1"}).verdict is Verdict.INCONCLUSIVE


def test_a_tenant_that_cannot_be_followed_is_not_passed_over(
    reached: WritesReached, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.arrives["a"] = {"new": "1"}
    store.unreadable = "b"
    assert after(reached, store, a={"new": "1"}).verdict is Verdict.INCONCLUSIVE
    store.unreadable = ""
    monkeypatch.setattr(inventories, "MAX_DOCUMENTS", 2)
    evidence = after(reached, store, a={"new": "1"})
    assert evidence.verdict is Verdict.INCONCLUSIVE
    assert "a has 2 documents or more" in evidence.reason


def test_a_tenant_that_could_not_be_read_when_the_rung_settled_is_not_followed_later(
    reached: WritesReached, store: Store
) -> None:
    store.arrives["a"] = {"new": "1"}
    store.unreadable = "b"
    reached.begin()
    assert reached.written.stores is not None
    store.unreadable = ""
    store.faiss["a"]["new"] = "1"
    evidence = reached.judge()
    assert evidence.verdict is Verdict.INCONCLUSIVE
    assert evidence.reason == "writes cannot be followed: b cannot be read"


def test_without_faiss_or_a_target_writes_cannot_be_followed(tmp_path: Path) -> None:
    rung = Rung("dual-write", 0.0, dual_write=True, tenants=("a",), wanted={})
    reached = WritesReached(make_drill(tmp_path), rung)
    reached.begin()
    evidence = reached.judge()
    assert evidence.verdict is Verdict.INCONCLUSIVE
    assert evidence.reason == "writes cannot be followed: [primary] path and [target] are needed to look documents up"


def test_stores_that_were_never_remembered_tell_nothing(reached: WritesReached) -> None:
    assert reached.judge().reason == "writes cannot be followed: [primary] path and [target] are needed"


def test_a_document_that_is_deleted_meanwhile_is_not_waited_for(
    reached: WritesReached, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.arrives["a"] = {"new": "1"}

    def slept(_seconds: float) -> None:
        store.faiss["a"].pop("gone", None)

    monkeypatch.setattr("drill.reopen.writes.time.sleep", slept)
    assert after(reached, store, a={"new": "1", "gone": "1"}).verdict is Verdict.PASS


def test_a_document_that_is_edited_again_meanwhile_may_arrive_as_it_is_now(
    reached: WritesReached, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slept(_seconds: float) -> None:
        store.faiss["a"]["new"] = store.target["a"]["new"] = "2"

    monkeypatch.setattr("drill.reopen.writes.time.sleep", slept)
    assert after(reached, store, a={"new": "1"}).verdict is Verdict.PASS


def test_a_tenant_that_cannot_be_read_meanwhile_is_waited_for_as_it_was(
    reached: WritesReached, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrives = iter([False, True])

    def slept(_seconds: float) -> None:
        store.unreadable = "a"
        store.target["a"] |= {"new": "1"} if next(arrives) else {}

    monkeypatch.setattr("drill.reopen.writes.time.sleep", slept)
    assert after(reached, store, a={"new": "1"}).verdict is Verdict.PASS


def test_more_documents_than_are_looked_up_are_neither_lost_nor_strays(
    reached: WritesReached, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookup, "MAX_LOOKED_UP", 3)
    many = {f"n{number}": "1" for number in range(10)}
    store.arrives["a"] = dict(many)
    evidence = after(reached, store, a=many, b=many)
    assert (evidence.verdict, evidence.samples) == (Verdict.PASS, 3)


def test_what_arrives_on_an_empty_target_needs_no_known_document_beside_it(
    reached: WritesReached, store: Store
) -> None:
    """A pilot tenant of which the target holds nothing yet: what is found is its own proof."""
    store.target["a"], store.arrives["a"] = {}, {"new": "1"}
    assert after(reached, store, a={"new": "1"}).verdict is Verdict.PASS
    store.target["a"], store.arrives["a"] = {}, {"other": "1"}
    evidence = after(reached, store, a={"other": "1", "lost": "1"})
    assert evidence.verdict is Verdict.INCONCLUSIVE
    assert "no document is known to be on both sides" in evidence.reason


def test_a_target_that_finds_nothing_it_holds_is_not_called_late(
    reached: WritesReached, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Look-ups that find no known document cannot tell that a new one is missing."""
    monkeypatch.setattr(Store, "present", lambda *_: set())
    evidence = after(reached, store, a={"new": "1"})
    assert evidence.verdict is Verdict.INCONCLUSIVE
    assert "the look-up proves nothing" in evidence.reason


def test_a_hash_of_another_kind_does_not_hide_what_arrived(reached: WritesReached, store: Store) -> None:
    """A target that keeps MD5 is judged by the ids that have come since, within the allow-list and outside."""
    store.target = {"a": {"old": "md5"}, "b": {"old": "md5"}}
    store.arrives["a"] = {"new": "md5-new"}
    assert after(reached, store, a={"new": "1"}, b={"other": "1"}).verdict is Verdict.PASS
    store.arrives["b"] = {"third": "md5-third"}
    assert after(reached, store, a={"fourth": "1"}, b={"third": "1"}).verdict is Verdict.FAIL

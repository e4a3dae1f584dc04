"""Dual-write is off only where a document, or the process, says so: silence and a restart are no proof."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from drill.proof import stores as stores_module
from drill.proof.lookup import LookUp, _uncontrolled
from drill.proof.strangers import some_of
from drill.record import Evidence
from drill.verdict import Verdict
from tests.library.world import A, B
from tests.proof.stores import TOML, Stores, attach, documents, drill_on, judged, watched

NEW = {"n1": "x1", "n2": "x2"}


def test_documents_that_users_wrote_and_that_did_not_arrive_prove_it(tmp_path: Path) -> None:
    """Each instance took writes, none of them is on the target, and known documents were found beside them."""
    evidence = judged(drill_on(tmp_path, stores := Stores()), stores, a=NEW)
    assert (evidence.verdict, evidence.proof) == (Verdict.PASS, "effect")
    assert evidence.reason.startswith("proven by effect: 2 documents written since the reload, none of them")
    assert evidence.detail["known documents found beside"] == 25


@dataclass
class Closed(Stores):
    """A target that says that no write comes to it."""

    says: str = "the target is a replica"

    def takes_no_writes(self) -> str:
        return self.says


@pytest.mark.parametrize(
    ("says", "arrived", "verdict"),
    [("", False, Verdict.PASS), ("x is", False, Verdict.INCONCLUSIVE), ("x is", True, Verdict.FAIL)],
)
def test_a_target_that_no_write_comes_to_proves_nothing_by_what_is_not_there(
    tmp_path: Path, says: str, arrived: bool, verdict: Verdict
) -> None:
    """A replica may be behind, and a server that takes no writes refuses a dual-write, too; what is there is there."""
    stores = Closed(says=says and "the target is a replica")
    if arrived:
        stores.on_write = lambda: stores.target["a"].update(NEW)  # type: ignore[attr-defined]
    evidence = judged(drill_on(tmp_path, stores), stores, a=NEW)
    assert evidence.verdict is verdict
    told = "the target is a replica: that documents are not there proves nothing"
    assert (told in evidence.reason) is (verdict is Verdict.INCONCLUSIVE)


def test_an_unknown_reason_of_skipped_writes_is_a_remark_where_no_document_arrived(tmp_path: Path) -> None:
    """Without documents that prove it, the reason and the key that names it are what is missing."""
    skips = {"retrieval_dual_write_skipped_total{reason=cold_store}": 4.0}
    evidence = judged(drill_on(tmp_path, stores := Stores()), stores, a=NEW, seen=watched(more=skips))
    assert evidence.verdict is Verdict.PASS
    assert 'skipped{reason="cold_store"} +4' in evidence.reason


@pytest.mark.parametrize(("writes", "reason"), [({}, "cold_store"), (NEW, "retry_later")])
def test_an_unknown_reason_proves_nothing_by_itself(tmp_path: Path, writes: dict[str, str], reason: str) -> None:
    """A write that sounds held back did not stay away because of the flag."""
    skips = {f"retrieval_dual_write_skipped_total{{reason={reason}}}": 4.0}
    evidence = judged(drill_on(tmp_path, stores := Stores()), stores, a=writes, seen=watched(more=skips))
    assert evidence.verdict is Verdict.INCONCLUSIVE
    assert f'skipped{{reason="{reason}"}} +4' in evidence.reason
    assert "[metrics.values] flag_off" in evidence.reason


def test_a_restart_and_silence_are_inconclusive(tmp_path: Path) -> None:
    """Nobody wrote, no counter moved: whatever the file says, nothing shows what the service does."""
    evidence = judged(drill_on(tmp_path, stores := Stores()), stores)
    assert (evidence.verdict, evidence.proof) == (Verdict.INCONCLUSIVE, "restart")
    assert "by a restart only" in evidence.reason
    assert "[canary] tenant" in evidence.reason


def test_users_writes_that_cannot_be_looked_up_are_no_proof(tmp_path: Path) -> None:
    """A dual-write that works moves no counter, so writes and silence without a look-up prove nothing."""
    evidence = judged(drill_on(tmp_path, stores := Stores(down=True)), stores, a=NEW)
    assert evidence.verdict is Verdict.INCONCLUSIVE
    assert "does not answer" in evidence.reason


def test_an_instance_that_was_not_written_to_is_not_proven_by_the_other(tmp_path: Path) -> None:
    """One instance's obedience says nothing of the next one."""
    evidence = judged(drill_on(tmp_path, stores := Stores()), stores, a=NEW, seen=watched([A]))
    assert evidence.verdict is Verdict.INCONCLUSIVE
    assert "on b:2" in evidence.reason
    assert evidence.detail["proof a:1"] == "proven by effect"


def test_a_document_that_arrived_fails_whatever_its_hash(tmp_path: Path) -> None:
    """A target that keeps MD5 hides nothing: the id was not there when the service settled, and is now."""
    stores = Stores(target={"a": documents(40, "md5-"), "b": documents(40, "md5-")})
    stores.on_write = lambda: stores.target["a"].update(n1="md5-x1")  # type: ignore[attr-defined]
    evidence = judged(drill_on(tmp_path, stores), stores, a=NEW)
    assert (evidence.verdict, evidence.value) == (Verdict.FAIL, 1)


def test_edits_of_documents_on_a_target_with_other_hashes_prove_nothing(tmp_path: Path) -> None:
    """Where no hash has ever agreed, a copy that stays as it was may be one that was never hashed anew: it is said."""
    stores = Stores(target={"a": documents(40, "md5-"), "b": documents(40, "md5-")})
    evidence = judged(drill_on(tmp_path, stores), stores, a={"d1": "edited"})
    assert evidence.verdict is Verdict.INCONCLUSIVE
    assert "no hash of the target agrees with FAISS" in evidence.reason


def test_a_stale_copy_and_an_orphan_of_the_past_are_not_taken_for_fresh(tmp_path: Path) -> None:
    """What the target had when the service settled, and still has, was not written since."""
    stores = Stores()
    stores.target["a"] |= {"d1": "stale", "n1": "orphan"}
    evidence = judged(drill_on(tmp_path, stores), stores, a={"d1": "edited", "n1": "x1"})
    assert (evidence.verdict, evidence.proof) == (Verdict.PASS, "effect")


def test_a_look_up_that_does_not_find_what_is_there_proves_nothing(tmp_path: Path) -> None:
    """Ids that are listed and cannot be looked up (integers looked up as texts) make the row inconclusive, by name."""
    evidence = judged(drill_on(tmp_path, stores := Stores(deaf=True)), stores, a=NEW)
    assert evidence.verdict is Verdict.INCONCLUSIVE
    assert "0 of 25 documents that are known to be on the target were found" in evidence.reason


def test_a_target_without_a_known_document_has_no_control(tmp_path: Path) -> None:
    """An empty target, or the wrong table, finds nothing either."""
    evidence = judged(drill_on(tmp_path, stores := Stores(target={})), stores, a=NEW)
    assert evidence.verdict is Verdict.INCONCLUSIVE
    assert "no document is known to be on both sides" in evidence.reason


def test_a_target_too_large_to_be_listed_is_judged_by_what_can_be_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """New documents that are not there prove it; one that is there, of unknown age, takes the proof away."""
    monkeypatch.setattr(stores_module, "MAX_DOCUMENTS", 10)
    drill = drill_on(tmp_path, stores := Stores())
    proven = judged(drill, stores, a=NEW)
    assert (proven.verdict, proven.detail["known documents found beside"]) == (Verdict.PASS, 25)
    stores = Stores()
    stores.target["a"]["n1"] = "something"
    doubtful = judged(attach(drill, stores), stores, a=NEW)
    assert doubtful.verdict is Verdict.INCONCLUSIVE
    assert "it is not known since when" in doubtful.reason


@pytest.mark.parametrize(
    ("text", "verdict"), [("edited", Verdict.FAIL), ("h1", Verdict.PASS), ("", Verdict.INCONCLUSIVE)]
)
def test_a_hash_column_that_stayed_counts_only_with_its_text(tmp_path: Path, text: str, verdict: Verdict) -> None:
    """An upsert may set the text and leave the hash: the text decides, and without one nothing is told."""
    stores = Stores()
    stores.by_text = Stores(target={"a": {"d1": text}})  # type: ignore[attr-defined]
    assert judged(drill_on(tmp_path, stores), stores, a={"d1": "edited"}).verdict is verdict


def test_what_comes_to_the_target_under_ids_of_its_own_is_named(tmp_path: Path) -> None:
    """A writer that stores chunks under other ids: the look-up of FAISS ids alone would call it off."""
    stores = Stores()
    stores.on_write = lambda: stores.target["a"].update({"n1#0": "x"})  # type: ignore[attr-defined]
    evidence = judged(drill_on(tmp_path, stores), stores, a=NEW)
    assert evidence.verdict is Verdict.INCONCLUSIVE
    assert "1 document that FAISS has not came to the target since: a/n1#0" in evidence.reason


def test_a_slow_dual_write_is_waited_for(tmp_path: Path) -> None:
    """A document that is not there yet is looked up again when a dual-write would have arrived."""

    class Slow(Stores):
        def present(self, tenant: str, ids: Any) -> set[tuple[str, str]]:
            found = super().present(tenant, ids)
            self.target["a"]["n1"] = "x1"
            return found

    toml = TOML.replace("dual_write_lag_s = 0.0", "dual_write_lag_s = 0.05")
    assert judged(drill_on(tmp_path, stores := Slow(), toml=toml), stores, a=NEW).verdict is Verdict.FAIL


def test_counters_that_moved_fail_even_where_documents_did_not_arrive(tmp_path: Path) -> None:
    """What was seen and is bad stays so."""
    moved = Evidence(Verdict.FAIL, "dual-write moved: a:1 errors +3")
    assert judged(drill_on(tmp_path, stores := Stores()), stores, evidence=moved, a=NEW).verdict is Verdict.FAIL


def test_metrics_that_cannot_be_read_are_not_made_good_by_documents(tmp_path: Path) -> None:
    """An error of the metrics stays one, with what was looked up beside it."""
    unread = Evidence(Verdict.ERROR, "dual-write: a:1 does not answer")
    evidence = judged(drill_on(tmp_path, stores := Stores()), stores, evidence=unread, a=NEW)
    assert evidence.verdict is Verdict.ERROR
    assert evidence.detail["of them looked up"] == 2


def test_without_stores_nothing_can_be_looked_up(tmp_path: Path) -> None:
    """The reason says what is missing."""
    stores = Stores()
    drill = drill_on(tmp_path, stores)
    drill.__dict__["primary"] = None
    evidence = judged(drill, stores)
    assert evidence.verdict is Verdict.INCONCLUSIVE
    assert "what users write cannot be followed: set [primary] path" in evidence.reason


def test_every_call_is_bounded_and_has_its_controls(tmp_path: Path) -> None:
    """A thousand new documents are looked up in calls of 500 and 25 controls each."""
    stores = Stores()
    judged(drill_on(tmp_path, stores), stores, a={f"n{number}": "x" for number in range(1000)})
    assert stores.asked == [525, 525] * 2


def test_instances_with_names_of_their_own_are_all_proven_or_none(tmp_path: Path) -> None:
    """Where the metrics call instances otherwise, nobody knows which is which."""
    toml = TOML.replace(f'["{A}", "{B}"]', '["http://10.0.0.1:1", "http://10.0.0.2:1"]')
    drill = drill_on(tmp_path, stores := Stores(), toml=toml)
    assert judged(drill, stores, a=NEW).verdict is Verdict.PASS
    one = judged(attach(drill, stores := Stores()), stores, a=NEW, seen=watched([B]))
    assert one.verdict is Verdict.INCONCLUSIVE


@dataclass
class OfNumbers(Stores):
    """A target whose ids are whole numbers."""

    def possible(self, ids: Collection[str]) -> list[str]:
        return [name for name in ids if name.isdecimal()]


def test_what_the_target_cannot_hold_is_not_missed_there(tmp_path: Path) -> None:
    """A document that no writer could bring to the target proves nothing by being absent; one that it could, does."""
    numbers = {"a": {str(number): f"h{number}" for number in range(40)}}
    drill = drill_on(tmp_path, stores := OfNumbers(faiss=dict(numbers), target=dict(numbers)))
    evidence = judged(drill, stores, a={"canary-0": "x1", "canary-1": "x2"})
    assert (evidence.verdict, evidence.proof) == (Verdict.INCONCLUSIVE, "restart")
    assert "of a type that cannot hold those of 2 documents written since" in evidence.reason
    evidence = judged(drill, stores, a={"canary-2": "x3", "900": "x4"})
    assert (evidence.verdict, evidence.proof) == (Verdict.PASS, "effect")
    assert "proven by effect: 1 document written since the reload" in evidence.reason
    assert "cannot hold those of 1 documents" in evidence.reason


@pytest.mark.parametrize(("names", "said"), [("abc", "a, b, c"), ("abcde", "a, b, c and 2 more")])
def test_some_of_many_names_are_shown_and_the_rest_is_counted(names: str, said: str) -> None:
    assert some_of(list(names)) == said


@pytest.mark.parametrize(
    ("known", "found", "proves"), [(20, 20, True), (20, 18, True), (20, 17, False), (1, 0, False), (0, 0, False)]
)
def test_a_look_up_that_misses_more_than_one_in_ten_known_documents_proves_nothing(
    known: int, found: int, proves: bool
) -> None:
    """Users may have deleted one or two meanwhile."""
    assert (_uncontrolled("a", known, found) == "") is proves


def test_a_look_up_of_nothing_has_found_no_known_document() -> None:
    assert (LookUp().reached, LookUp().controls) == (0, 0)

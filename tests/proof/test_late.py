"""The second look: what comes to the target after step 1 makes its row worse, and nothing makes it better."""

import struct
import threading
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

import pytest

from drill.content_hash import content_hash
from drill.context import Drill
from drill.errors import CannotMeasure
from drill.proof import late
from drill.proof.late import look_again
from drill.purge.quarantine import Quarantine
from drill.record import Evidence
from drill.rollback import Rollback
from drill.steps import reopen
from drill.steps.witness import WriteWitness
from drill.target.base import Row
from drill.verdict import Outcome, Verdict
from tests.proof.desk import DELETES, Desk
from tests.proof.stores import QUIET, Stores, drill_on, watched

NEW = {"n1": "x1", "n2": "x2"}


class Held(Stores):
    """Stores from which documents may be deleted."""

    def delete(self, tenant: str, pairs: Collection[tuple[str, str]]) -> set[str]:
        return {name for name, _ in pairs if self.target[tenant].pop(name, None)}


def first_look(folder: Path, stores: Stores, verdict: Verdict = Verdict.PASS) -> Drill:
    """Return a drill that has looked once at what users wrote, with this verdict in the row."""
    drill = drill_on(folder, stores)
    witness = WriteWitness(drill)
    witness.begin()
    assert witness.written.stores.faiss
    stores.faiss["a"] = {**stores.faiss["a"], **NEW}
    evidence = witness.judge(QUIET, watched())
    assert (evidence.verdict, evidence.proof) == (Verdict.PASS, "effect")
    witness.end()
    drill.record.entries[late.ROW].evidence = evidence.judged(verdict, evidence.reason)
    drill.witness = witness
    return drill


def purge(drill: Drill, stores: Stores, **doomed: str) -> None:
    """Delete documents of tenant ``a`` as step 2 does: they are in the quarantine, with their hashes."""
    quarantine = Quarantine(drill.work_dir / "quarantine")
    quarantine.open()
    rows = [Row(name, digest, struct.pack("<f", 0.5), "{}") for name, digest in doomed.items()]
    quarantine.confirm(quarantine.put("a", rows), rows, rows)
    drill.record.purge.purged = len(rows)
    for name in doomed:
        stores.target["a"].pop(name, None)


def second_look(drill: Drill) -> Evidence:
    """Look again, and return the row."""
    look_again(drill)
    return drill.record.entries[late.ROW].evidence


@pytest.mark.parametrize("before", [Verdict.PASS, Verdict.INCONCLUSIVE, Verdict.ERROR])
def test_a_document_that_came_late_fails_the_row(tmp_path: Path, before: Verdict) -> None:
    """Whatever the row was; what was seen at first is said beside it, and it proves nothing any more."""
    drill = first_look(tmp_path, stores := Held(), before)
    stores.target["a"]["n1"] = "x1"
    evidence = second_look(drill)
    assert (evidence.verdict, evidence.proof) == (Verdict.FAIL, "")
    assert evidence.reason.startswith("at the end of the drill: 1 of 2 documents written since the reload came to the")
    assert "(25 known documents found in the same calls): dual-write is still on; at first: proven" in evidence.reason
    assert '"disable_dual_write"' in drill.events.path.read_text()
    seen = "FF_RETRIEVAL_DUAL_WRITE=OFF (seen at the end of the drill)"
    assert drill.record.next_step.startswith(f"not obeyed by an instance that is not known: {seen}. Find what sets")


def test_what_stays_away_leaves_the_row_as_it_was(tmp_path: Path) -> None:
    """The details say that it was looked up again, beside known documents."""
    drill = first_look(tmp_path, Held())
    first = drill.record.entries[late.ROW].evidence
    evidence = second_look(drill)
    assert (evidence.verdict, evidence.reason, evidence.proof) == (first.verdict, first.reason, first.proof)
    assert (evidence.detail["looked up again at the end"], evidence.detail["known documents found again"]) == (2, 25)
    assert drill.record.next_step == ""


def test_what_users_write_after_the_first_look_is_looked_up_too(tmp_path: Path) -> None:
    """A document of the observation window that is on the target fails the row as well."""
    drill = first_look(tmp_path, stores := Held())
    stores.faiss["a"]["n3"] = stores.target["a"]["n3"] = "x3"
    assert second_look(drill).verdict is Verdict.FAIL


def test_a_target_that_is_down_by_then_changes_no_verdict(tmp_path: Path) -> None:
    """The details say why it could not be looked up."""
    drill = first_look(tmp_path, stores := Held())
    stores.down = True
    evidence = second_look(drill)
    assert (evidence.verdict, evidence.proof) == (Verdict.PASS, "effect")
    assert (evidence.detail["looked up again at the end"], evidence.detail["the second look"]) == (
        0,
        "the target does not answer",
    )


def test_a_look_that_takes_too_long_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The drill ends all the same."""
    monkeypatch.setattr(late, "AGAIN_S", 0.05)
    drill, held = first_look(tmp_path, stores := Held()), threading.Event()
    stores.__dict__["flush"] = lambda: held.wait(30)
    evidence = second_look(drill)
    held.set()
    assert evidence.verdict is Verdict.PASS
    assert "no answer in time" in str(evidence.detail["looked up again at the end"])


def test_a_look_without_its_control_says_so(tmp_path: Path) -> None:
    """What is not found then proves nothing new, and takes nothing back."""
    drill = first_look(tmp_path, stores := Held())
    stores.deaf = True
    evidence = second_look(drill)
    assert evidence.verdict is Verdict.PASS
    assert "0 of 25 documents that are known to be on the target" in str(evidence.detail["the second look"])


@pytest.mark.parametrize(
    ("before", "after"),
    [(Verdict.PASS, Verdict.ERROR), (Verdict.ERROR, Verdict.ERROR), (Verdict.FAIL, Verdict.FAIL)],
)
def test_a_defect_of_the_look_is_no_pass(tmp_path: Path, before: Verdict, after: Verdict) -> None:
    """It is an error of the row, named; a worse verdict stays."""
    drill = first_look(tmp_path, stores := Held(), before)
    stores.__dict__["flush"] = lambda: 1 / 0
    evidence = second_look(drill)
    assert (evidence.verdict, "the second look failed" in evidence.reason) == (after, before is Verdict.PASS)


@pytest.mark.parametrize(("proof", "verdict"), [("effect", Verdict.INCONCLUSIVE), ("process", Verdict.PASS)])
def test_another_copy_than_at_first_takes_back_what_was_proven_by_its_absence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, proof: str, verdict: Verdict
) -> None:
    """An old document that a user edited and the target did not have: whose copy it has now, nothing tells."""
    monkeypatch.setattr("tests.proof.test_late.NEW", {**NEW, "d0": "edited"})
    stores = Held()
    del stores.target["a"]["d0"]
    drill = first_look(tmp_path, stores)
    entry = drill.record.entries[late.ROW]
    entry.evidence = replace(entry.evidence, proof=proof)
    stores.target["a"]["d0"] = "older"
    evidence = second_look(drill)
    assert evidence.verdict is verdict
    said = "1 document written since the reload with another copy on the target than at first"
    assert (said in evidence.reason) is (verdict is not Verdict.PASS)


def test_a_damaged_quarantine_hides_nothing(tmp_path: Path) -> None:
    """What has come late is found all the same."""
    drill = first_look(tmp_path, stores := Held())
    purge(drill, stores, o1="orphan")
    part = next((drill.work_dir / "quarantine").glob("part-*"))
    part.write_bytes(part.read_bytes()[:-1])
    stores.target["a"]["n1"] = "x1"
    assert second_look(drill).verdict is Verdict.FAIL


def test_it_is_looked_once(tmp_path: Path) -> None:
    """What comes after the second look is somebody else's: a re-opening writes to the target."""
    drill = first_look(tmp_path, stores := Held())
    second_look(drill)
    stores.target["a"]["n1"] = "x1"
    assert second_look(drill).verdict is Verdict.PASS


def test_nothing_is_reopened_on_a_dual_write_that_came_late(tmp_path: Path) -> None:
    """It is looked before the first rung, from which on the target may be written to."""
    drill = first_look(tmp_path, stores := Held())
    evidence = drill.record.entries[late.ROW].evidence
    for name, entry in drill.record.entries.items():
        entry.required, entry.evidence = not name.startswith("reopen."), Evidence(Verdict.PASS, "seen")
    drill.record.entries[late.ROW].evidence = evidence
    drill.reopen = drill.record.apply = True
    stores.target["a"]["n1"] = "x1"
    outcome, seen = reopen.shadow_read(drill, Rollback(drill))
    assert (outcome, late.ROW in seen.reason) == (Outcome.REFUSED, True)


def test_what_the_purge_has_deleted_is_not_missed(tmp_path: Path) -> None:
    """Neither as a known document nor as one that was there."""
    stores = Held()
    stores.target["a"] |= {"d1": "stale", "o1": "orphan"}
    drill = first_look(tmp_path, stores)
    purge(drill, stores, d1="stale", o1="orphan")
    evidence = second_look(drill)
    assert (evidence.verdict, evidence.detail["known documents found again"]) == (Verdict.PASS, 25)


@pytest.mark.parametrize(
    ("name", "digest", "verdict"),
    [("d1", "h1", Verdict.FAIL), ("d1", "stale", Verdict.INCONCLUSIVE), ("o1", "orphan", Verdict.INCONCLUSIVE)],
)
def test_what_comes_back_after_the_purge_is_said(tmp_path: Path, name: str, digest: str, verdict: Verdict) -> None:
    """As FAISS has it, it was written by a dual-write; otherwise somebody writes there."""
    stores = Held()
    stores.target["a"] |= {"d1": "stale", "o1": "orphan"}
    drill = first_look(tmp_path, stores)
    purge(drill, stores, d1="stale", o1="orphan")
    stores.target["a"][name] = digest
    evidence = second_look(drill)
    assert evidence.verdict is verdict
    assert (
        f"is on the target again{', as FAISS has it' if verdict is Verdict.FAIL else ''}: a/{name}" in evidence.reason
    )


@pytest.mark.parametrize(("name", "digest"), [("o9", "orphan"), ("d1", "older")])
def test_what_came_before_the_purge_and_went_with_it_is_found(tmp_path: Path, name: str, digest: str) -> None:
    """An orphan, or another copy, that was not on the target when the service settled: the quarantine tells."""
    stores = Held()
    stores.target["a"]["d1"] = "stale"
    drill = first_look(tmp_path, stores)
    purge(drill, stores, **{name: digest})
    evidence = second_look(drill)
    assert evidence.verdict is Verdict.INCONCLUSIVE
    assert f"had come to the target only since the reload: a/{name}" in evidence.reason


def test_a_stranger_on_the_target_makes_the_row_inconclusive(tmp_path: Path) -> None:
    """As at the first look."""
    drill = first_look(tmp_path, stores := Held())
    stores.target["a"]["n1#0"] = "x"
    evidence = second_look(drill)
    assert evidence.verdict is Verdict.INCONCLUSIVE
    assert "1 document that FAISS has not came to the target since: a/n1#0" in evidence.reason


def canary_looked_at(desk: Desk) -> tuple[Drill, WriteWitness]:
    """Return a drill whose canaries were looked at once and removed, and its witness."""
    drill = desk.drill(more=DELETES)
    witness = WriteWitness(drill)
    witness.begin()
    drill.record.entries[late.ROW].evidence = witness.judge(QUIET, desk.window())
    desk.left = witness.end()
    drill.witness = witness
    return drill, witness


@pytest.mark.parametrize("name", ["rollback-drill-canary-0", "rollback-drill-canary-0-0", "5f1c-by-uuid5"])
def test_a_canary_that_comes_late_fails_the_row_and_is_removed(desk: Desk, name: str) -> None:
    """Under its own id, a derived one, or one that only its hash tells."""
    drill, witness = canary_looked_at(desk)
    desk.stores.target["a"][name] = content_hash(witness.canary.birds[0].text)
    evidence = second_look(drill)
    assert evidence.verdict is Verdict.FAIL
    assert f"the canary came to the target late: a/{name}" in evidence.reason
    assert evidence.reason.endswith("; it has been removed")
    assert len(desk.stores.target["a"]) == 40


@pytest.mark.parametrize("lost", [True, False])
def test_a_lost_canary_is_looked_up_by_its_own_id_also_where_nothing_can_be_listed(desk: Desk, lost: bool) -> None:
    """FAISS never had it; of a tenant that is too large nobody lists what else has come."""
    drill, witness = canary_looked_at(desk)
    for bird in witness.canary.birds:
        bird.stored = "" if lost else bird.stored
    object.__setattr__(witness.written.stores, "target", {})
    witness.fresh = {}
    desk.stores.target["a"]["rollback-drill-canary-0"] = content_hash(witness.canary.birds[0].text)
    assert (second_look(drill).verdict is Verdict.FAIL) is lost


def test_a_canary_that_went_with_the_purge_fails_the_row(desk: Desk) -> None:
    """It came between the two looks, and is in the quarantine."""
    drill, _ = canary_looked_at(desk)
    purge(drill, desk.stores, **{"rollback-drill-canary-0": "any"})
    evidence = second_look(drill)
    assert evidence.verdict is Verdict.FAIL
    assert "the purge met the canary on the target: a/rollback-drill-canary-0" in evidence.reason


def test_a_canary_that_comes_to_faiss_late_is_removed(desk: Desk) -> None:
    """A service that writes a minute later keeps nothing of the drill."""
    desk.services[0].drops = True
    drill, witness = canary_looked_at(desk)
    assert "may be left" in desk.left[0]
    lost = [bird for bird in witness.canary.birds if bird.lost]
    for bird in lost:
        desk.stores.faiss[bird.tenant][bird.id] = content_hash(bird.text)
    evidence = second_look(drill)
    assert evidence.verdict is Verdict.INCONCLUSIVE
    assert "the canary came to FAISS late: " in evidence.reason
    assert (len(lost), desk.canaries()) == (2, [])


def test_a_late_canary_that_cannot_be_removed_is_named(desk: Desk) -> None:
    """The verdict stays what the look has shown."""
    drill, witness = canary_looked_at(desk)
    desk.stores.target["b"]["rollback-drill-canary-1"] = content_hash(witness.canary.birds[1].text)

    def refuse(tenant: str, pairs: Collection[tuple[str, str]]) -> set[str]:
        raise CannotMeasure("may not delete")

    desk.stores.__dict__["delete"] = refuse
    evidence = second_look(drill)
    assert evidence.verdict is Verdict.FAIL
    assert "whether the canary is left on the target is not known: may not delete" in evidence.reason

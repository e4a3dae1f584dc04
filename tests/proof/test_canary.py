"""The canary: written through each instance, waited for, looked up, and gone from both stores afterwards."""

from typing import Any
from unittest.mock import Mock
from uuid import UUID

import pytest

from drill import config
from drill.content_hash import content_hash
from drill.context import Drill
from drill.errors import PrimaryUnreadable
from drill.proof import canary as canary_module
from drill.proof.canary import Bird, Canary
from drill.proof.letters import filled
from drill.proof.sent import UNLISTED, proof_requests
from drill.proof.stores import Stores as ProofStores
from drill.proof.strangers import carries
from drill.purge.reserved import without_canaries
from drill.steps import inventories as inventories_module
from drill.steps.witness import WriteWitness
from drill.verdict import Verdict
from tests.library.server import as_json
from tests.proof.desk import DELETES, Desk, Service
from tests.proof.stores import QUIET, Stores


def test_a_canary_through_each_instance_proves_them_without_any_user(desk: Desk) -> None:
    """One for each instance and tenant, none of them on the target, and none left anywhere."""
    evidence = desk.judged(desk.drill(more=DELETES))
    assert (evidence.verdict, evidence.proof) == (Verdict.PASS, "effect")
    assert "4 documents written since the reload, 4 of them by the drill" in evidence.reason
    assert (desk.left, desk.canaries()) == ([], [])


def test_one_instance_that_still_dual_writes_is_named(desk: Desk) -> None:
    """What it wrote is taken off the target again, and nothing else is."""
    desk.services[1].dual_write = True
    evidence = desk.judged(desk.drill(more=DELETES))
    assert evidence.verdict is Verdict.FAIL
    assert f"written through {desk.services[1].url.removeprefix('http://')} (a)" in evidence.reason
    assert desk.services[0].url.removeprefix("http://") not in evidence.reason
    assert (desk.left, desk.canaries()) == ([], [])
    assert len(desk.stores.target["a"]) == 40


def test_a_dry_run_writes_none(desk: Desk) -> None:
    """Whatever the configuration says."""
    evidence = desk.judged(desk.drill(apply=False, more=DELETES))
    assert evidence.verdict is Verdict.INCONCLUSIVE
    assert [asked for service in desk.services for asked in service.asked] == []


def test_none_is_written_where_none_is_configured(desk: Desk) -> None:
    """It is off by default."""
    desk.judged(desk.drill(canary="", more=DELETES))
    assert [asked for service in desk.services for asked in service.asked] == []


def test_a_write_that_is_answered_and_dropped_proves_nothing(desk: Desk) -> None:
    """A canary that FAISS does not have would not be on the target either way."""
    desk.services[0].drops = True
    evidence = desk.judged(desk.drill(more=DELETES))
    assert evidence.verdict is Verdict.INCONCLUSIVE
    assert "took the canary, and FAISS has it not" in evidence.reason
    assert f"on {desk.services[0].url.removeprefix('http://')} (" in evidence.reason


def test_a_write_that_is_refused_proves_nothing(desk: Desk) -> None:
    """The instance is named, and what it answered."""
    desk.services[1].status = 503
    evidence = desk.judged(desk.drill(more=DELETES))
    assert evidence.verdict is Verdict.INCONCLUSIVE
    assert "did not take the canary: HTTP 503" in evidence.reason


def test_a_canary_that_arrives_under_another_id_is_found(desk: Desk) -> None:
    """It is counter-evidence, not an orphan for the purge."""
    desk.services[1].dual_write, desk.services[1].chunk = True, "#0"
    evidence = desk.judged(desk.drill(more=DELETES))
    assert evidence.verdict is Verdict.FAIL
    assert "the canary has come to the target under another id (a/rollback-drill-canary-2#0" in evidence.reason


def test_one_tenant_proves_no_other(desk: Desk) -> None:
    """The canary is written in one tenant only: dual-write may be on in the other, which is named."""
    evidence = desk.judged(desk.drill(canary="a", more=DELETES))
    assert (evidence.verdict, evidence.proof) == (Verdict.INCONCLUSIVE, "restart")
    assert "b: nothing written there is known to have stayed away from the target" in evidence.reason


def test_a_tenant_without_a_known_document_on_both_sides_is_not_proven(desk: Desk) -> None:
    """Nothing would have been found in it either way."""
    desk.stores.target["b"] = {}
    evidence = desk.judged(desk.drill(more=DELETES))
    assert evidence.verdict is Verdict.INCONCLUSIVE
    assert "b: nothing written there" in evidence.reason


def test_a_canary_refused_in_one_tenant_leaves_the_instance_open(desk: Desk) -> None:
    """The other instance's canary in that tenant says nothing of this one."""
    desk.services[0].refuses = "b"
    evidence = desk.judged(desk.drill(more=DELETES))
    assert evidence.verdict is Verdict.INCONCLUSIVE
    assert f"on {desk.services[0].url.removeprefix('http://')} (" in evidence.reason


def test_a_service_that_cannot_delete_leaves_it_and_the_next_drill_takes_it_up(desk: Desk) -> None:
    """What is left is said; it is written again by the next drill, not beside it."""
    drill = desk.drill()
    evidence = desk.judged(drill)
    assert evidence.verdict is Verdict.PASS
    names = ", ".join(f"{tenant}/rollback-drill-canary-{number}" for tenant, number in ("a0", "a2", "b1", "b3"))
    assert desk.left == [f"the canary is left in FAISS: {names} ([service] delete_path is not set)"]
    drill.record.drill_id = "the-next-one"
    evidence = desk.judged(drill)
    assert evidence.verdict is Verdict.PASS
    assert len(desk.canaries()) == 4


def test_a_service_that_says_deleted_and_does_not_is_found_out(desk: Desk) -> None:
    """FAISS is looked at, not the answer."""
    desk.services[0].keeps = desk.services[1].keeps = True
    desk.judged(desk.drill(more=DELETES))
    assert "(the service has not deleted it)" in desk.left[0]


def test_what_a_killed_drill_left_is_removed_by_the_next(desk: Desk) -> None:
    """From both stores, also canaries of more instances than there are now; a user's document is not touched."""
    desk.stores.faiss["a"] |= {"rollback-drill-canary-0": "old", "rollback-drill-canary-99": "old"}
    desk.stores.faiss["b"] |= {"rollback-drill-canary-recipes": "a user's"}
    desk.stores.target["a"] |= {"rollback-drill-canary-99": "old"}
    drill = desk.drill(more=DELETES)
    evidence = desk.judged(drill)
    assert evidence.verdict is Verdict.PASS
    assert desk.canaries() == ["rollback-drill-canary-recipes"]
    assert drill.swept == {"a": {"rollback-drill-canary-0", "rollback-drill-canary-99"}}


def test_it_is_removed_whatever_ends_the_step(desk: Desk) -> None:
    """Also where the drill is interrupted while it waits."""
    witness = WriteWitness(desk.drill(more=DELETES))
    witness.begin()
    assert witness.end() == []
    assert desk.canaries() == []


def test_what_is_about_to_be_written_stands_in_the_events_first(desk: Desk) -> None:
    """How a killed drill is found."""
    drill = desk.drill(more=DELETES)
    Canary(drill).announce()
    assert '"canary"' in drill.events.path.read_text()
    assert desk.canaries() == []


def test_many_instances_and_tenants_get_one_each(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The number of canaries is bounded, and none of either is left out."""
    monkeypatch.setattr(canary_module, "MOST", 3)
    canary = Canary(desk.drill())
    canary.announce()
    assert [(bird.url, bird.tenant) for bird in canary.birds] == [
        (desk.services[0].url, "a"),
        (desk.services[1].url, "b"),
    ]


def test_the_one_address_of_instances_that_are_not_listed_gets_several(desk: Desk) -> None:
    """Each on a new connection, since another process may answer it."""
    drill = desk.drill(canary="a")
    drill.config.service.instances.clear()
    drill.service.instances = (desk.services[0].url,)
    canary = Canary(drill)
    canary.announce()
    canary.write(ProofStores())
    assert len(canary.birds) == UNLISTED
    assert desk.services[0].connections.total() == len(desk.services[0].connections) == UNLISTED


def test_canaries_that_are_left_are_no_divergence(desk: Desk) -> None:
    """What only the drill has written to FAISS is not missing on the target."""
    desk.stores.faiss["a"] |= {"rollback-drill-canary-0": "x", "own-1": "its hash"}
    drill = desk.drill()
    seen = without_canaries(desk.stores, drill.config.canary, {"its hash"})  # type: ignore[arg-type]
    assert dict(seen.inventory("a")) == Stores().faiss["a"]


def test_a_users_document_under_a_reserved_number_is_compared(desk: Desk) -> None:
    """Left out, its copy on the target would be an orphan, and purged."""
    desk.stores.faiss["a"] |= {"7000": "a user's", "7001": "its hash"}
    drill = numbered(desk)
    seen = without_canaries(desk.stores, drill.config.canary, {"its hash"})  # type: ignore[arg-type]
    assert dict(seen.inventory("a")) == {**Stores().faiss["a"], "7000": "a user's"}


def test_bodies_have_the_shape_of_the_service() -> None:
    """Placeholders are filled in at any depth, and nothing else is."""
    body = {"space": "{tenant}", "items": [{"_id": "doc:{id}", "n": 1, "body": ["{text}", "{other}"]}]}
    assert filled(body, tenant="t", id="i", text="x") == {
        "space": "t",
        "items": [{"_id": "doc:i", "n": 1, "body": ["x", "{other}"]}],
    }


def test_what_it_sends_is_part_of_what_a_drill_announces(desk: Desk) -> None:
    """Words and canaries of a whole drill are no more than were said; a dry-run writes none."""
    drill = desk.drill(more=DELETES)
    desk.judged(drill)
    most = proof_requests(drill.config, apply=True, rungs=0)
    assert 0 < max(len(service.asked) for service in desk.services) <= most
    assert proof_requests(drill.config, apply=False, rungs=0) == 0
    assert proof_requests(drill.config, apply=True, rungs=3) == 4 * most


@pytest.mark.parametrize("finds", [True, False])
def test_where_faiss_cannot_be_seen_a_search_must_find_it(desk: Desk, finds: bool) -> None:
    """The control is then a document that the target itself has listed."""
    for service in desk.services:
        service.script["POST", "/internal/retrieval/search"] = lambda body: as_json(
            {"results": [{"id": name} for name in desk.stores.faiss[body["tenant"]] if finds and "canary" in name]}
        )
    drill = desk.drill(more=DELETES)
    drill.__dict__["primary"] = None
    evidence = desk.judged(drill)
    assert evidence.verdict is (Verdict.PASS if finds else Verdict.INCONCLUSIVE)
    assert "what users write cannot be followed" in evidence.reason
    assert desk.canaries() == []


def rename(desk: Desk, text: str = "{}") -> None:
    """Have the service give each document an id of its own, and perhaps store another text."""
    for service in desk.services:
        service.renames, service.text = True, text


def test_a_canary_that_the_service_renames_is_known_by_its_text(desk: Desk) -> None:
    """It proves as any other, is counted as the drill's, and is removed under the id that it got."""
    rename(desk)
    evidence = desk.judged(desk.drill(more=DELETES))
    assert (evidence.verdict, evidence.proof) == (Verdict.PASS, "effect")
    assert "4 documents written since the reload, 4 of them by the drill" in evidence.reason
    assert (desk.left, len(desk.stores.faiss["a"]), len(desk.stores.faiss["b"])) == ([], 40, 40)


def test_a_renamed_canary_that_a_killed_drill_left_is_removed_by_the_next(desk: Desk) -> None:
    """From both stores, by the text that it has written; another service's document of a like text is not touched."""
    rename(desk)
    killed = Canary(desk.drill(more=DELETES))
    killed.announce()
    killed.drill.record.drill_id = "the-next-one"
    for number, bird in enumerate(killed.birds):
        desk.stores.faiss[bird.tenant][f"left-{number}"] = bird.hash
        desk.stores.target[bird.tenant][f"late-{number}"] = bird.hash
    desk.stores.faiss["a"]["users"] = content_hash("Rollback drill canary, removed at once. (no drill, 0)")
    assert desk.judged(killed.drill).verdict is Verdict.PASS
    assert (desk.left, len(desk.stores.faiss["a"]), len(desk.stores.faiss["b"])) == ([], 41, 40)
    assert (len(desk.stores.target["a"]), len(desk.stores.target["b"])) == (40, 40)


def test_a_renamed_canary_that_reaches_the_target_is_removed_there(desk: Desk) -> None:
    """The instance is named, and no document of a user is touched."""
    rename(desk)
    desk.services[1].dual_write = True
    evidence = desk.judged(desk.drill(more=DELETES))
    assert evidence.verdict is Verdict.FAIL
    assert f"written through {desk.services[1].url.removeprefix('http://')} (a)" in evidence.reason
    assert (desk.left, len(desk.stores.target["a"]), len(desk.stores.faiss["a"])) == ([], 40, 40)


def test_an_old_document_under_the_id_that_a_canary_got_stays(desk: Desk) -> None:
    """Ids that a service counts up may be those of orphans: only the canary's own text is removed from the target."""
    rename(desk)
    desk.stores.target["a"] |= {f"own-{number}": "old" for number in range(1, 9)}
    assert desk.judged(desk.drill(more=DELETES)).verdict is Verdict.PASS
    assert len(desk.stores.target["a"]) == 48


def test_a_canary_that_is_found_nowhere_may_be_left(desk: Desk) -> None:
    """The text to look for is named."""
    desk.services[0].drops = desk.services[1].drops = True
    drill = desk.drill(more=DELETES)
    assert desk.judged(drill).verdict is Verdict.INCONCLUSIVE
    text = f"Rollback drill canary, removed at once. ({drill.record.drill_id}"
    told = "the canary may be left in a, b: it was taken, or may have been, and is not found"
    assert desk.left == [f"{told}; look for the text '{text}' there"]


def test_a_canary_that_is_not_known_again_is_no_users_document(desk: Desk) -> None:
    """Renamed and rewritten, it looks like one: as many new documents as canaries are lost prove nothing."""
    rename(desk, "<p>{}</p>")
    evidence = desk.judged(desk.drill(more=DELETES), counted=2)
    assert (evidence.verdict, evidence.proof) == (Verdict.INCONCLUSIVE, "restart")
    assert "the canary may be left in a, b" in desk.left[0]


@pytest.mark.parametrize(("counted", "verdict"), [(2, Verdict.INCONCLUSIVE), (3, Verdict.PASS)])
def test_the_drills_own_writes_are_no_users_writes(desk: Desk, counted: int, verdict: Verdict) -> None:
    """An instance that dropped its canaries is proven by users only if it counted more writes than those."""
    desk.services[0].drops = True
    drill = desk.drill(more=DELETES)
    witness = WriteWitness(drill)
    witness.begin()
    assert witness.written.stores.faiss
    for tenant in ("a", "b"):
        desk.stores.faiss[tenant] |= {f"n{number}": "user's" for number in range(5)}
    assert witness.judge(QUIET, desk.window(counted)).verdict is verdict
    witness.end()


def test_a_copy_under_a_derived_id_is_removed_from_the_target(desk: Desk) -> None:
    """By what the id holds, or by its hash where the id is another one altogether."""
    desk.services[0].dual_write, desk.services[0].chunk = True, "-0"
    desk.services[1].dual_write, desk.services[1].named_by_hash = True, True
    assert desk.judged(desk.drill(more=DELETES)).verdict is Verdict.FAIL
    assert (desk.left, desk.canaries()) == ([], [])
    assert (len(desk.stores.target["a"]), len(desk.stores.target["b"])) == (40, 40)


def test_what_came_late_for_an_earlier_drill_is_removed_from_the_target(desk: Desk) -> None:
    """Its canary is on the target alone."""
    desk.stores.target["b"] |= {"rollback-drill-canary-1": "old", "rollback-drill-canary-77": "old"}
    assert desk.judged(desk.drill(more=DELETES)).verdict is Verdict.PASS
    assert (desk.left, desk.canaries()) == ([], [])


def numbered(desk: Desk) -> Drill:
    """Return a drill whose canaries have whole numbers for ids."""
    return desk.drill(more=DELETES, canary='*"\nid = "7000')


def test_a_number_that_a_user_has_is_no_canary(desk: Desk) -> None:
    """It is neither overwritten nor removed, from neither store; the instance is not proven, and it is said why."""
    desk.stores.faiss["a"] |= {"7000": "a user's", "7345": "a user's"}
    desk.stores.target["b"] |= {"7003": "an orphan", "7345": "an orphan"}
    evidence = desk.judged(numbered(desk))
    assert (evidence.verdict, evidence.proof) == (Verdict.INCONCLUSIVE, "restart")
    assert "a has a document 7000: set [canary] id to numbers that nobody uses" in evidence.reason
    assert desk.left == []
    assert (len(desk.stores.faiss["a"]), len(desk.stores.faiss["b"]), len(desk.stores.target["b"])) == (42, 40, 42)


@pytest.mark.parametrize("seen", ["too large", "not read", "not looked up", "not here"])
def test_a_number_is_looked_for_where_faiss_was_not_listed(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, seen: str
) -> None:
    """A tenant that is too large, or was being replaced: a user's document there is not written over, nor deleted."""
    numbers = {f"700{number}": "a user's" for number in range(4)}
    for side in (desk.stores.faiss, desk.stores.target):
        side["a"], side["b"] = side["a"] | numbers, side["b"] | numbers
    before = {tenant: dict(items) for tenant, items in desk.stores.faiss.items()}
    drill = numbered(desk)
    if seen == "too large":
        monkeypatch.setattr(inventories_module, "MAX_DOCUMENTS", 10)
    elif seen == "not here":
        drill.__dict__["primary"] = None
    else:
        monkeypatch.setattr(desk.stores, "inventory", Mock(side_effect=PrimaryUnreadable("it is being replaced")))
    if seen == "not looked up":
        monkeypatch.setattr(desk.stores, "lookup", Mock(side_effect=PrimaryUnreadable("it is being replaced")))
    evidence = desk.judged(drill)
    assert evidence.verdict is Verdict.INCONCLUSIVE
    known = "whether a user has a document 7000 is not known: it is being replaced"
    assert (known if seen == "not looked up" else "a has a document 7000") in evidence.reason
    assert (desk.left, desk.stores.faiss) == ([], before)


def test_a_number_that_nobody_has_is_free_where_faiss_was_not_listed(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is written, found and removed; and so is what an earlier drill has left under it."""
    monkeypatch.setattr(inventories_module, "MAX_DOCUMENTS", 10)
    drill = numbered(desk)
    earlier = Canary(drill)
    earlier.announce()
    desk.stores.faiss["a"]["7000"] = earlier.birds[0].hash
    assert desk.judged(drill).detail["documents written since the reload"] == 4
    assert (desk.left, len(desk.stores.faiss["a"])) == ([], 40)


def test_a_service_that_restarts_once_more_gets_one_canary_at_a_time(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever is to look for the second ones must not find the first look still at work on them."""
    at_work: list[Canary] = []
    most: list[int] = []
    wait = Canary.await_in_faiss

    def watched(canary: Canary) -> None:
        at_work.append(canary)
        most.append(len(at_work))
        wait(canary)
        at_work.pop()

    monkeypatch.setattr(Canary, "await_in_faiss", watched)
    desk.services[0].drops = True  # so that it is waited for
    witness = WriteWitness(desk.drill(more=DELETES))
    witness.begin()
    desk.services[0].drops = False
    witness.begin()
    assert witness.judge(QUIET, desk.window()).verdict is Verdict.PASS
    assert (most, witness.end()) == ([1, 1], [])


@pytest.mark.parametrize("status", [500, 504, 503, 422])
@pytest.mark.parametrize("renames", [True, False])
def test_a_write_that_was_done_and_answered_badly_is_removed(desk: Desk, status: int, renames: bool) -> None:
    """The target failed after FAISS had it, or a gateway gave up: it is in FAISS, under whatever id."""
    for service in desk.services:
        service.renames = renames

        def ingest(body: dict[str, Any], service: Service = service) -> Any:
            if status in {500, 504}:
                service.ingest(body)
            return as_json({}, status)

        service.script["POST", "/internal/retrieval/ingest"] = ingest
    evidence = desk.judged(desk.drill(more=DELETES))
    assert evidence.verdict is Verdict.INCONCLUSIVE
    assert f"did not take the canary: HTTP {status}" in evidence.reason
    assert (desk.left, len(desk.stores.faiss["a"])) == ([], 40)


def test_a_write_whose_answer_was_lost_may_be_left(desk: Desk) -> None:
    """It is said with its text, and found at the end where it comes late."""
    for service in desk.services:
        service.script["POST", "/internal/retrieval/ingest"] = lambda _body: as_json({}, 504)
    drill = desk.drill(more=DELETES)
    witness = WriteWitness(drill)
    witness.begin()
    witness.judge(QUIET, desk.window())
    assert "the canary may be left in a, b: it was taken, or may have been, and is not found" in witness.end()[0]
    bird = witness.canary.birds[0]
    desk.stores.faiss[bird.tenant]["own-1"] = bird.hash
    assert "the canary came to FAISS late: a/own-1" in witness.canary.remove_late({})[0]
    assert len(desk.stores.faiss["a"]) == 40


def test_numbered_canaries_are_removed_from_both_stores(desk: Desk) -> None:
    """Copies under their own numbers; what merely holds such a number and came meanwhile is a user's, and stays."""
    for service in desk.services:
        service.dual_write = True
    drill = numbered(desk)
    witness = WriteWitness(drill)
    witness.begin()
    assert witness.written.stores.faiss
    desk.stores.target["a"]["order-7000"] = "a user's"
    assert witness.judge(QUIET, desk.window()).verdict is Verdict.FAIL
    assert witness.end() == []
    assert (len(desk.stores.faiss["a"]), len(desk.stores.target["a"]), len(desk.stores.target["b"])) == (40, 41, 40)


def test_a_search_finds_a_renamed_canary_where_faiss_cannot_be_seen(desk: Desk) -> None:
    """By its text, which the result holds somewhere."""
    rename(desk)
    drill = desk.drill(more=DELETES)
    planned = Canary(drill)
    planned.announce()
    texts = {bird.hash: bird.text for bird in planned.birds}

    def search(body: dict[str, Any]) -> Any:
        held = desk.stores.faiss[body["tenant"]].items()
        found = [{"id": name, "metadata": {"text": texts[digest]}} for name, digest in held if digest in texts]
        return as_json({"results": found})

    for service in desk.services:
        service.script["POST", "/internal/retrieval/search"] = search
    drill.__dict__["primary"] = None
    assert desk.judged(drill).verdict is Verdict.PASS
    assert len(desk.stores.faiss["a"]) == 40


def test_where_ids_are_numbers_canaries_have_numbers_of_their_own() -> None:
    """Those from the configured one on, and no others."""
    canary = config.Canary(tenant="a", id="900000")
    assert [canary.name(number) for number in (0, 12)] == ["900000", "900012"]
    assert all(canary.is_one(canary.name(number)) for number in (0, 12, config.RESERVED - 1))
    assert not any(map(canary.is_one, ("900000-0", "899999", canary.name(config.RESERVED), "0900000", "x")))
    assert not config.Canary(id="900000").is_one("900000")


def test_where_ids_are_uuids_canaries_have_uuids_of_their_own() -> None:
    """Made of the configured one, so that nobody else has them; a text that is no whole UUID is a text."""
    canary = config.Canary(tenant="a", id="0B6E8F5C-7a1d-4c2e-9f0a-3d2b1c4e5f60")
    names = [canary.name(number) for number in (0, 12, config.RESERVED - 1)]
    assert [str(UUID(name)) for name in names] == names
    assert len(set(names)) == len(names)
    assert all(canary.is_one(name) and canary.is_surely_one(name.upper()) for name in names)
    assert not canary.numbered
    assert not any(map(canary.is_one, (canary.id, f"{canary.id}-0", canary.name(config.RESERVED), "7", "x")))
    assert not config.Canary(id=canary.id).is_one(names[0])
    assert config.Canary(id=canary.id.replace("-", "")).name(3) == f"{canary.id.replace('-', '')}-3"


def test_canaries_with_uuids_are_written_found_and_removed(desk: Desk) -> None:
    """As any others, from both stores, those of an earlier drill among them."""
    desk.services[1].dual_write = True
    drill = desk.drill(more=DELETES, canary='*"\nid = "0b6e8f5c-7a1d-4c2e-9f0a-3d2b1c4e5f60')
    desk.stores.faiss["a"][drill.config.canary.name(99)] = "old"
    evidence = desk.judged(drill)
    assert evidence.verdict is Verdict.FAIL
    assert "2 of 4 documents written since the reload are on the target" in evidence.reason
    assert (desk.left, len(desk.stores.faiss["a"]), len(desk.stores.target["b"])) == ([], 40, 40)


def test_a_canary_that_is_a_number_is_in_no_longer_number() -> None:
    """``9000#0`` is derived of 9000, and 19000 is a user's."""
    bird = Bird("http://a", "a", "9000", "text")
    assert [carries(name, "", bird) for name in ("9000#0", "x/9000", "19000", "90001")] == [
        *(True, True),
        *(False, False),
    ]

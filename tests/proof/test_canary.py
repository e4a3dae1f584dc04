"""The canary: written through each instance, waited for, looked up, and gone from both stores afterwards."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from drill.content_hash import content_hash
from drill.context import Drill
from drill.proof import canary as canary_module
from drill.proof import removal
from drill.proof.canary import Canary
from drill.proof.letters import filled
from drill.proof.sent import UNLISTED, proof_requests
from drill.purge.reserved import without_canaries
from drill.record import Evidence
from drill.steps.witness import WriteWitness
from drill.verdict import Verdict
from tests.library.server import Answer, ScriptedService, as_json, running
from tests.library.world import probes, snapshot, window
from tests.proof.stores import FAISS, QUIET, Stores, drill_on


class Service(ScriptedService):
    """One instance that writes and deletes in the stores of all; what it does not do is switched on by a test."""

    stores: Stores
    dual_write = False
    drops = False
    appends = False
    keeps = False
    refuses = ""
    chunk = ""
    status = 200

    def __init__(self, stores: Stores) -> None:
        super().__init__()
        self.stores = stores
        self.script["POST", "/internal/retrieval/ingest"] = self.ingest
        self.script["POST", "/delete"] = self.delete

    def ingest(self, body: dict[str, Any]) -> Answer:
        if body["tenant"] == self.refuses:
            return as_json({}, 403)
        for document in body["documents"] if self.status < 300 and not self.drops else ():
            digest = content_hash(document["text"])
            self.stores.faiss[body["tenant"]][document["id"]] = digest
            if self.dual_write:
                self.stores.target[body["tenant"]][document["id"] + self.chunk] = digest
        return as_json({}, self.status)

    def delete(self, body: dict[str, Any]) -> Answer:
        if not self.keeps:
            self.stores.faiss[body["tenant"]].pop(body["ids"][0], None)
        return as_json({}, 204)


class Kept(Stores):
    """Stores that are asked one document at a time, and of which the drill may delete what is its own."""

    def lookup(self, tenant: str, ids: set[str]) -> dict[str, str]:
        return {name: digest for name, digest in list(self.faiss[tenant].items()) if name in ids}

    def contains(self, tenant: str, ids: set[str]) -> set[str]:
        return set(self.lookup(tenant, ids))

    def delete(self, tenant: str, pairs: set[tuple[str, str]]) -> set[str]:
        for name, digest in pairs:
            assert self.target[tenant].pop(name) == digest
        return {name for name, _ in pairs}


@dataclass
class Desk:
    """Two instances, their stores, and drills of them."""

    stores: Kept
    services: list[Service]
    folder: Path
    left: list[str] = field(default_factory=list)

    def drill(self, *, canary: str = "*", apply: bool = True, more: str = "") -> Drill:
        """Return a drill with the canary on."""
        urls = ", ".join(f'"{service.url}"' for service in self.services)
        toml = (
            f'[service]\nbase_url = "{self.services[0].url}"\ninstances = [{urls}]\ntenants = ["a", "b"]\n'
            f'dual_write_lag_s = 0.0\n{more}[target]\nkind = "pgvector"\ndsn_env = "DSN"\n'
            f'[canary]\ntenant = "{canary}"\n'
        )
        return drill_on(self.folder, self.stores, toml=toml, apply=apply)

    def window(self) -> Any:
        """Return a window in which every instance served and no user wrote."""
        urls = [service.url for service in self.services]
        before = [snapshot(url, {FAISS: 5}) for url in urls]
        return window(before, [snapshot(url, {FAISS: 25}) for url in urls], probes(20, urls))

    def judged(self, drill: Drill) -> Evidence:
        """Run the canary of a drill as the step does; ``left`` is what it leaves, in words."""
        witness = WriteWitness(drill)
        witness.begin()
        evidence = witness.judge(QUIET, self.window())
        self.left = witness.end()
        return evidence

    def canaries(self) -> list[str]:
        """Return the canaries that are in any of the stores."""
        sides = (self.stores.faiss, self.stores.target)
        return [name for side in sides for items in side.values() for name in items if "canary" in name]


DELETES = 'delete_path = "/delete"\ndelete_method = "POST"\ndelete_body = { tenant = "{tenant}", ids = ["{id}"] }\n'


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    monkeypatch.setattr(canary_module, "APPEARS_S", 0.3)
    monkeypatch.setattr(canary_module, "POLL_S", 0.01)
    monkeypatch.setattr(removal, "GOES_S", 0.2)
    monkeypatch.setattr(removal, "POLL_S", 0.01)
    stores = Kept()
    with ExitStack() as stack:
        services = [stack.enter_context(running(Service(stores))) for _ in range(2)]
        yield Desk(stores, services, tmp_path)


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
    canary.write({})
    assert len(canary.birds) == UNLISTED
    assert desk.services[0].connections.total() == len(desk.services[0].connections) == UNLISTED


def test_canaries_that_are_left_are_no_divergence(desk: Desk) -> None:
    """What only the drill has written to FAISS is not missing on the target."""
    desk.stores.faiss["a"]["rollback-drill-canary-0"] = "x"
    drill = desk.drill()
    seen = without_canaries(desk.stores, drill.config.canary)  # type: ignore[arg-type]
    assert dict(seen.inventory("a")) == Stores().faiss["a"]


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

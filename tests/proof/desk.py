"""Two instances and their stores, in which a canary is written; what they do wrong is switched on by a test."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from drill.content_hash import content_hash
from drill.context import Drill
from drill.record import Evidence
from drill.steps.witness import WriteWitness
from tests.library.server import Answer, ScriptedService, as_json
from tests.library.world import probes, snapshot, window
from tests.proof.stores import FAISS, INGEST, QUIET, Stores, drill_on


class Service(ScriptedService):
    """One instance that writes and deletes in the stores of all; what it does not do is switched on by a test."""

    stores: Stores
    dual_write = False
    drops = False
    renames = False
    named_by_hash = False
    text = "{}"
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
            digest = content_hash(self.text.format(document["text"]))
            name = f"own-{next(self.stores.numbers)}" if self.renames else document["id"]
            self.stores.faiss[body["tenant"]][name] = digest
            if self.dual_write:
                copy = digest[::-1] if self.named_by_hash else name + self.chunk
                self.stores.target[body["tenant"]][copy] = digest
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

    def window(self, counted: int = 0) -> Any:
        """Return a window in which every instance served and counted so many writes, the drill's among them."""
        urls = [service.url for service in self.services]
        before = [snapshot(url, {FAISS: 5, INGEST: 1}) for url in urls]
        return window(before, [snapshot(url, {FAISS: 25, INGEST: 1 + counted}) for url in urls], probes(20, urls))

    def judged(self, drill: Drill, counted: int = 0) -> Evidence:
        """Run the canary of a drill as the step does; ``left`` is what it leaves, in words."""
        witness = WriteWitness(drill)
        witness.begin()
        evidence = witness.judge(QUIET, self.window(counted))
        self.left = witness.end()
        return evidence

    def canaries(self) -> list[str]:
        """Return the canaries that are in any of the stores."""
        sides = (self.stores.faiss, self.stores.target)
        return [name for side in sides for items in side.values() for name in items if "canary" in name]


DELETES = 'delete_path = "/delete"\ndelete_method = "POST"\ndelete_body = { tenant = "{tenant}", ids = ["{id}"] }\n'

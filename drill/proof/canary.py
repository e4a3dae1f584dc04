"""The canary: documents of reserved ids, written through the service, looked for, and removed again.

A dual-write that works is seen by nothing but a document. Where users write none, the drill writes its own: one through
each instance, so that each is proven on its own. What an earlier drill has left is removed first.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from drill.checks.silence import short
from drill.content_hash import content_hash
from drill.context import Drill
from drill.errors import DrillError
from drill.http import Reply
from drill.proof.letters import Letters
from drill.proof.removal import Places, delete, remove_from_target, wait_until_gone
from drill.proof.sent import MOST, UNLISTED
from drill.service import each
from drill.steps.inventories import Inventory

INTENT = "canary"
"""Written before the first canary, and done when none is left."""
APPEARS_S = 10.0
"""How long a canary may take from the answer of the service into FAISS: some take a write later."""
POLL_S = 0.25


@dataclass(slots=True)
class Bird:
    """One canary."""

    url: str
    tenant: str
    id: str
    text: str
    digest: str = ""
    """Its hash in FAISS, once it has been found there."""
    problem: str = ""
    """Why it proves nothing: it was not taken, or is not in FAISS."""


@dataclass
class Canary:
    """The canaries of one drill."""

    drill: Drill
    birds: list[Bird] = field(default_factory=list)
    seen_at: float = 0.0
    """When the last one was found in FAISS (monotonic)."""
    _written_at: float = 0.0
    _anywhere: Places = field(default_factory=dict)
    """What may be in one of the stores: what was to be written, and what was found of earlier drills."""

    @property
    def wanted(self) -> bool:
        """Whether this drill writes any: never in a dry-run."""
        return self.drill.apply and bool(self.drill.config.canary.tenant)

    @property
    def sparse(self) -> bool:
        """Whether there are more pairs of instance and tenant than canaries."""
        urls, tenants = {bird.url for bird in self.birds}, {bird.tenant for bird in self.birds}
        return len({(bird.url, bird.tenant) for bird in self.birds}) < len(urls) * len(tenants)

    def announce(self) -> None:
        """Plan the canaries, and say in the events that they are about to be written."""
        if self.wanted:
            self.birds = _planned(self.drill)
            self.drill.events.intent(INTENT, documents=len(self.birds), id=self.drill.config.canary.id)

    def write(self, faiss: Mapping[str, Inventory]) -> None:
        """Remove what an earlier drill has left in ``faiss``, and write what was announced."""
        if not self.birds:
            return
        self._sweep(faiss)
        for bird in self.birds:
            self._anywhere.setdefault(bird.tenant, set()).add(bird.id)
        for bird, reply in zip(self.birds, each(self._ingest, self.birds), strict=True):
            if not reply.ok:
                bird.problem = f"{short(bird.url)} did not take the canary: {reply.seen()}"
        self._written_at = time.monotonic()

    def await_in_faiss(self) -> None:
        """Wait until FAISS has every canary that was taken, ``APPEARS_S`` from its writing at most."""
        deadline = self._written_at + APPEARS_S
        while missing := [bird for bird in self.birds if not bird.digest and not bird.problem]:
            self._find(missing)
            if time.monotonic() > deadline:
                for bird in missing:
                    bird.problem = "" if bird.digest else f"{short(bird.url)} took the canary, and FAISS has it not"
            elif not all(bird.digest for bird in missing):
                time.sleep(POLL_S)
        self.seen_at = time.monotonic()

    def documents(self) -> dict[str, Inventory]:
        """Return the canaries that are in FAISS: tenant -> id -> hash."""
        found: dict[str, Inventory] = {}
        for bird in self.birds:
            if bird.digest:
                found.setdefault(bird.tenant, {})[bird.id] = bird.digest
        return found

    def remove(self) -> list[str]:
        """Remove every canary that may be anywhere; return what is left, in words."""
        if not self._anywhere:
            return []
        drill = self.drill
        asked = delete(drill, self._anywhere)
        left = [*wait_until_gone(drill, self._anywhere, asked=asked), *remove_from_target(drill, self._anywhere)]
        self._anywhere = {}
        if not left:
            drill.events.done(INTENT)
        return left

    def _sweep(self, faiss: Mapping[str, Inventory]) -> None:
        settings = self.drill.config.canary
        for tenant, items in faiss.items():
            if stray := {name for name in items if settings.is_one(name)}:
                self._anywhere[tenant] = stray
        if self._anywhere and delete(self.drill, self._anywhere):
            self.drill.swept = {tenant: set(names) for tenant, names in self._anywhere.items()}

    def _ingest(self, bird: Bird) -> Reply:
        service = self.drill.config.service
        return Letters(self.drill).send(
            service.ingest_method, bird.url, service.ingest_path, service.ingest_body, bird.tenant, bird.id, bird.text
        )

    def _find(self, birds: list[Bird]) -> None:
        """Note which canaries FAISS has now: with their own text, where it is hashed as we do."""
        hashed = self.drill.primary is not None and self.drill.config.primary.kind != "manifest"
        for tenant in {bird.tenant for bird in birds}:
            mine = [bird for bird in birds if bird.tenant == tenant]
            found = self._in_faiss(tenant, {bird.id for bird in mine})
            for bird in mine:
                if found.get(bird.id) == content_hash(bird.text) or (bird.id in found and not hashed):
                    bird.digest = found[bird.id]
                elif not hashed and self._answers(bird):
                    bird.digest = content_hash(bird.text)

    def _answers(self, bird: Bird) -> bool:
        """Whether the instance finds the canary by its own words: where its FAISS data cannot be seen as they are."""
        said = self.drill.service.search(bird.url, bird.text, bird.tenant, self.drill.config.smoke.top_k).json()
        results = said.get("results") if isinstance(said, dict) else None
        return any(isinstance(one, dict) and one.get("id") == bird.id for one in results or ())

    def _in_faiss(self, tenant: str, ids: set[str]) -> dict[str, str]:
        try:
            return self.drill.primary.lookup(tenant, ids) if self.drill.primary else {}
        except DrillError:
            return {}  # it is being replaced, and looked at again


def _planned(drill: Drill) -> list[Bird]:
    """Return one canary for each instance and tenant, or, where these are many, one for each of both at least."""
    settings, urls = drill.config.canary, list(drill.service.instances)
    if not drill.config.service.instances:
        urls *= UNLISTED
    tenants = drill.config.service.tenants if settings.tenant == "*" else [settings.tenant]
    pairs = [(url, tenant) for url in urls for tenant in tenants]
    if len(pairs) > MOST:
        longest = max(len(urls), len(tenants))
        pairs = [(urls[at % len(urls)], tenants[at % len(tenants)]) for at in range(longest)]
    return [
        Bird(url, tenant, f"{settings.id}-{number}", f"{settings.text} ({drill.record.drill_id}, {number})")
        for number, (url, tenant) in enumerate(pairs)
    ]

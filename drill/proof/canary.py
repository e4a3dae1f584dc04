"""The canary: documents of reserved ids, written through the service, looked for, and removed again.

A dual-write that works is seen by nothing but a document. Where users write none, the drill writes its own: one through
each instance, so that each is proven on its own. What an earlier drill has left is removed first.
"""

import json
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice

from drill.answered import results_of
from drill.checks.silence import short
from drill.config import Canary as Settings
from drill.content_hash import content_hash
from drill.context import Drill
from drill.document_id import id_text
from drill.errors import DrillError, Refused
from drill.http import Reply
from drill.proof.letters import Letters
from drill.proof.removal import Places, delete, merged, remove_from_target, wait_until_gone
from drill.proof.sent import MOST, UNLISTED
from drill.proof.stores import Stores
from drill.service import each
from drill.steps.inventories import Inventory

INTENT = "canary"
"""Written before the first canary, and done when none is left."""
APPEARS_S = 10.0
"""How long a canary may take from the answer of the service into FAISS: some take a write later."""
POLL_S = 0.25
UNCLEAR = frozenset({500, 502, 504})
"""Answers to a write that may have been done: in FAISS, and failed on the way to the target or back."""
EARLIER = 200
"""Earlier drills whose canaries are known again by their texts."""


@dataclass(slots=True)
class Bird:
    """One canary."""

    url: str
    tenant: str
    id: str
    text: str
    taken: bool = False
    """Whether the service has accepted it, or may have."""
    stored: str = ""
    """Its id in FAISS, once it has been found there: a service may give documents ids of its own."""
    digest: str = ""
    """Its hash there."""
    problem: str = ""
    """Why it proves nothing: it was not taken, or is not in FAISS."""

    @property
    def place(self) -> tuple[str, str]:
        """Its tenant and its id in FAISS, the one that was asked for as long as it has not been found."""
        return self.tenant, self.stored or self.id

    @property
    def lost(self) -> bool:
        """Whether it was taken and not found: it may be anywhere, under any id."""
        return self.taken and not self.stored

    @property
    def hash(self) -> str:
        """The hash of its text, which no other document has: the text names the drill."""
        return content_hash(self.text)


@dataclass
class Canary:
    """The canaries of one drill."""

    drill: Drill
    birds: list[Bird] = field(default_factory=list)
    seen_at: float = 0.0
    """When the last one was found in FAISS (monotonic)."""
    _written_at: float = 0.0
    _before: Stores = field(default_factory=Stores)
    _anywhere: Places = field(default_factory=dict)
    """What may be in one of the stores: what was to be written, and what was found of earlier drills."""
    _on_target: Places = field(default_factory=dict)
    """What may be on the target alone."""

    @property
    def wanted(self) -> bool:
        """Whether this drill writes any: never in a dry-run."""
        return self.drill.apply and bool(self.drill.config.canary.tenant)

    @property
    def sparse(self) -> bool:
        """Whether there are more pairs of instance and tenant than canaries."""
        urls, tenants = {bird.url for bird in self.birds}, {bird.tenant for bird in self.birds}
        return len({(bird.url, bird.tenant) for bird in self.birds}) < len(urls) * len(tenants)

    @property
    def hashes(self) -> set[str]:
        """The hashes of their texts, by which they are known under whatever id."""
        return {bird.hash for bird in self.birds}

    def announce(self) -> None:
        """Plan the canaries, and say in the events that they are about to be written."""
        if self.wanted:
            self.birds = _planned(self.drill)
            self.drill.events.intent(INTENT, documents=len(self.birds), id=self.drill.config.canary.id)

    def write(self, stores: Stores) -> None:
        """Remove what an earlier drill has left in ``stores``, and write what was announced."""
        if not self.birds:
            return
        try:
            self.drill.gates.documents()
        except Refused as shut:
            for bird in self.birds:
                bird.problem = f"no canary was written: {shut}"
            return
        self._before, earlier = stores, self._hashes_of_earlier() | self.hashes  # its own: it may be written once more
        self._sweep(stores, earlier)
        if self.drill.config.canary.numbered:
            self._note_taken(earlier)
        free = [bird for bird in self.birds if not bird.problem]
        self._anywhere = merged(self._anywhere, _places(free))
        for bird, reply in zip(free, each(self._ingest, free), strict=True):
            bird.taken = reply.ok or _may_be_taken(reply)
            if not reply.ok:
                bird.problem = f"{short(bird.url)} did not take the canary: {reply.seen()}"
        self._written_at = time.monotonic()

    def await_in_faiss(self) -> None:
        """Wait until FAISS has every canary that was taken, ``APPEARS_S`` from its writing at most."""
        deadline = self._written_at + APPEARS_S
        while missing := [bird for bird in self.birds if not bird.stored and not bird.problem]:
            began = time.monotonic()
            self._find(missing)
            if time.monotonic() > deadline:
                for bird in missing:
                    bird.problem = "" if bird.stored else f"{short(bird.url)} took the canary, and FAISS has it not"
            elif not all(bird.stored for bird in missing):
                time.sleep(max(POLL_S, time.monotonic() - began))  # a large inventory is not read all the time
        self.seen_at = time.monotonic()

    def documents(self) -> dict[str, Inventory]:
        """Return the canaries that are in FAISS: tenant -> id -> hash."""
        found: dict[str, Inventory] = {}
        for bird in self.birds:
            if bird.stored:
                found.setdefault(bird.tenant, {})[bird.stored] = bird.digest
        return found

    def remove(self, strays: Places) -> list[str]:
        """Remove every canary that may be anywhere, and ``strays`` from the target; return what is left, in words."""
        if not self._anywhere and not strays and not self._on_target:
            return []
        self._find(lost := [bird for bird in self.birds if bird.lost])
        places, certain = self._anywhere, merged(self._reserved(self._anywhere), self._on_target)
        for bird in self.birds:  # a service that gave it another id knows it by that alone
            if bird.stored and bird.stored != bird.id:
                places = merged({**places, bird.tenant: places.get(bird.tenant, set()) - {bird.id}})
        left = self._removed(places, certain, strays)
        self._anywhere, self._on_target = {}, {}
        return [*left, *_may_be_left([bird for bird in lost if bird.lost])]

    def remove_late(self, strays: Places) -> list[str]:
        """Remove what has come to FAISS or, as ``strays``, to the target since ``remove``; say what, and what is left.

        What was named as left by then is not asked for again.
        """
        self._find(lost := [bird for bird in self.birds if bird.lost])
        in_faiss = self._anywhere
        if not in_faiss and not strays:
            return []
        self._anywhere = {}
        told = _named("FAISS", _places([bird for bird in lost if bird.stored])) + _named("the target", strays)
        left = self._removed(in_faiss, self._reserved(in_faiss), strays)
        return [*told, *(left or ["it has been removed"])]

    def _removed(self, places: Places, certain: Places, strays: Places) -> list[str]:
        """Remove ``places`` from FAISS, and from the target ``certain``, ``strays`` and ``places`` of a canary's text.

        Of strays that may have a number in common with a canary and no more, the text tells, too.
        """
        drill = self.drill
        sure = {bird.id for bird in self.birds} if drill.config.canary.numbered else set().union(*strays.values())
        certain = merged(certain, {tenant: names & sure for tenant, names in strays.items()})
        asked = delete(drill, places)
        left = wait_until_gone(drill, places, asked=asked)
        left += remove_from_target(drill, certain, merged(places, strays), self.hashes)
        if not left and not any(bird.lost for bird in self.birds):
            drill.events.done(INTENT)
        return left

    def _sweep(self, stores: Stores, hashes: Collection[str]) -> None:
        self._anywhere = merged(self._reserved(stores.faiss), self._renamed(stores.faiss, hashes))
        self._on_target = merged(self._reserved(stores.target), self._renamed(stores.target, hashes))
        if self._anywhere and delete(self.drill, self._anywhere):
            self.drill.swept = merged(self._anywhere)

    def _note_taken(self, earlier: Collection[str]) -> None:
        """Find out whose ids are numbers under which there is a document already: that may be a user's, and stays.

        Where that cannot be found out, none is written. ``earlier`` are the hashes of earlier canaries.
        """
        for tenant in {bird.tenant for bird in self.birds}:
            mine = [bird for bird in self.birds if bird.tenant == tenant]
            held = self._held(tenant, {bird.id for bird in mine})
            for bird in mine:
                if isinstance(held, str):
                    bird.problem = f"{tenant}: whether a user has a document {bird.id} is not known: {held}"
                elif bird.id in held and held[bird.id] not in earlier:
                    bird.problem = f"{tenant} has a document {bird.id}: set [canary] id to numbers that nobody uses"

    def _held(self, tenant: str, ids: set[str]) -> Mapping[str, str] | str:
        """Return what FAISS holds, of ``ids`` at least, or why that is not known; where it cannot be seen, the target.

        A tenant that is too large to be followed, or could not be read, is asked for these alone.
        """
        if (known := self._before.faiss.get(tenant)) is not None:
            return known
        try:
            if self.drill.primary is not None:
                return self.drill.primary.lookup(tenant, ids)
            with closing(self.drill.open_target()) as target:
                return dict(target.present(tenant, ids))
        except DrillError as problem:
            return str(problem)

    def _reserved(self, side: Mapping[str, Iterable[str]]) -> Places:
        """Return the ids that no document of a user has; of numbers that is not known, and their texts must tell."""
        is_one = self.drill.config.canary.is_surely_one
        found = {tenant: {name for name in items if is_one(name)} for tenant, items in side.items()}
        return {tenant: names for tenant, names in found.items() if names}

    def _hashes_of_earlier(self) -> frozenset[str]:
        """Return the hashes of the canaries that earlier drills of this artifacts directory may have written."""
        try:
            drills = sorted(path.name for path in self.drill.work_dir.parent.iterdir())
        except OSError:
            return frozenset()
        numbers = range(max(MOST, len(self.birds)))
        settings = self.drill.config.canary
        return frozenset(content_hash(_text(settings, name, at)) for name in drills[-EARLIER:] for at in numbers)

    def _renamed(self, side: Mapping[str, Inventory], hashes: Collection[str]) -> Places:
        """Return canaries of ``hashes`` under other ids, as many as this drill writes: its load has been announced."""
        found = ((tenant, name) for tenant, items in side.items() for name in items if items[name] in hashes)
        return merged(*({tenant: {name}} for tenant, name in islice(found, len(self.birds))))

    def _ingest(self, bird: Bird) -> Reply:
        service = self.drill.config.service
        return Letters(self.drill).send(
            service.ingest_method, bird.url, service.ingest_path, service.ingest_body, bird.tenant, bird.id, bird.text
        )

    def _find(self, birds: Sequence[Bird]) -> None:
        """Note which canaries FAISS has now: by id, and by their own text, where it is hashed as we do."""
        hashed = self.drill.primary is not None and self.drill.config.primary.kind != "manifest"
        for tenant in {bird.tenant for bird in birds}:
            mine = [bird for bird in birds if bird.tenant == tenant]
            found = self._in_faiss(tenant, {bird.id for bird in mine})
            for bird in mine:
                if found.get(bird.id) == bird.hash or (bird.id in found and not hashed):
                    bird.stored, bird.digest = bird.id, found[bird.id]
            self._find_renamed(tenant, {bird.hash: bird for bird in mine if not bird.stored})
            for bird in mine:
                if not bird.stored and not hashed and (name := self._answers(bird)):
                    bird.stored, bird.digest = name, bird.hash
                if bird.stored:
                    self._anywhere.setdefault(tenant, set()).add(bird.stored)

    def _find_renamed(self, tenant: str, birds: Mapping[str, Bird]) -> None:
        """Find canaries, by hash, that the service stores under ids of its own; in tenants that can be followed."""
        before = self._before.faiss.get(tenant)
        if not birds or before is None or self.drill.primary is None:
            return
        try:
            pairs = [pair for pair in self.drill.primary.inventory(tenant) if pair[1] in birds]
        except DrillError:
            return  # it is being replaced, and looked at again
        for name, digest in pairs:
            self._anywhere.setdefault(tenant, set()).add(name)
            if name not in before:
                birds[digest].stored, birds[digest].digest = name, digest

    def _answers(self, bird: Bird) -> str:
        """Return the id under which the instance finds the canary by its own words: where FAISS cannot be seen."""
        said = self.drill.service.search(bird.url, bird.text, bird.tenant, self.drill.config.smoke.top_k)
        text = json.dumps(bird.text)[1:-1]
        for one in results_of(said) or ():
            name = id_text(one.get("id")) if isinstance(one, dict) else ""
            if name and (name == bird.id or text in json.dumps(one)):
                return name
        return ""

    def _in_faiss(self, tenant: str, ids: set[str]) -> dict[str, str]:
        try:
            return self.drill.primary.lookup(tenant, ids) if self.drill.primary else {}
        except DrillError:
            return {}  # it is being replaced, and looked at again


def _places(birds: Iterable[Bird]) -> Places:
    return merged(*({bird.tenant: {bird.place[1]}} for bird in birds))


def _named(where: str, places: Places) -> list[str]:
    names = [f"{tenant}/{name}" for tenant, ids in sorted(places.items()) for name in sorted(ids)]
    return [f"the canary came to {where} late: {', '.join(names)}"] if names else []


def _may_be_taken(reply: Reply) -> bool:
    """Whether a write may have been done all the same: its answer was lost, or tells of what failed after it."""
    return (bool(reply.error) and reply.apart is None) or reply.status in UNCLEAR


def _may_be_left(lost: Sequence[Bird]) -> list[str]:
    """Say what to look for where a canary was taken and is not found under its id, nor by its text."""
    if not lost:
        return []
    tenants = ", ".join(sorted({bird.tenant for bird in lost}))
    text = lost[0].text.rpartition(",")[0]
    may = f"the canary may be left in {tenants}: it was taken, or may have been, and is not found"
    return [f"{may}; look for the text {text!r} there"]


def _text(settings: Settings, drill_id: str, number: int) -> str:
    return f"{settings.text} ({drill_id}, {number})"


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
    elif drill.config.service.worker_id:  # any worker may take it: as many as there may be, each on a new connection
        pairs *= MOST // len(pairs)
    return [
        Bird(url, tenant, settings.name(number), _text(settings, drill.record.drill_id, number))
        for number, (url, tenant) in enumerate(pairs)
    ]

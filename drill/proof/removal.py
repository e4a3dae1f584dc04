"""Taking the canary out of both stores: through the service, and from the target also directly."""

import time
from collections.abc import Collection, Mapping
from contextlib import closing

from drill.context import Drill
from drill.errors import DrillError
from drill.proof.letters import Letters
from drill.target import Target
from drill.target.base import Pair

Places = dict[str, set[str]]
"""Tenant -> ids of documents."""
GOES_S = 5.0
"""How long a document may take to be gone from FAISS once the service was asked to delete it."""
POLL_S = 0.25


def merged(*several: Mapping[str, set[str]]) -> Places:
    """Return all places of ``several``, as sets of their own."""
    tenants = dict.fromkeys(tenant for places in several for tenant in places)
    return {tenant: set().union(*(places.get(tenant, ()) for places in several)) for tenant in tenants}


def delete(drill: Drill, places: Mapping[str, set[str]]) -> bool:
    """Ask the service to delete documents, one instance after the other; return whether it can be asked at all."""
    service, urls = drill.config.service, drill.service.instances
    if not service.delete_path:
        return False
    pairs = [(tenant, name) for tenant, names in sorted(places.items()) for name in sorted(names)]
    for number, (tenant, name) in enumerate(pairs):
        url = urls[number % len(urls)]
        Letters(drill).send(service.delete_method, url, service.delete_path, service.delete_body, tenant, name)
    return True


def wait_until_gone(drill: Drill, places: Mapping[str, set[str]], *, asked: bool) -> list[str]:
    """Return what of ``places`` is left in FAISS, in words; waited for ``GOES_S`` at most if the service was asked."""
    deadline = time.monotonic() + (GOES_S if asked else 0.0)
    while True:
        try:
            left = {tenant: _in_faiss(drill, tenant, names, asked=asked) for tenant, names in places.items()}
            told = _words("in FAISS", left)
        except DrillError as problem:
            told = [f"whether the canary is left in FAISS is not known: {problem}"]
        if not told or time.monotonic() > deadline:
            break
        time.sleep(POLL_S)
    why = "the service has not deleted it" if asked else "[service] delete_path is not set"
    return [f"{text} ({why})" for text in told]


def remove_from_target(
    drill: Drill, certain: Mapping[str, set[str]], by_text: Mapping[str, set[str]], hashes: Collection[str]
) -> list[str]:
    """Delete from the target what has arrived there of the canary, and nothing else; return what is left, in words.

    ``certain``: ids that no document of a user has. ``by_text``: ids that the service gave; the target may hold an old
    document under one of them, so that only what has one of ``hashes`` is deleted.
    """
    places = merged(certain, by_text)

    def arrived_in(target: Target, tenant: str) -> set[Pair]:
        pairs, sure = target.present(tenant, places[tenant]), certain.get(tenant, set())
        return {(name, digest) for name, digest in pairs if name in sure or digest in hashes}

    if not drill.config.target.kind:
        return []
    try:
        with closing(drill.open_target()) as target:
            target.flush()
            arrived = {tenant: arrived_in(target, tenant) for tenant in places}
            for tenant, pairs in arrived.items():
                if pairs:
                    target.delete(tenant, pairs)
            if not any(arrived.values()):
                return []
            target.flush()
            left = {tenant: {name for name, _ in arrived_in(target, tenant)} for tenant in places}
    except DrillError as problem:
        return [f"whether the canary is left on the target is not known: {problem}"]
    return _words("on the target", left)


def _in_faiss(drill: Drill, tenant: str, names: set[str], *, asked: bool) -> set[str]:
    """Return what FAISS still has; where it cannot be seen, what nobody was asked to delete."""
    if drill.primary is None:
        return set() if asked else names
    return drill.primary.contains(tenant, names)


def _words(where: str, left: Mapping[str, set[str]]) -> list[str]:
    names = [f"{tenant}/{name}" for tenant, ids in sorted(left.items()) for name in sorted(ids)]
    return [f"the canary is left {where}: {', '.join(names)}"] if names else []

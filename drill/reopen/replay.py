"""Replaying the outbox before the ladder: writes of the incident that the target still lacks, counted on arrival."""

import time
from collections.abc import Mapping
from contextlib import closing

from drill.checks.silence import short
from drill.context import Drill
from drill.errors import CannotMeasure
from drill.record import Evidence, Scalar
from drill.steps.inventories import Inventory, inventories
from drill.target import Target
from drill.verdict import Verdict
from drill.words import count

OUTBOX = "retrieval_dual_write_outbox_size"
AGE = "retrieval_dual_write_outbox_age_seconds"
"""Age of the oldest write, where the service tells it; no contract."""
SETTLE_S = 5.0
"""How long the gauge of the outbox may take to fall after the command has ended."""
POLL_S = 0.3

Held = dict[str, dict[str, str | None]]
"""Tenant -> document that FAISS has and the target has not (or not so) -> the hash it has on the target."""


def replay(drill: Drill) -> Evidence:
    """Run ``[service] outbox_replay_command``, and verify that as many documents arrived as had waited.

    What a service says of its own replay is no proof: the documents are looked up on the target. Raises
    `CannotMeasure`.
    """
    waiting, detail = _waiting(drill)
    if not sum(waiting.values()):
        return Evidence(Verdict.PASS, "the outbox was empty: nothing to replay", 0, "==", 0, detail=detail)
    with closing(drill.open_target()) as target:
        lacking = _lacking(drill, target)
        drill.events.intent("replay_outbox")
        settings = drill.config.service
        deadline = time.monotonic() + settings.outbox_replay_timeout_s
        command, env_file = settings.outbox_replay_command, drill.env_file.path
        problem = drill.service.run(command, env_file, deadline, lambda: drill.tick("replaying the outbox"))
        drill.events.done("replay_outbox", ok=not problem)
        if problem:
            return Evidence(Verdict.FAIL, f"outbox: {problem}", detail=detail)
        left = _emptied(drill)
        arrived = _arrived(target, lacking)
    return _conclude(waiting, left, arrived, detail)


def _conclude(waiting: Mapping[str, float], left: float, arrived: int, detail: dict[str, Scalar]) -> Evidence:
    total, least = sum(waiting.values()), max(waiting.values())
    writes, documents = count(total, "write"), count(arrived, "document")
    seen = Evidence(Verdict.PASS, "", arrived, ">=", total, unit=" documents", detail={**detail, "arrived": arrived})
    if left:
        return seen.judged(Verdict.FAIL, f"outbox: {left:g} of {total:g} writes still wait after the replay")
    if arrived < least:
        reason = f"outbox: emptied of {writes}, but only {documents} reached the target: some were lost"
        return seen.judged(Verdict.FAIL, reason)
    if arrived < total and len(waiting) > 1:
        reason = f"outbox: {writes} waited, {documents} arrived: lost, or waiting on several instances"
        return seen.judged(Verdict.INCONCLUSIVE, reason)
    return seen.judged(Verdict.PASS, f"outbox: {writes} replayed, {documents} reached the target")


def _waiting(drill: Drill) -> tuple[dict[str, float], dict[str, Scalar]]:
    """Return how many writes wait on each instance, and what is shown of them."""
    reading = drill.read_metrics()
    if reading.unread:
        raise CannotMeasure("; ".join(reading.unread.values()))
    unknown = [short(name) for name, seen in reading.snapshots.items() if not seen.has(OUTBOX)]
    if unknown:
        raise CannotMeasure(f"{', '.join(unknown)}: {OUTBOX} is not exposed; a replay cannot be verified")
    waiting = {name: seen.total(OUTBOX) for name, seen in reading.snapshots.items()}
    detail: dict[str, Scalar] = {f"outbox {short(name)}": size for name, size in waiting.items()}
    ages = {short(name): seen.total(AGE) for name, seen in reading.snapshots.items() if seen.has(AGE)}
    return waiting, detail | {f"oldest s {name}": round(age, 1) for name, age in ages.items()}


def _emptied(drill: Drill) -> float:
    deadline = time.monotonic() + SETTLE_S
    while True:
        left = sum(_waiting(drill)[0].values())
        if not left or time.monotonic() > deadline:
            return left
        drill.tick(f"waiting for {count(left, 'write')} of the outbox")
        time.sleep(POLL_S)


def _lacking(drill: Drill, target: Target) -> Held:
    found, problem = inventories(drill)
    if problem:
        raise CannotMeasure(problem)
    return {tenant: _not_there(target, tenant, items) for tenant, items in found.items()}


def _not_there(target: Target, tenant: str, items: Inventory) -> dict[str, str | None]:
    there = dict(target.present(tenant, list(items)))
    return {name: there.get(name) for name, digest in items.items() if there.get(name) != digest}


def _arrived(target: Target, lacking: Held) -> int:
    """Count the documents whose hash on the target has changed: somebody wrote them."""
    return sum(
        before.get(name) != digest
        for tenant, before in lacking.items()
        for name, digest in target.present(tenant, list(before))
    )

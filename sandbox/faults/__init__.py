"""Named ways in which a real service, its target or its metrics break or lie; importing this registers them all."""

from sandbox.faults import (
    access,
    answers,
    cache,
    flags,
    lifecycle,
    load,
    managed,
    metrics,
    monitoring,
    rehearsal,
    reopen,
    restarts,
    sealed,
    snapshots,
    stored,
    target,
)
from sandbox.faults.registry import FAULTS, Fault, find

__all__ = [
    "FAULTS",
    "Fault",
    "access",
    "answers",
    "cache",
    "find",
    "flags",
    "lifecycle",
    "load",
    "managed",
    "metrics",
    "monitoring",
    "rehearsal",
    "reopen",
    "restarts",
    "sealed",
    "snapshots",
    "stored",
    "target",
]

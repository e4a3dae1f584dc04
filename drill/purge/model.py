"""What a purge is given, what it plans and what it reports."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from drill.errors import CannotMeasure, Refused
from drill.record import Scalar
from drill.target.base import Pair


class Primary(Protocol):
    """The side that is right. Every method raises PrimaryUnreadable."""

    def version(self, tenant: str) -> str:
        """Return a fingerprint that changes with every snapshot."""

    def inventory(self, tenant: str) -> Iterator[Pair]:
        """Yield id and content hash of every document of one snapshot; complete only if it ends without an error."""

    def lookup(self, tenant: str, ids: "frozenset[str] | set[str] | list[str]") -> dict[str, str]:
        """Return the content hash of those of ``ids`` that exist now."""


class EventLog(Protocol):
    """Where a drill writes what it is about to do."""

    def event(self, kind: str, **facts: Scalar) -> None:
        """Write one event; durable on return."""


@dataclass(frozen=True, slots=True)
class PurgeSettings:
    """The bounds of a purge.

    ``tenants`` is the scope: what the target holds of other tenants is counted and never touched. ``max_fraction`` is
    of the target's documents in scope. ``scheduler``: a Dask scheduler's address, ``local``, or empty: compare in this
    process. ``drift_sample``: so many documents a tenant whose vectors are compared, too. ``last_accepted``: documents
    per tenant in FAISS when a purge was last trusted, if known.
    """

    tenants: tuple[str, ...]
    max_fraction: float = 0.05
    batch: int = 1000
    time_budget_s: float = 120.0
    memory_limit_mb: int = 1024
    threads: int = 2
    scheduler: str = ""
    drift_sample: int = 0
    last_accepted: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Drift:
    """Of ``sampled`` documents with the same content on both sides, ``drifted`` have another vector on the target.

    ``worst`` is the largest cosine distance.
    """

    sampled: int
    drifted: int
    worst: float


@dataclass(frozen=True, slots=True)
class Doubts:
    """Why a comparison says less than it seems to (``drill.purge.doubts``), in documents."""

    twice_in_faiss: int = 0
    """Documents there whose id another one has, too."""
    twice_on_target: int = 0
    alike: int = 0
    """Orphans whose id is that of a missing document but for how it is written."""
    unjudged: int = 0
    """On both sides, with hashes that cannot be compared: whether the content is the same is not known."""
    hashes: str = ""
    """What is wrong with the target's hashes; empty if nothing is."""


@dataclass(frozen=True, slots=True)
class Since:
    """What the target holds as FAISS did when the drill began, and FAISS has changed since (`drill.purge.beginning`).

    In documents: ``gone`` from FAISS, ``changed`` there; ``misfits`` of these have another text, and the vector they
    had. ``known``: FAISS held so many, ``allowed``: so many of them users may have deleted. ``whole``: whether all of
    them were known, and not a sample.
    """

    gone: int = 0
    changed: int = 0
    misfits: int = 0
    known: int = 0
    allowed: int = 0
    whole: bool = True

    @property
    def left(self) -> int:
        """Documents that are neither deleted nor counted as orphans or stale ones."""
        return self.gone + self.changed

    @property
    def harm(self) -> str:
        """Say why this is no work of users; empty: it may be."""
        if self.misfits:
            return f"{self.misfits} documents have another text and the vector they had"
        if self.gone > self.allowed:
            return f"{self.gone} documents are gone from FAISS, {self.allowed} may have gone"
        if 2 * self.changed > self.known and self.changed > self.allowed:
            return f"{self.changed} of {self.known} documents have another text"
        return ""


@dataclass(frozen=True, slots=True)
class TenantDelta:
    """Where one tenant's target differs from its FAISS snapshot, in documents.

    ``folder`` holds ``primary.parquet``, ``target.parquet`` (id, hash) and ``delta.parquet`` (id, kind, hash_target;
    sorted).
    """

    tenant: str
    folder: Path
    primary_count: int
    target_count: int
    orphans: int
    stale: int
    missing: int
    version: str
    """The primary's fingerprint when its inventory was begun."""
    drift: Drift | None = None
    """``None``: not looked at."""
    doubts: Doubts = Doubts()
    since: Since = Since()
    """Not among the orphans and stale ones."""

    @property
    def doomed(self) -> int:
        """Documents to delete: orphans and stale ones."""
        return self.orphans + self.stale


@dataclass(frozen=True, slots=True)
class Delta:
    """A plan: the comparison of every tenant in scope. ``digest`` is the SHA-256 of all delta files."""

    tenants: tuple[TenantDelta, ...]
    unscoped: Mapping[str, int]
    """Documents on the target of tenants out of scope."""
    digest: str

    @property
    def orphans(self) -> int:
        """Documents only on the target."""
        return sum(tenant.orphans for tenant in self.tenants)

    @property
    def stale(self) -> int:
        """Documents whose content differs."""
        return sum(tenant.stale for tenant in self.tenants)

    @property
    def missing(self) -> int:
        """Documents only in FAISS."""
        return sum(tenant.missing for tenant in self.tenants)

    @property
    def doomed(self) -> int:
        """Documents to delete."""
        return self.orphans + self.stale

    @property
    def unjudged(self) -> int:
        """Documents on both sides whose content could not be compared."""
        return sum(tenant.doubts.unjudged for tenant in self.tenants)

    @property
    def target_documents(self) -> int:
        """Documents on the target in scope."""
        return sum(tenant.target_count for tenant in self.tenants)

    @property
    def fraction(self) -> float:
        """The share of the target in scope that would be deleted."""
        return self.doomed / self.target_documents if self.target_documents else 0.0


class PurgeStatus(StrEnum):
    """How a purge ended. Only the first two prove that no divergence is left."""

    NOTHING_TO_PURGE = "nothing_to_purge"
    PURGED = "purged"
    DEFERRED = "deferred"
    """Stopped early (time budget, target or disk gave out); what was done is stated, a rerun finishes."""
    REFUSED = "refused"
    """A guard held; nothing was deleted by this plan."""
    INCOMPLETE = "incomplete"
    """Everything was tried and documents that should be gone are still there."""
    COULD_NOT_COMPARE = "could_not_compare"


@dataclass(frozen=True, slots=True)
class PurgeReport:
    """What a purge found and did, in documents. ``None`` is unknown.

    ``left``: condemned and still there. ``changed_since``: agreed with the snapshot that was compared, and differ only
    since FAISS went on without the target; no failure (see ``drill.purge.run``).
    """

    status: PurgeStatus
    reason: str
    orphans: int | None = None
    stale: int | None = None
    missing: int | None = None
    purged: int = 0
    skipped: int = 0
    left: int | None = None
    changed_since: int = 0
    quarantine: Path | None = None
    per_tenant: tuple[TenantDelta, ...] = ()
    unscoped: Mapping[str, int] = field(default_factory=dict)
    duration_s: float = 0.0
    unjudged: int = 0
    """On both sides, and not known to agree: then no status proves that no divergence is left."""
    since: tuple[Since, ...] = ()
    """What the last comparison left on the target, of each tenant."""

    @property
    def deferred(self) -> bool:
        """Whether a rerun is needed to finish."""
        return self.status is PurgeStatus.DEFERRED


def let_through() -> None:
    """Be a gate that is open."""


def silent(line: str) -> None:
    """Report progress to nobody."""
    del line


class OverBudget(CannotMeasure):
    """The time budget is used up."""


class PurgeRefused(Refused):
    """A guard holds this plan back."""


class PurgeBlocked(PurgeRefused):
    """What FAISS holds must be put in order first; nothing speaks against the rollback, nor against the plan."""


class FaissDamaged(PurgeBlocked):
    """FAISS has lost or damaged documents since the drill began: a plan made by it is not worth keeping."""

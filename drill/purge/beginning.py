"""What FAISS held when the drill began: the target's copy of that may be the last good one.

A document of the target that is as FAISS had it then, and that FAISS has otherwise or not at all by now, is no leaving
of the dual-write. Either users have changed it since, or FAISS has lost it. It is left where it is: a stale document
that nobody reads does no harm.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from drill.errors import PrimaryUnreadable
from drill.primary.facts import Look
from drill.primary.held import Held
from drill.purge.budget import Budget
from drill.purge.inventory import write_pairs
from drill.purge.join import Room, duckdb_in, one_file
from drill.purge.model import Primary, Since, TenantDelta
from drill.target.base import Pair

LOOKED_AT = 1_000
"""Documents whose vectors are compared."""

KEEP = """
CREATE TEMP TABLE keep AS SELECT DISTINCT d.id, d.kind, d.hash_target
FROM read_parquet($1) d JOIN read_parquet($2) b USING (id) LEFT JOIN read_parquet($3) p USING (id)
WHERE d.kind = 'orphan' OR (d.kind = 'stale' AND b.hash <> '' AND p.hash IS DISTINCT FROM b.hash
                            AND d.hash_target IN (b.hash, ''))
"""
"""An orphan whatever its hash: FAISS had this id, so it was not the dual-write that left it."""
KEPT = "SELECT count(*) FILTER (kind = 'orphan'), count(*) FILTER (kind = 'stale') FROM keep"
CHANGED = f"SELECT DISTINCT id FROM keep WHERE kind = 'stale' ORDER BY id LIMIT {LOOKED_AT}"  # noqa: S608 - a constant
WITHOUT = """
COPY (FROM read_parquet($1) d ANTI JOIN keep USING (id, kind, hash_target) ORDER BY id, hash_target)
TO '{path}' (FORMAT parquet, COMPRESSION zstd)
"""


@dataclass(frozen=True)
class Beginning:
    """FAISS as it was before anything was written, tenant by tenant.

    ``held``: whole, where that could be kept; of other tenants the documents of ``looks`` are known. ``may_go``: how
    many of so many documents users may have deleted since. ``ours``: whether an id is one of the drill's own canaries.
    """

    looks: Mapping[str, Look]
    held: Mapping[str, Held]
    may_go: Callable[[int], int]
    ours: Callable[[str], bool]

    def left_alone(
        self, primary: Primary, tenant: TenantDelta, files: tuple[Path, Path], room: Room, budget: Budget
    ) -> TenantDelta:
        """Return ``tenant`` without what FAISS had as the target has it and has changed since: that is counted instead.

        ``files``: the primary's inventory, and the delta, which is written anew. Raises CannotMeasure.
        """
        look = self.looks.get(tenant.tenant)
        if look is None or not tenant.doomed or primary.version(tenant.tenant) == look.version:
            return tenant
        before, whole = self._written(tenant.tenant, look, files[1].parent, budget)
        with duckdb_in(room) as duck:
            duck.execute(KEEP, [one_file(path) for path in (files[1], before, files[0])])
            gone, changed = duck.execute(KEPT).fetchall()[0]
            ids = [key for (key,) in duck.execute(CHANGED).fetchall()]
            if gone or changed:
                scratch = files[1].with_suffix(".kept")
                duck.execute(WITHOUT.format(path=str(scratch).replace("'", "''")), [one_file(files[1])])
                scratch.replace(files[1])
        known = look.facts.distinct
        misfits = self._misfits(primary, tenant.tenant, look, ids)
        since = Since(gone, changed, misfits, known, self.may_go(known), whole)
        return replace(tenant, orphans=tenant.orphans - gone, stale=tenant.stale - changed, since=since)

    def _written(self, tenant: str, look: Look, folder: Path, budget: Budget) -> tuple[Path, bool]:
        """Return a file of what FAISS held, and whether it is all of it; written once, beside the rounds of a purge."""
        whole, sample = (folder.parent.with_name(f"{folder.name}.{name}") for name in ("whole", "sample"))
        if whole.exists() or sample.exists():
            return (whole, True) if whole.exists() else (sample, False)
        if (held := self.held.get(tenant)) is not None:
            scratch = whole.with_suffix(".reading")
            with suppress(PrimaryUnreadable):  # written to since
                write_pairs(self._others(held.inventory()), scratch, budget)
                scratch.replace(whole)
                return whole, True
        known = ((key, look.hashes.get(key, "")) for key in look.sample)
        write_pairs(self._others(known), sample, budget)
        return sample, False

    def _others(self, pairs: Iterable[Pair]) -> Iterator[Pair]:
        return (pair for pair in pairs if not self.ours(pair[0]))

    def _misfits(self, primary: Primary, tenant: str, look: Look, ids: Sequence[str]) -> int:
        """Return how many of ``ids``, which have another text, have the vector they had: damaged, not updated."""
        held, vectors_of = self.held.get(tenant), getattr(primary, "vectors", None)
        if not ids or held is None or vectors_of is None or not look.vectors:
            return 0
        with suppress(PrimaryUnreadable):
            before, now = held.vectors(ids), vectors_of(tenant, ids) or {}
            return sum(before[key] == now.get(key) for key in before)
        return 0


def left_in_words(tenants: Sequence[TenantDelta]) -> str:
    """Return a clause that says what is left on the target, as FAISS had it when the drill began; empty: nothing."""
    gone, changed = (sum(getattr(one.since, name) for one in tenants) for name in ("gone", "changed"))
    if not gone and not changed:
        return ""
    return (
        f"; {gone + changed} documents are left on the target for the next purge, as FAISS held them when the drill "
        f"began: since then it has changed {changed} and lost {gone} of them"
    )

"""What a comparison must not be believed: hashes that are not of the content's kind, ids that name two documents.

A content hash says something only if both sides hash the same text in the same way. Where they do not, every document
looks stale. And where one id stands twice on one side, or differs from another one only in how it is written, it cannot
be told which document is meant.
"""

from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drill.errors import CannotMeasure
from drill.purge.join import Room, duckdb_in, one_file
from drill.purge.model import Doubts, TenantDelta
from drill.target.base import Pair, Target

if TYPE_CHECKING:
    import duckdb

MEANINGFUL = 10
"""Documents on both sides of which not one agrees: their hashes are of another kind. Fewer may all be stale."""
LOOKED_INTO = 500
"""Stale documents whose text is hashed here, if the target holds it."""

TWICE = """
SELECT coalesce(sum(n), 0) FROM (
    SELECT count(*) - 1 AS n FROM read_parquet($1) WHERE hash(id) IN (
        SELECT hash(id) FROM read_parquet($1) GROUP BY 1 HAVING count(*) > 1
    ) GROUP BY id HAVING count(*) > 1
)
"""
"""Documents beyond the first of their id; the inner pass holds 8 bytes a document."""
ALIKE = """
SELECT count(*) FROM (SELECT DISTINCT {loose} AS k FROM read_parquet($1) WHERE kind = 'orphan')
JOIN (SELECT DISTINCT {loose} AS k FROM read_parquet($1) WHERE kind = 'missing') USING (k)
"""
LOOSE = (
    "replace(regexp_replace(regexp_replace(lower(nfc_normalize(trim(id))), '^(-?)0+([0-9])', '\\1\\2'), "
    "'^(-?[0-9]+)[.]0+$', '\\1'), '-', '')"
)
"""An id without what a database, or a program before it, may change: case, Unicode form, outer blanks, leading zeros,
a fraction of zero, the dashes of a UUID."""
STALE = "SELECT d.id, p.hash FROM read_parquet($1) d JOIN read_parquet($2) p USING (id) WHERE d.kind = 'stale'"
THERE, HERE = (f"length({hashed}), regexp_full_match({hashed}, '[0-9a-f]*')" for hashed in ("d.hash_target", "p.hash"))
"""How a hash looks: its length, and whether it is hexadecimal."""
SHAPES = f"""
SELECT {THERE}, {HERE}, count(DISTINCT d.id) AS n
FROM read_parquet($1) d JOIN read_parquet($2) p USING (id) WHERE d.kind = 'stale' GROUP BY 1, 2, 3, 4 ORDER BY n DESC
"""  # noqa: S608 - constants
OF_ANOTHER_SHAPE = f"""
id IN (SELECT d.id FROM read_parquet($1) d JOIN read_parquet($2) p USING (id)
       WHERE d.hash_target <> '' AND ({THERE}) <> ({HERE}))
"""  # noqa: S608 - constants
WITHOUT = """
COPY (FROM read_parquet($1) WHERE NOT (kind = 'stale' AND {which}) ORDER BY id, hash_target)
TO '{path}' (FORMAT parquet, COMPRESSION zstd)
"""

ByText = Callable[[], Target]
"""Opens the target so that it hashes texts here, whatever hash it holds."""


@dataclass(frozen=True, slots=True)
class _Side:
    """The files of a tenant's comparison."""

    primary: str
    target: str
    delta: Path
    room: Room


def doubted(tenant: TenantDelta, files: tuple[Path, Path, Path], room: Room, by_text: ByText | None) -> TenantDelta:
    """Return ``tenant`` with its doubts, and without what was called stale by hashes that cannot be compared.

    ``files``: inventories of primary and target, and the delta, which is written anew if need be. Raises CannotMeasure.
    """
    if not tenant.doomed:
        return tenant
    side = _Side(one_file(files[0]), one_file(files[1]), files[2], room)
    with duckdb_in(room) as duck:
        twice_here, twice_there = (_number(duck, TWICE, file) for file in (side.primary, side.target))
        delta = one_file(side.delta)
        alike = _number(duck, ALIKE.format(loose=LOOSE), delta) if tenant.orphans and tenant.missing else 0
        shapes = duck.execute(SHAPES, [delta, side.primary]).fetchall() if tenant.stale else []
    tenant = replace(tenant, doubts=Doubts(twice_here, twice_there, alike))
    if why := _no_hash_is_right(tenant, shapes):
        return _judged_without(tenant, side, "true", why)
    if why := _another_kind(shapes):
        tenant = _judged_without(tenant, side, OF_ANOTHER_SHAPE, why)
    return tenant if twice_there or by_text is None else _looked_into(tenant, side, by_text)


def unjudged_in_words(tenants: Sequence[TenantDelta]) -> str:
    """Return a clause that says of how many documents the content is not known to agree, and why; empty if of none."""
    some = [tenant for tenant in tenants if tenant.doubts.unjudged]
    if not some:
        return ""
    count, tenant = sum(one.doubts.unjudged for one in some), some[0]
    return (
        f"; of {count} documents on both sides the content could not be compared: {tenant.doubts.hashes} (tenant "
        f'{tenant.tenant!r}); nothing is judged by those hashes, set hash_column (or hash_field) to "" so that the '
        "text is hashed here"
    )


def _no_hash_is_right(tenant: TenantDelta, shapes: list[Any]) -> str:
    """Return why no hash of this tenant can be of the content's kind; empty if some are."""
    both = tenant.target_count - tenant.orphans
    if not tenant.stale or both > tenant.stale or both < MEANINGFUL:
        return ""
    if not any(seen[0] for seen in shapes):
        return f"the target holds no hash of any of the {both} documents that are on both sides"
    return _another_kind(shapes) or (
        f"none of the {both} hashes on both sides agree, though they look alike: the target's are of a text that was "
        "prepared otherwise"
    )


def _another_kind(shapes: list[Any]) -> str:
    """Describe the most frequent hash that cannot be one of ours by its looks; empty if there is none."""
    other = next((seen for seen in shapes if seen[0] and seen[:2] != seen[2:4]), None)
    if other is None:
        return ""
    length, is_hex, expected, expected_hex, documents = other
    return (
        f"the target's hashes are of another kind: {_looks(length, is_hex)}, expected {_looks(expected, expected_hex)} "
        f"({documents} documents)"
    )


def _looks(length: int, is_hex: bool) -> str:
    return f"{length} {'hex digits' if is_hex else 'characters'}"


def _looked_into(tenant: TenantDelta, side: _Side, by_text: ByText) -> TenantDelta:
    """Hash the target's texts of documents that are stale by their hash: what has FAISS's very text is not.

    Where there are too many to look into each, and it is so of one, no hash counts.
    """
    if not tenant.stale:
        return tenant
    with duckdb_in(side.room) as duck:
        query = f"{STALE} ORDER BY hash(d.id) LIMIT {LOOKED_INTO}"
        wanted = set(duck.execute(query, [one_file(side.delta), side.primary]).fetchall())
    same: set[Pair] = set()
    with suppress(CannotMeasure), closing(by_text()) as target:  # without texts there is nothing to say
        same = wanted & target.present(tenant.tenant, {key for key, _ in wanted})
    if not same:
        return tenant
    if tenant.stale <= LOOKED_INTO:
        return _without(tenant, side, "id IN (SELECT unnest($3))", [key for key, _ in same])[0]
    why = f"{len(same)} of {len(wanted)} documents whose hash differs have FAISS's very text on the target"
    return _judged_without(tenant, side, "true", why)


def _judged_without(tenant: TenantDelta, side: _Side, which: str, why: str) -> TenantDelta:
    """Take what ``which`` selects of the stale documents out of the delta, as not judged."""
    left, count = _without(tenant, side, which)
    return replace(left, doubts=replace(left.doubts, unjudged=left.doubts.unjudged + count, hashes=why))


def _without(tenant: TenantDelta, side: _Side, which: str, ids: Sequence[str] = ()) -> tuple[TenantDelta, int]:
    """Take what ``which`` selects of the stale documents out of the delta; return it with how many they were."""
    scratch = side.delta.with_suffix(".judged")
    statement = WITHOUT.format(which=which, path=str(scratch).replace("'", "''"))
    values = {"1": one_file(side.delta), "2": side.primary, "3": list(ids)}
    with duckdb_in(side.room) as duck:
        duck.execute(statement, {name: value for name, value in values.items() if f"${name}" in statement})
        stale = _number(duck, "SELECT count(*) FROM read_parquet($1) WHERE kind = 'stale'", one_file(scratch))
    scratch.replace(side.delta)
    return replace(tenant, stale=stale), tenant.stale - stale


def _number(duck: "duckdb.DuckDBPyConnection", query: str, file: str) -> int:
    row = duck.execute(query, [file]).fetchone()
    return int(row[0]) if row else 0

"""What a target needs after many deletes, before its answers may be judged again."""

AFTER_DELETES = {
    "pgvector": "dead tuples take places in the vector index until VACUUM or REINDEX INDEX CONCURRENTLY has run: "
    "run one of them before shadow-read is judged",
}
"""By target kind (VECTORS.md 1.2 (5): until then dead tuples take places in ``ef_search`` and lower recall)."""


def after_deletes(kind: str, purged: int) -> str:
    """Return what is to be done on a target of ``kind`` after ``purged`` deletes; empty if nothing is."""
    return AFTER_DELETES.get(kind, "") if purged else ""

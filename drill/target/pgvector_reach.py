"""What a delete in a table would reach beside its rows, and what could not be written back: by the catalogue."""

from typing import Any

import psycopg
from psycopg.sql import SQL

FAMILY = SQL("""
WITH RECURSIVE below AS (
    SELECT %(table)s::regclass::oid AS oid
    UNION SELECT i.inhrelid FROM pg_inherits i JOIN below ON i.inhparent = below.oid
), above AS (
    SELECT %(table)s::regclass::oid AS oid
    UNION SELECT i.inhparent FROM pg_inherits i JOIN above ON i.inhrelid = above.oid
), family AS (SELECT oid FROM below UNION SELECT oid FROM above)
""")
"""The table, its partitions and children at any depth, and what it is a part of: their keys and triggers act here."""
KEYS = FAMILY + SQL("""
SELECT DISTINCT c.conrelid::regclass::text, c.confdeltype::text
FROM pg_constraint c JOIN family ON c.confrelid = family.oid
WHERE c.contype = 'f' AND c.confdeltype IN ('c', 'n', 'd') ORDER BY 1
""")
TRIGGERS = FAMILY + SQL("""
SELECT DISTINCT t.tgname::text, t.tgrelid::regclass::text FROM pg_trigger t JOIN family ON t.tgrelid = family.oid
WHERE NOT t.tgisinternal AND t.tgenabled IN ('O', 'A') AND t.tgtype & 8 <> 0 ORDER BY 1
""")
"""Those that fire for a delete (bit 3 of tgtype, as pg_trigger.h has it), for rows or statements, whenever."""
RULES = FAMILY + SQL("""
SELECT DISTINCT r.rulename::text, r.ev_class::regclass::text FROM pg_rewrite r JOIN family ON r.ev_class = family.oid
WHERE r.ev_type IN ('3', '4') AND r.ev_enabled IN ('O', 'A') ORDER BY 1
""")
"""Those on insert (3) and delete (4)."""
TABLE = SQL("""
SELECT c.relkind::text, c.relpersistence::text, row_security_active(c.oid),
       c.relkind <> 'p' AND EXISTS (SELECT FROM pg_inherits i WHERE i.inhparent = c.oid),
       EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = %(vector)s AND a.attgenerated <> '')
FROM pg_class c WHERE c.oid = %(table)s::regclass
""")
DOES = {"c": "ON DELETE CASCADE", "n": "ON DELETE SET NULL", "d": "ON DELETE SET DEFAULT"}
NO_TABLE = {"v": "a view", "m": "a materialized view", "f": "a foreign table"}
PERSISTENCE = {"u": "unlogged: a crash of the server empties it", "t": "temporary"}


def reaches(cursor: psycopg.Cursor[Any], table: str, vector_column: str) -> list[str]:
    """Return one text for each thing that a purge of ``table`` (a quoted name) would do and an undo would not."""
    values = {"table": table, "vector": vector_column}
    [(kind, _, policies, has_children, generated)] = cursor.execute(TABLE, values).fetchall()
    found = [f"it is {NO_TABLE[kind]}, and what stands behind it cannot be seen"] if kind in NO_TABLE else []
    found += ["row security hides rows from this user"] * policies
    found += ["other tables inherit from it: their rows would come back as its own"] * has_children
    found += [f"column {vector_column!r} is generated: it could not be written back"] * generated
    found += [f"rows of {name} refer to it {DOES[does]}" for name, does in cursor.execute(KEYS, values).fetchall()]
    found += [f"trigger {name} of {of} fires on delete" for name, of in cursor.execute(TRIGGERS, values).fetchall()]
    return found + [f"rule {name} of {of} rewrites it" for name, of in cursor.execute(RULES, values).fetchall()]


def persistence(cursor: psycopg.Cursor[Any], table: str) -> str:
    """Return in what way ``table`` is not kept like others; empty if it is."""
    [(_, kept, *_)] = cursor.execute(TABLE, {"table": table, "vector": ""}).fetchall()
    return PERSISTENCE.get(kept, "")

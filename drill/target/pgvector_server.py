"""Which PostgreSQL, database and table this is, whatever host name and database name led there."""

from typing import Any

import psycopg

WHO = """
SELECT coalesce(has_function_privilege(to_regprocedure('pg_catalog.pg_control_system()')::oid, 'EXECUTE'), false),
       d.oid::text, n.nspname::text, c.relname::text
FROM pg_database d, pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE d.datname = current_database() AND c.oid = %s::regclass
"""


def who(cursor: psycopg.Cursor[Any], table: str) -> tuple[tuple[bool, str], tuple[str, str, str]]:
    """Return whether the system identifier may be asked for and the address, then database oid, schema and table.

    The oid stays when a database is renamed; a database that is restored has another. ``table``: a quoted name.
    """
    [(allowed, database, schema, name)] = cursor.execute(WHO, [table]).fetchall()
    info = cursor.connection.info
    return (allowed, f"{info.host}:{info.port}"), (database, schema, name)


def system_identifier(cursor: psycopg.Cursor[Any]) -> str:
    """Return what PostgreSQL was given when its cluster was made; its replicas have the same."""
    [(found,)] = cursor.execute("SELECT system_identifier::text FROM pg_control_system()").fetchall()
    return str(found)

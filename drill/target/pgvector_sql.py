"""The statements of the pgvector target, built once from the configured names and the catalogue."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from psycopg.sql import SQL, Composed, Identifier

from drill.target.base import TargetSettings

COLUMNS = SQL(
    "SELECT attname, format_type(atttypid, NULL), attgenerated <> '' FROM pg_attribute "
    "WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum"
)
"""Name and type of every column, and whether the server computes it: then it is read, and never written."""

RIGHTS = SQL(
    "SELECT ARRAY(SELECT needed FROM unnest(%(needed)s::text[]) AS needed "
    "WHERE NOT has_table_privilege(%(table)s::regclass, needed)), "
    "row_security_active(%(table)s::regclass), "
    "current_setting('default_transaction_read_only') = 'on' OR pg_is_in_recovery()"
)
"""What is not granted, whether policies hide rows from this user, whether the server takes no writes (a replica)."""

CLOSED = (
    "SELECT pg_is_in_recovery(), EXISTS (SELECT FROM pg_settings WHERE name = 'default_transaction_read_only' "
    "AND setting = 'on' AND source IN ('environment variable', 'configuration file', 'command line', 'global', "
    "'database'))"
)
"""Whether this is a replica, and whether nobody is to write: what is set for a user or a session is the drill's own."""


@dataclass(frozen=True, slots=True)
class Statements:
    """``hashed_here``: in place of a hash, the statements return the text and the client hashes it."""

    hashed_here: bool
    id_type: str
    vector_type: str
    counts: Composed
    first_page: Composed
    next_page: Composed
    range_end: Composed
    sums: Composed
    present: Composed
    lock: Composed
    export: Composed
    delete: Composed
    delete_ids: Composed
    restore: Composed


def text_array(values: Collection[str]) -> str:
    """Return ``values`` as PostgreSQL writes an array: psycopg's own way takes longer than a look-up of them."""
    if not values:
        return "{}"
    quoted = '","'.join(values)
    if "\\" in quoted or quoted.count('"') != 2 * (len(values) - 1):
        quoted = '","'.join(value.replace("\\", "\\\\").replace('"', '\\"') for value in values)
    return f'{{"{quoted}"}}'


def table_name(settings: TargetSettings) -> Identifier:
    """Quote the table, whose name may hold a schema, for use as a value."""
    return Identifier(*settings.table.split("."))


def build(settings: TargetSettings, columns: Sequence[tuple[str, str, bool]]) -> Statements:
    """Return the statements for a table with ``columns`` (name, type, whether it is generated).

    The scan pages by key in the id column's own order, not in byte order: no caller needs an order, and only its own
    order is the one its index has (a sort for each page would make the scan quadratic).
    """
    types = {name: kind for name, kind, _ in columns}
    others = [name for name in types if name != settings.vector_column]
    written = [name for name, _, generated in columns if not generated and name != settings.vector_column]
    parts = {
        "t": _name(*settings.table.split(".")),
        "id": _name("t", settings.id_column),
        "tenant": _name("t", settings.tenant_column),
        "vector": _name("t", settings.vector_column),
        "bare_vector": _name(settings.vector_column),
        "saved_id": _name("saved", settings.id_column),
        "saved_tenant": _name("saved", settings.tenant_column),
        "hash": _hash(settings, types),
        "shown": _shown(settings, types),
        "ids": SQL("%(ids)t::text[]::{}[]").format(_type(types[settings.id_column])),
        "id_type": _type(types[settings.id_column]),
        "vector_type": _type(types[settings.vector_column]),
        "others": SQL(", ").join(map(_name, written)),
        "their": SQL(", ").join(_name("t", name) for name in others),
        "saved": SQL(", ").join(_name("saved", name) for name in written),
    }
    page = "SELECT {id}::text, {shown} FROM {t} t WHERE {tenant} = %(tenant)s{after} ORDER BY {id} LIMIT %(limit)s"
    parts["chosen"] = SQL("FROM {t} t WHERE {tenant} = %(tenant)s AND {id} = ANY({ids})").format(**parts)

    def statement(text: str) -> Composed:
        return SQL(text).format(**parts)

    return Statements(
        hashed_here=not settings.hash_column,
        id_type=types[settings.id_column],
        vector_type=types[settings.vector_column],
        counts=statement("SELECT {tenant}::text, count(*) FROM {t} t WHERE {tenant} IS NOT NULL GROUP BY {tenant}"),
        first_page=statement(page.replace("{after}", "")),
        next_page=statement(page.replace("{after}", " AND {id} > %(after)s::{id_type}")),
        range_end=statement(
            "SELECT {id}::text FROM {t} t WHERE {tenant} = %(tenant)s AND (%(after)s::text IS NULL OR {id} > "
            "%(after)s::{id_type}) ORDER BY {id} OFFSET %(skip)s LIMIT 1"
        ),
        sums=statement(
            "SELECT (h >> 54) & 1023, count(*), sum(h) FROM (SELECT "
            "('x' || substr(md5(octet_length({id}::text) || ':' || {id}::text || {hash}), 1, 16))::bit(64)::bigint "
            "AS h FROM {t} t WHERE {tenant} = %(tenant)s AND (%(after)s::text IS NULL OR {id} > %(after)s::{id_type}) "
            "AND (%(end)s::text IS NULL OR {id} <= %(end)s::{id_type})) s GROUP BY 1"
        ),
        present=statement("SELECT {id}::text, {shown} {chosen}"),
        lock=statement("SELECT {id}::text, {shown} {chosen} FOR UPDATE"),
        export=statement(
            "SELECT {id}::text, {shown}, {vector}, (SELECT row_to_json(o)::text FROM (SELECT {their}) o) {chosen}"
        ),
        delete=statement(
            "DELETE FROM {t} t USING unnest({ids}, %(ids)t::text[], %(hashes)t::text[]) d(id, name, hash) "
            'WHERE {tenant} = %(tenant)s AND {id} = d.id AND {id}::text COLLATE "C" = d.name '
            "AND ({shown} = d.hash OR {hash} = d.hash) RETURNING {id}::text"
        ),
        delete_ids=statement('DELETE {chosen} AND {id}::text COLLATE "C" = ANY(%(ids)t::text[]) RETURNING {id}::text'),
        restore=statement(
            "INSERT INTO {t} ({others}, {bare_vector}) OVERRIDING SYSTEM VALUE "
            "SELECT {saved}, %(vector)s::{vector_type} "
            "FROM json_populate_record(NULL::{t}, %(payload)s::json) saved "
            "WHERE NOT EXISTS (SELECT FROM {t} t WHERE {tenant} = {saved_tenant} AND {id} = {saved_id}) "
            "ON CONFLICT DO NOTHING"
        ),
    )


def _hash(settings: TargetSettings, types: dict[str, str]) -> Composed:
    """Return what a row is compared by: its hash in lowercase hex ('' if it has none), or the text to be hashed."""
    if not settings.hash_column:
        return SQL("coalesce({}, '')").format(_name("t", settings.text_column))
    column = _name("t", settings.hash_column)
    if types[settings.hash_column] == "bytea":
        return SQL("coalesce(encode({}, 'hex'), '')").format(column)
    return SQL("coalesce(lower({}::text), '')").format(column)


def _shown(settings: TargetSettings, types: dict[str, str]) -> Composed:
    """Return what is read for ``_hash``: a text as it is, since lowering it on this side makes the scan faster."""
    if types.get(settings.hash_column) == "text":
        return SQL("{}").format(_name("t", settings.hash_column))
    return _hash(settings, types)


def _type(name: str) -> SQL:
    return SQL(name)  # format_type() quotes it where needed; the catalogue is no user input


def _name(*parts: str) -> Identifier:
    """Quote a name for a statement with parameters, where a percent sign has to be doubled."""
    return Identifier(*(part.replace("%", "%%") for part in parts))

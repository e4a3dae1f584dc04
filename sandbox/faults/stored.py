"""Faults of what the target stores, done to the database itself; switched off, they take it back."""

from typing import LiteralString

from sandbox.errors import SandboxError
from sandbox.faults.hooks import Hooks, Places
from sandbox.faults.registry import fault
from sandbox.service.target import TABLE, connect


class StoredChange(Hooks):
    """A change of the target by statements, and the statements that undo it."""

    do: tuple[LiteralString, ...] = ()
    undo: tuple[LiteralString, ...] = ()

    @classmethod
    def switched_on(cls, places: Places) -> None:
        """Change the target."""
        run(places.dsn, *cls.do)

    @classmethod
    def switched_off(cls, places: Places) -> None:
        """Change it back."""
        run(places.dsn, *cls.undo)


def run(dsn: str, *statements: LiteralString) -> None:
    """Run statements about the target's ``{table}``; raise ``SandboxError`` if one fails."""
    import psycopg
    from psycopg.sql import SQL, Identifier

    try:
        with connect(dsn) as connection:
            for statement in statements:
                connection.execute(SQL(statement).format(table=Identifier(TABLE)))
    except psycopg.Error as error:
        raise SandboxError(f"the target could not be changed ({type(error).__name__}): is the stack up?") from None


RESTORE_HASHES: LiteralString = (
    "update {table} t set content_hash = k.content_hash from hashes_kept k "
    "where (t.tenant, t.id, t.text) = (k.tenant, k.id, k.text)"
)
FEEDBACK: LiteralString = (
    'create table feedback (tenant text collate "C", document text collate "C", stars int, '
    "foreign key (tenant, document) references {table} on delete cascade)"
)


@fault
class ForeignHashes(StoredChange):
    """The target's hash column holds MD5 in place of SHA-256."""

    do = (
        "create table hashes_kept as select tenant, id, content_hash, text from {table}",
        "update {table} set content_hash = md5(text)",
    )
    undo = (
        RESTORE_HASHES,
        "drop table hashes_kept",
    )


@fault
class CascadeOnTarget(StoredChange):
    """Users' feedback refers to the target's documents and is deleted with them."""

    do = (
        FEEDBACK,
        "insert into feedback select tenant, id, 5 from {table}",
    )
    undo = ("drop table feedback",)

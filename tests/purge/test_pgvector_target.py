"""The pgvector target against a real server: tables as people have them, and servers that fail."""

import time
from collections.abc import Callable
from typing import Any, LiteralString

import numpy as np
import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from psycopg.sql import SQL, Identifier

from drill.content_hash import content_hash
from drill.errors import TargetUnavailable, UsageError
from drill.secret import Secret
from drill.target import Row, Target, TargetSettings, open_target, pgvector, pgvector_sql
from drill.target.base import AsksRights, TellsOfWrites
from drill.target.pgvector_connection import Unanswered, connect
from tests.purge.world import HOSTILE, World, documents


@pytest.fixture
def make(world: World) -> Any:
    """Open targets that are closed at the end."""
    opened: list[Target] = []

    def _make(**changes: Any) -> Target:
        opened.append(world.target(**changes))
        return opened[-1]

    yield _make
    for target in opened:
        target.close()


Make = Callable[..., Target]


def scanned(target: Target, tenant: str = "a") -> list[tuple[str, str]]:
    return [pair for page in target.scan(tenant) for pair in page]


@pytest.mark.parametrize("count", [0, 1, 6, 7, 8, 14, 30])
def test_a_scan_yields_every_document_once(
    world: World, make: Make, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    """Whatever the number of pages, and also if the last one is full."""
    monkeypatch.setattr(pgvector, "PAGE", 7)
    world.write(documents(range(count)))
    world.write(documents(range(3)), tenant="b")
    assert sorted(scanned(make())) == sorted((key, content_hash(text)) for key, text in documents(range(count)).items())
    assert make().counts() == {key: value for key, value in {"a": count, "b": 3}.items() if value}


def test_hostile_ids_are_read_looked_up_exported_and_deleted(
    world: World, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each id comes back as it was written, also as the key of a page."""
    monkeypatch.setattr(pgvector, "PAGE", 2)
    world.write({key: key for key in HOSTILE}, tenant=HOSTILE[0])
    target = make()
    pairs = {(key, content_hash(key)) for key in HOSTILE}
    assert set(scanned(target, HOSTILE[0])) == pairs
    assert target.present(HOSTILE[0], HOSTILE) == pairs
    assert {row.pair for row in target.export(HOSTILE[0], HOSTILE)} == pairs
    assert target.delete(HOSTILE[0], pairs) == set(HOSTILE)
    assert target.counts() == {}


@pytest.mark.parametrize("hash_column", ["content_hash", ""])
def test_delete_takes_only_what_has_the_given_content(world: World, make: Make, hash_column: str) -> None:
    """Another content, an unknown id and another tenant are left alone."""
    world.write(documents(range(4)))
    world.write(documents(range(4)), tenant="b")
    target = make(hash_column=hash_column)
    wanted = [("d0", content_hash("text of 0")), ("d1", content_hash("other")), ("d9", content_hash("text of 9"))]
    assert target.delete("a", wanted) == {"d0"}
    assert (world.ids(), world.ids("b")) == ({"d1", "d2", "d3"}, {"d0", "d1", "d2", "d3"})


def test_export_has_the_exact_vectors_and_restore_brings_back_every_column(world: World, make: Make) -> None:
    """Floats to the last bit, jsonb, timestamps, NULLs; ids that exist are left as they are."""
    world.write(documents(range(3)))
    world.execute("UPDATE {} SET embedding = NULL, meta = NULL WHERE id = 'd1'")
    before = world.dump()
    target = make()
    rows = list(target.export("a", ["d0", "d1", "d2"]))
    assert [row.vector is None for row in sorted(rows, key=lambda row: row.id)] == [False, True, False]
    target.delete("a", [row.pair for row in rows])
    assert world.dump() == []
    world.write({"d2": "newer"})
    target.restore("a", rows)
    target.restore("a", rows)
    after = {row[1]: row for row in world.dump()}
    assert [after["d0"], after["d1"]] == before[:2]
    assert after["d2"][2] == "newer"


def table(world: World, columns: str, *rows: tuple[object, ...]) -> None:
    """Make the world's table anew, as somebody else has it."""
    world.execute("DROP TABLE {}")
    world.execute("CREATE TABLE {} (" + columns + ")")
    for row in rows:
        world.execute("INSERT INTO {} VALUES (" + ", ".join(["%s"] * len(row)) + ")", *row)


@pytest.mark.parametrize("kind", ["bigint", "uuid", "varchar(40)", 'text COLLATE "POSIX"'])
def test_ids_of_other_types_are_paged_in_their_own_order(
    world: World, make: Make, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Numbers do not sort as texts: no page may skip or repeat one."""
    monkeypatch.setattr(pgvector, "PAGE", 3)
    made = [f"{n:032x}" if kind == "uuid" else str(n) for n in (1, 2, 9, 10, 11, 99, 100, 101)]
    rows = [("a", key, "t", content_hash("t"), "[1,2]") for key in made]
    table(world, f"tenant text, id {kind} PRIMARY KEY, text text, content_hash text, embedding vector(2)", *rows)
    target = make()
    found = scanned(target)
    assert len(found) == len(set(found)) == 8
    exported = list(target.export("a", [key for key, _ in found]))
    assert len(exported) == 8
    assert target.delete("a", found) == {key for key, _ in found}
    target.restore("a", exported)
    assert sorted(scanned(target)) == sorted(found)


def test_bytea_hash_generated_and_identity_columns_and_halfvec(world: World, make: Make) -> None:
    """A table with all of them is exported, deleted and restored."""
    table(
        world,
        "n int GENERATED ALWAYS AS IDENTITY, tenant text, id text, text text, "
        "content_hash bytea, embedding halfvec(2), "
        "size int GENERATED ALWAYS AS (length(text)) STORED",
    )
    values = ("a", "x", "some", bytes.fromhex(content_hash("some")), "[0.1,65504]")
    world.execute("INSERT INTO {} (tenant, id, text, content_hash, embedding) VALUES (%s, %s, %s, %s, %s)", *values)
    everything = "SELECT n, id, size, content_hash, embedding::text FROM {}"
    before = world.execute(everything)
    target = make()
    rows = list(target.export("a", ["x"]))
    assert rows[0].hash == content_hash("some")
    assert rows[0].vector == np.array([0.1, 65504], "f2").astype("<f4").tobytes()
    assert target.delete("a", [rows[0].pair]) == {"x"}
    target.restore("a", rows)
    target.restore("a", rows)
    assert world.execute(everything) == before


def test_quoted_names_and_schemas(world: World, make: Make) -> None:
    """Names are identifiers, whatever is in them."""
    world.execute('CREATE SCHEMA IF NOT EXISTS "odd ""schema"')
    world.execute('CREATE TABLE "odd ""schema"."T %% x" ("Id" text, "te nant" text, "V" vector(1), "h;" text)')
    world.execute("""INSERT INTO "odd ""schema"."T %% x" VALUES ('x', 'a', '[1]', 'ff')""")
    names = {"id_column": "Id", "tenant_column": "te nant", "vector_column": "V", "hash_column": "h;"}
    target = make(table='odd "schema.T %% x'.replace("%%", "%"), **names)
    rows = list(target.export("a", ["x"]))
    assert target.delete("a", [rows[0].pair]) == {"x"}
    target.restore("a", rows)
    assert scanned(target) == [("x", "ff")]
    target.close()
    world.execute('DROP SCHEMA "odd ""schema" CASCADE')


BAD_SETTINGS = [
    ({"table": "nowhere"}, "table 'nowhere' not found in that database; check [target] table"),
    ({"id_column": "key", "hash_column": "sha"}, "no column 'key', 'sha', it has content_hash, embedding, id, "),
    ({"id_column": "key"}, "no column 'key', it has "),
    ({"hash_column": "digest"}, "no column 'digest'"),
    ({"vector_column": "text"}, "is of type text"),
    ({"dsn": "not a dsn hunter2"}, "not a PostgreSQL URL"),
    ({"dsn": "postgresql://u:hunter2@127.0.0.1:1/db"}, "connection refused"),
    ({"dsn": "postgresql://u:hunter2@nowhere.invalid/db"}, "host name not found"),
]


@pytest.mark.parametrize(("changes", "said"), BAD_SETTINGS)
def test_wrong_settings_are_one_line_without_secrets(world: World, changes: dict[str, str], said: str) -> None:
    """What was seen, what was expected, what to do."""
    with pytest.raises(TargetUnavailable) as caught:
        world.target(**changes)
    message = str(caught.value)
    assert said in message
    assert "check" in message
    assert "\n" not in message
    assert "hunter2" not in message


def test_a_wrong_database_is_said(world: World) -> None:
    """A database that is not there, and one without the extension."""
    world.execute("CREATE DATABASE bare")
    try:
        with pytest.raises(TargetUnavailable, match="no pgvector extension"):
            world.target(dsn=world.dsn.replace("/postgres?", "/bare?"))
    finally:
        world.execute("DROP DATABASE bare WITH (FORCE)")
    with pytest.raises(TargetUnavailable, match="no such database"):
        world.target(dsn=world.dsn.replace("/postgres?", "/bare?"))


def test_the_scheme_of_sqlalchemy_is_understood(world: World, make: Make) -> None:
    """Services keep their URL in that form; a secret stays one."""
    target = make(dsn=Secret(world.dsn.replace("postgresql://", "postgresql+psycopg://")))
    assert target.counts() == {}
    assert world.dsn not in repr(world.settings(dsn=Secret(world.dsn)))


def test_an_unknown_kind_is_a_usage_error() -> None:
    """With the known ones."""
    with pytest.raises(UsageError, match="'oracle' is unknown; known: pgvector"):
        open_target(TargetSettings("oracle", ""), {})


def test_a_broken_connection_is_opened_again_once(world: World, make: Make) -> None:
    """A server that drops an idle connection does not end a purge."""
    world.write(documents(range(3)))
    target = make()
    target.counts()
    terminate = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'rollback-drill'"
    world.connection.execute(terminate)
    assert target.counts() == {"a": 3}


def test_a_slow_statement_ends_at_the_statement_timeout(world: World) -> None:
    """The server itself ends it, in the words of the setting."""
    world.write(documents(range(3)))
    target = world.target(statement_timeout_s=0.3)
    with psycopg.connect(world.dsn) as other:
        other.execute(f"LOCK TABLE {world.table}")
        started = time.monotonic()
        with pytest.raises(TargetUnavailable, match="statement timeout"):
            target.counts()
        assert time.monotonic() - started < 2
    target.close()


def test_a_server_that_falls_silent_is_given_up(world: World) -> None:
    """The client does not rely on the server's own timeout; the connection is closed for good."""
    connection = connect(world.dsn, 3, 30)
    connection.answer_within_s = 0.2
    started = time.monotonic()
    with pytest.raises(Unanswered):
        connection.execute("SELECT pg_sleep(20)")
    assert time.monotonic() - started < 2
    assert connection.closed


def test_rows_of_equal_content_are_equal() -> None:
    """An undo compares rows as values."""
    assert Row("x", "h", b"1234", "{}") == Row("x", "h", b"1234", "{}")
    assert Row("x", "h", b"1234", "{}") != Row("x", "h", b"1235", "{}")


def login(world: World, grants: LiteralString) -> str:
    """Return the DSN of a role of its own that has ``grants`` on the table."""
    role = f"r{world.table}"
    with psycopg.connect(world.dsn, autocommit=True) as connection:
        connection.execute(SQL("CREATE ROLE {} LOGIN").format(Identifier(role)))
        connection.execute(SQL("GRANT {} ON {} TO {}").format(SQL(grants), Identifier(world.table), Identifier(role)))
    return make_conninfo(world.dsn, user=role)


@pytest.mark.parametrize(
    ("grants", "missing"),
    [
        ("SELECT, DELETE, INSERT", []),
        ("SELECT", ["no DELETE on the table", "no INSERT on the table"]),
        ("SELECT, DELETE", ["no INSERT on the table"]),
    ],
)
def test_missing_rights_are_asked_for_and_nothing_is_tried(
    world: World, make: Make, grants: LiteralString, missing: list[str]
) -> None:
    world.write(documents(range(3)))
    target = make(dsn=login(world, grants))
    assert isinstance(target, AsksRights)
    assert target.missing_rights() == missing
    assert make().counts() == {"a": 3}


def test_hashing_on_this_side_needs_to_lock_rows(world: World, make: Make) -> None:
    target = make(dsn=login(world, "SELECT, DELETE, INSERT"), hash_column="")
    assert isinstance(target, AsksRights)
    assert target.missing_rights() == ["no UPDATE on the table"]


def test_row_security_and_a_server_that_takes_no_writes_are_named(world: World, make: Make) -> None:
    dsn = login(world, "SELECT, DELETE, INSERT")
    with psycopg.connect(world.dsn, autocommit=True) as connection:
        connection.execute(SQL("ALTER TABLE {} ENABLE ROW LEVEL SECURITY").format(Identifier(world.table)))
    target = make(dsn=make_conninfo(dsn, options="-c default_transaction_read_only=on"))
    assert isinstance(target, AsksRights)
    assert target.missing_rights() == ["row security hides rows from this user", "the server is read-only (a replica?)"]


def test_a_database_that_takes_no_writes_says_so_and_a_user_who_may_not_write_does_not(
    world: World, make: Make
) -> None:
    """What is set for the drill alone says nothing of the service's writes."""
    drills_own = make(dsn=make_conninfo(world.dsn, options="-c default_transaction_read_only=on"))
    assert isinstance(drills_own, TellsOfWrites)
    assert drills_own.takes_no_writes() == ""
    with psycopg.connect(world.dsn, autocommit=True) as connection:
        name = Identifier(connection.info.dbname)
        connection.execute(SQL("ALTER DATABASE {} SET default_transaction_read_only = on").format(name))
        try:
            closed = make()
            assert isinstance(closed, TellsOfWrites)
            assert "takes no writes" in closed.takes_no_writes()
        finally:
            connection.execute(SQL("ALTER DATABASE {} RESET default_transaction_read_only").format(name))


def test_a_replica_says_so(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be behind."""
    monkeypatch.setattr(pgvector_sql, "CLOSED", pgvector_sql.CLOSED.replace("pg_is_in_recovery()", "true"))
    target = make()
    assert isinstance(target, TellsOfWrites)
    assert "a replica" in target.takes_no_writes()

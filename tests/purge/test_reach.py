"""What a delete would reach beyond the quarantine, or an undo would not bring back, refuses the purge beforehand."""

from collections.abc import Callable, Iterator
from typing import LiteralString

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from psycopg.sql import SQL, Identifier

from drill.content_hash import content_hash
from drill.purge import PurgeStatus
from drill.purge.undo import undo
from tests.purge.world import World, documents

DO_NOTHING: LiteralString = "CREATE FUNCTION pg_temp.f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN OLD; END'"
PARTITIONED: LiteralString = (
    "ALTER TABLE {t} RENAME TO {part}; CREATE TABLE {t} (LIKE {part} INCLUDING ALL) PARTITION BY LIST (tenant); "
    "ALTER TABLE {t} ATTACH PARTITION {part} FOR VALUES IN ('a')"
)
EACH_ROW: LiteralString = " FOR EACH ROW EXECUTE FUNCTION pg_temp.f()"
ELSEWHERE: LiteralString = "CREATE TABLE elsewhere.{other} (tenant text, id text, FOREIGN KEY (tenant, id) REFERENCES "
CHILD: LiteralString = "CREATE TABLE {other} (tenant text, id text, FOREIGN KEY (tenant, id) REFERENCES "

REACHES: dict[str, tuple[list[LiteralString], str]] = {
    "cascade": ([CHILD + "{t} ON DELETE CASCADE)"], "refer to it ON DELETE CASCADE"),
    "set null": ([CHILD + "{t} ON DELETE SET NULL)"], "refer to it ON DELETE SET NULL"),
    "set default": ([CHILD + "{t} ON DELETE SET DEFAULT)"], "refer to it ON DELETE SET DEFAULT"),
    "cascade to itself": (
        ["ALTER TABLE {t} ADD parent text, ADD FOREIGN KEY (tenant, parent) REFERENCES {t} ON DELETE CASCADE"],
        "ON DELETE CASCADE",
    ),
    "cascade on the partitioned table": ([PARTITIONED, CHILD + "{t} ON DELETE CASCADE)"], "ON DELETE CASCADE"),
    "cascade on a partition": ([PARTITIONED, CHILD + "{part} ON DELETE CASCADE)"], "ON DELETE CASCADE"),
    "cascade from another schema": (
        ["CREATE SCHEMA IF NOT EXISTS elsewhere", ELSEWHERE + "{t} ON DELETE CASCADE)"],
        "rows of elsewhere.",
    ),
    "row trigger": ([DO_NOTHING, "CREATE TRIGGER gone BEFORE DELETE ON {t}" + EACH_ROW], "trigger gone of"),
    "statement trigger": (
        [DO_NOTHING, "CREATE TRIGGER noted AFTER INSERT OR DELETE ON {t} EXECUTE FUNCTION pg_temp.f()"],
        "trigger noted of",
    ),
    "trigger of a partition": (
        [PARTITIONED, DO_NOTHING, "CREATE TRIGGER gone AFTER DELETE ON {part}" + EACH_ROW],
        "fires on delete",
    ),
    "rule": (["CREATE RULE kept AS ON DELETE TO {t} DO ALSO NOTIFY gone"], "rule kept of"),
    "rule on insert": (["CREATE RULE kept AS ON INSERT TO {t} DO ALSO NOTIFY gone"], "rule kept of"),
    "a view": (["ALTER TABLE {t} RENAME TO {part}", "CREATE VIEW {t} AS SELECT * FROM {part}"], "it is a view"),
    "children by inheritance": (["CREATE TABLE {other} (more text) INHERITS ({t})"], "other tables inherit from it"),
}  # fmt: skip
HARMLESS: dict[str, list[LiteralString]] = {
    "restrict that nothing uses": [CHILD + "{t} ON DELETE RESTRICT)"],
    "no action that nothing uses": [CHILD + "{t})"],
    "trigger on insert and update": [DO_NOTHING, "CREATE TRIGGER n AFTER INSERT OR UPDATE ON {t}" + EACH_ROW],
    "trigger that is off": [
        DO_NOTHING,
        "CREATE TRIGGER gone BEFORE DELETE ON {t}" + EACH_ROW,
        "ALTER TABLE {t} DISABLE TRIGGER gone",
    ],
    "partitions": [PARTITIONED],
    "a view of it": ["CREATE VIEW {other} AS SELECT * FROM {t}"],
    "unlogged": ["ALTER TABLE {t} SET UNLOGGED"],
    "its own key to others": [
        "CREATE TABLE {other} (tenant text PRIMARY KEY)", "INSERT INTO {other} VALUES ('a')",
        "ALTER TABLE {t} ADD FOREIGN KEY (tenant) REFERENCES {other} ON DELETE CASCADE",
    ],
}  # fmt: skip


SECURE: tuple[LiteralString, ...] = (
    "ALTER TABLE {t} ENABLE ROW LEVEL SECURITY",
    "CREATE POLICY p ON {t} TO {r} USING (id <> 'd1001')",
)


@pytest.fixture
def altered(world: World) -> Iterator[Callable[[list[LiteralString]], None]]:
    """Run statements in which {t} is the table, {part} and {other} further names."""
    names = {"t": world.table, "part": f"{world.table}_1", "other": f"{world.table}_2"}

    def run(statements: list[LiteralString]) -> None:
        for statement in statements:
            world.connection.execute(SQL(statement).format(**{key: Identifier(name) for key, name in names.items()}))

    world.seed()
    yield run
    world.connection.execute("DISCARD TEMP")
    for name in (f"elsewhere.{names['other']}", names["other"], names["t"], names["part"]):
        for kind in ("VIEW", "TABLE"):
            try:
                world.connection.execute(f"DROP {kind} IF EXISTS {name} CASCADE".encode())
            except psycopg.Error:
                continue


@pytest.mark.parametrize("how", REACHES)
def test_what_a_delete_would_reach_refuses_the_purge(
    world: World, altered: Callable[[list[LiteralString]], None], how: str
) -> None:
    """Named in one line, before anything is deleted, and a plan says it as well."""
    statements, said = REACHES[how]
    altered(statements)
    before = world.dump()
    purge = world.purge()
    delta = purge.plan()
    assert said in str(purge.objection(delta))
    report = purge.run(delta)
    assert report.status is PurgeStatus.REFUSED
    assert said in report.reason
    assert "\n" not in report.reason
    assert (world.dump(), report.purged) == (before, 0)


@pytest.mark.parametrize("how", HARMLESS)
def test_what_a_delete_does_not_reach_is_no_objection(
    world: World, altered: Callable[[list[LiteralString]], None], how: str
) -> None:
    """A table may be odd and well: it is purged, and undone to what it was."""
    altered(HARMLESS[how])
    before = world.dump()
    report = world.purge().run()
    assert (report.status, report.purged) == (PurgeStatus.PURGED, 12), report
    target = world.target()
    undone = undo(world.root / "drill" / "quarantine", target)
    target.close()
    assert (undone.restored, undone.kept, undone.failed) == (12, 0, 0)
    assert world.dump() == before


def test_nothing_to_delete_is_no_reason_to_refuse(world: World) -> None:
    """A table with a cascade and without a delta is as it should be."""
    world.faiss(documents(range(20)))
    world.write(documents(range(20)))
    world.execute(
        f"ALTER TABLE {{}} ADD parent text, ADD FOREIGN KEY (tenant, parent) REFERENCES {world.table} ON DELETE CASCADE"
    )
    purge = world.purge()
    assert purge.objection(purge.plan()) is None
    assert purge.run().status is PurgeStatus.NOTHING_TO_PURGE


def test_rows_that_forbid_a_delete_are_said(world: World, altered: Callable[[list[LiteralString]], None]) -> None:
    """A foreign key without an action stops the delete: deferred, with the reason, and nothing lost."""
    altered([CHILD + "{t})", "INSERT INTO {other} VALUES ('a', 'd1001')"])
    before = world.dump()
    report = world.purge().run()
    assert report.status is PurgeStatus.DEFERRED
    assert "which their foreign key forbids to delete" in report.reason
    assert (world.dump(), report.purged) == (before, 0)


def test_rows_that_row_security_hides_refuse_the_purge(world: World) -> None:
    """What is not seen cannot be compared."""
    world.seed()
    role = f"r{world.table}"
    with psycopg.connect(world.dsn, autocommit=True) as connection:
        for statement in ("CREATE ROLE {r} LOGIN", "GRANT ALL ON {t} TO {r}", *SECURE):
            connection.execute(SQL(statement).format(r=Identifier(role), t=Identifier(world.table)))
    report = world.purge(target=lambda: world.target(dsn=make_conninfo(world.dsn, user=role))).run()
    assert report.status is PurgeStatus.REFUSED
    assert "row security hides rows" in report.reason


def test_a_generated_hash_column_is_compared_and_comes_back(world: World) -> None:
    """The server computes it: it is read, never written, and the same after an undo."""
    world.execute(
        "ALTER TABLE {} DROP content_hash, ADD content_hash text GENERATED ALWAYS AS "
        "(encode(sha256(text::bytea), 'hex')) STORED"
    )
    world.faiss(documents(range(40)))
    for key, text in {**documents(range(40)), "gone": "x"}.items():
        world.execute(
            "INSERT INTO {} (tenant, id, text, meta, embedding) VALUES ('a', %s, %s, '{{}}', '[1,0,0,0,0,0,0,0]')",
            key,
            text,
        )
    before = world.dump()
    report = world.purge().run()
    assert (report.status, report.orphans, report.stale, report.purged) == (PurgeStatus.PURGED, 1, 0, 1), report
    assert world.quarantined()[0].hash == content_hash("x")
    target = world.target()
    undone = undo(world.root / "drill" / "quarantine", target)
    target.close()
    assert (undone.restored, world.dump()) == (1, before)


def test_an_unlogged_table_is_said_in_the_quarantine(world: World) -> None:
    world.execute("ALTER TABLE {} SET UNLOGGED")
    target = world.target()
    assert target.describe()["table is"] == "unlogged: a crash of the server empties it"
    target.close()

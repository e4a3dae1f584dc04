"""Whose a quarantine and a plan are: nobody settles, undoes or runs what was made for somebody else."""

import json
import re
import shutil
from collections.abc import Callable, Iterator
from copy import copy
from pathlib import Path
from typing import cast

import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from drill.purge.kept import Kept, kept
from drill.purge.owner import OWNER_FILE, read_owner
from drill.target import Target, TargetSettings, open_target
from drill.target.identity import target_id
from drill.target.settings import PgvectorKeys, QdrantKeys
from tests.purge.test_command import PASSED, Post, Service, post, service
from tests.purge.world import SCHEMA, Killed, World, die

__all__ = ["post", "service"]


def killed_drill(post: Post, name: str = "20250101T000000Z-killed", **start: str) -> Path:
    """Leave what a drill of ``post`` leaves that is killed after its second batch, which is gone but not confirmed."""
    claim = post.claim()
    folder = post.artifacts / "drills" / name
    folder.mkdir(parents=True)
    with pytest.raises(Killed):
        post.world.purge(target=post.world.meddling("present", 2, die), work_dir=folder, claim=claim).run()
    owner = read_owner(folder / "quarantine")
    assert owner is not None
    first = {"seq": 0, "t": "", "kind": "start", "drill_id": name, "env_file": owner.env_file}
    (folder / "events.ndjson").write_text(json.dumps({**first, "env_id": owner.environment, **start}) + "\n")
    return folder


def pending(post: Post, folder: Path) -> int:
    return next(found.pending for found in kept(post.artifacts) if found.folder == folder)


@pytest.fixture
def other(post: Post, service: Service, tmp_path: Path) -> Iterator[Post]:
    """Return a second checkout: an env file of the same shown name, a table of its own, the same artifacts."""
    place = tmp_path / "elsewhere"
    shutil.copytree(post.world.primary.path, place / "faiss")
    world = copy(post.world)
    world.table = f"{post.world.table}_other"
    world.connection.execute(SCHEMA.format(Identifier(world.table)))
    made = Post(world, place / post.env_file.name, post.artifacts, post.capture)
    made.write_env()
    made.write_config(service.url)
    made.journal(PASSED)
    yield made
    world.execute("DROP TABLE {}")


def seed(post: Post, other: Post) -> None:
    """Give both tables the same delta, and the second checkout the same FAISS."""
    post.world.seed()
    shutil.rmtree(other.env_file.with_name("faiss"))
    shutil.copytree(post.world.primary.path, other.env_file.with_name("faiss"))
    other.world.execute(f"INSERT INTO {{}} SELECT * FROM {post.world.table}")


def test_the_next_purge_of_another_environment_settles_nothing_of_the_first(post: Post, other: Post) -> None:
    """Both env files show by the same name; the first one's quarantine waits for the first one."""
    seed(post, other)
    folder = killed_drill(post)
    assert pending(post, folder) == 2
    before = {path.name for path in (folder / "quarantine").iterdir()}
    assert other.purge("run", "--plan", other.planned())[0] == 0
    assert {path.name for path in (folder / "quarantine").iterdir()} == before
    assert post.purge("run", "--plan", post.planned())[0] == 0
    assert pending(post, folder) == 0, "its own environment has settled it"


def test_an_undo_writes_nothing_into_another_environments_table(post: Post, other: Post) -> None:
    """Whether it is said to be moved or not: the target is another. The line names both."""
    seed(post, other)
    run = post.purge("run", "--plan", post.planned())
    drill = re.findall(r"purge undo (\S+)", run[1])[0]
    before = other.world.dump()
    for words in ((), ("--moved",)):
        code, output = other.purge("undo", drill, *words)
        assert (code, len(output.splitlines())) == (11, 1), output
        assert f"{post.world.table} " in output
        assert f"{other.world.table} " in output
    assert other.world.dump() == before
    assert post.purge("undo", drill)[0] == 0


def test_a_plan_of_another_environment_is_not_run(post: Post, other: Post) -> None:
    """Its delta is the same to the last document, and so is its hash."""
    seed(post, other)
    plan = post.planned()
    before = other.world.dump()
    code, output = other.purge("run", "--plan", plan)
    assert (code, other.world.dump()) == (11, before), output
    assert output.count("environment ") == 2
    assert other.planned() == plan
    assert other.purge("run", "--plan", plan)[0] == 0, "its own of that hash is found beside it"


def test_a_quarantine_of_another_table_of_this_environment_is_left_alone_and_named(post: Post, other: Post) -> None:
    """``[target] table`` was changed since; no document of the new table may settle what the old one has lost."""
    seed(post, other)
    folder = killed_drill(post)
    shutil.copyfile(other.env_file.with_name("drill.toml"), post.env_file.with_name("drill.toml"))
    code, output = post.purge("run", "--plan", post.planned())
    assert code == 0, output
    assert f"the quarantine of {folder.name} is not settled: it is of pgvector {post.world.table} " in output
    assert pending(post, folder) == 2


def without_owner(folder: Path) -> None:
    (folder / "quarantine" / OWNER_FILE).unlink()


def broken_owner(folder: Path) -> None:
    (folder / "quarantine" / OWNER_FILE).write_text("[" * 200_000)


@pytest.mark.parametrize("old", [without_owner, broken_owner])
def test_what_an_earlier_release_left_is_shown_and_never_acted_on(
    post: Post, world: World, old: Callable[[Path], None]
) -> None:
    """One line says why and what to do; the quarantine stays as it is."""
    world.seed()
    folder = killed_drill(post)
    old(folder)
    held = world.dump()
    code, output = post.purge("undo", folder.name)
    assert (code, len(output.splitlines()), world.dump()) == (11, 1, held), output
    assert "does not note whose it is" in output
    assert post.purge("run", "--plan", post.planned())[0] == 0
    assert pending(post, folder) == 2
    assert folder.name in post.purge("status")[1]


def test_the_manifest_names_environment_and_target(post: Post, world: World) -> None:
    world.seed()
    assert post.purge("run", "--plan", post.planned())[0] == 0
    made: Kept = next(found for found in kept(post.artifacts) if found.kind == "run")
    owner = read_owner(made.quarantine)
    origin = json.loads((made.quarantine / "manifest.json").read_text())["origin"]
    assert owner is not None
    assert (origin["environment"], origin["target"], made.env_id) == (owner.environment, owner.target, made.env_id)
    assert str(post.env_file.parent) not in (made.quarantine / OWNER_FILE).read_text()


# --- targets --------------------------------------------------------------------------------------------------------


def identity(dsn: str, table: str) -> str:
    target = open_target(TargetSettings("pgvector", dsn, table), {})
    try:
        return target_id(PgvectorKeys("pgvector", table=table), {}, target)
    finally:
        target.close()


def test_a_target_is_one_by_every_name_and_another_where_its_documents_are(world: World, server_dsn: str) -> None:
    """Schema written out or not, another way to the server, a renamed database: one. Another table or database: not."""
    known = identity(server_dsn, world.table)
    assert identity(server_dsn, f"public.{world.table}") == known
    separator = "&" if "?" in server_dsn else "?"
    assert identity(f"{server_dsn}{separator}application_name=other", world.table) == known
    admin = psycopg.connect(server_dsn, autocommit=True)
    with admin:
        admin.execute("CREATE DATABASE first")
        try:
            first = move_database(server_dsn, "first", world.table)
            assert first != known
            admin.execute("ALTER DATABASE first RENAME TO second")
            assert identity(of_database(server_dsn, "second"), world.table) == first
            admin.execute("CREATE DATABASE first")
            restored = move_database(server_dsn, "first", world.table)
            assert restored != first, "a database that took the name is another one"
        finally:
            for name in ("first", "second"):
                admin.execute(SQL("DROP DATABASE IF EXISTS {}").format(Identifier(name)))


def of_database(dsn: str, name: str) -> str:
    return re.sub(r"(@[^/?]*/)postgres\b", rf"\1{name}", dsn, count=1)


def move_database(dsn: str, name: str, table: str) -> str:
    with psycopg.connect(of_database(dsn, name), autocommit=True) as connection:
        connection.execute("CREATE EXTENSION vector")
        connection.execute(SCHEMA.format(Identifier(table)))
    return identity(of_database(dsn, name), table)


def test_another_server_with_the_same_database_and_table_is_another_target(
    world: World, server_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was restored elsewhere has the same names and another system identifier."""
    known = identity(server_dsn, world.table)
    monkeypatch.setattr("drill.target.pgvector.system_identifier", lambda _cursor: "7000000000000000001")
    assert identity(server_dsn, world.table) != known


def test_a_user_who_may_not_ask_for_the_system_identifier_is_known_by_the_address(
    world: World, server_dsn: str
) -> None:
    """The right is taken from everybody on some hosted servers."""
    with psycopg.connect(server_dsn, autocommit=True) as admin:
        admin.execute("CREATE ROLE asker LOGIN")
        try:
            admin.execute("REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC")
            admin.execute(SQL("GRANT SELECT ON {} TO asker").format(Identifier(world.table)))
            asked = identity(server_dsn.replace("postgres:", "asker:", 1), world.table)
            assert asked != identity(server_dsn, world.table)
            assert asked == identity(server_dsn.replace("postgres:", "asker:", 1), world.table)
        finally:
            admin.execute("GRANT EXECUTE ON FUNCTION pg_control_system() TO PUBLIC")
            admin.execute("DROP OWNED BY asker")
            admin.execute("DROP ROLE asker")


def test_a_kind_without_an_identifier_is_known_by_address_and_collection() -> None:
    """The credentials in a URL are none of it, and no host can be read from it."""

    def known(url: str, collection: str = "docs") -> str:
        return target_id(QdrantKeys("qdrant", url=url, collection=collection), {}, cast("Target", object()))

    first = known("http://user:pw@Vectors.example:6333")
    assert first == known("http://vectors.example:6333/")
    assert len({first, known("http://other.example:6333"), known("http://vectors.example:6333", "more")}) == 3

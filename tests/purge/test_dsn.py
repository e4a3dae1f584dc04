"""Database URLs as services keep them, read for libpq: never with less TLS than they ask for."""

import pytest
from psycopg.conninfo import conninfo_to_dict

from drill.errors import TargetUnavailable
from drill.target.pgvector_dsn import read_dsn
from tests.purge.world import World

PLAIN = {"host": "db", "user": "u", "password": "p", "dbname": "d"}
URLS: dict[str, tuple[str, dict[str, str]]] = {
    "asyncpg, require": ("postgresql+asyncpg://u:p@db/d?ssl=require", {**PLAIN, "sslmode": "require"}),
    "asyncpg, verify-full": ("postgresql+asyncpg://u:p@db/d?ssl=verify-full", {**PLAIN, "sslmode": "verify-full"}),
    "asyncpg, prefer": ("postgresql+asyncpg://u:p@db/d?ssl=prefer", {**PLAIN, "sslmode": "prefer"}),
    "ssl true": ("postgres://u:p@db/d?ssl=true", {**PLAIN, "sslmode": "require"}),
    "ssl false": ("postgres://u:p@db/d?ssl=false", {**PLAIN, "sslmode": "disable"}),
    "JDBC verifies": ("jdbc:postgresql://db/d?user=u&password=p&ssl=true", {**PLAIN, "sslmode": "verify-full"}),
    "the stricter of two": ("postgresql://u:p@db/d?ssl=verify-ca&sslmode=prefer", {**PLAIN, "sslmode": "verify-ca"}),
    "no-verify": ("postgresql://u:p@db/d?sslmode=no-verify", {**PLAIN, "sslmode": "require"}),
    "what tunes a driver": (
        "postgresql+asyncpg://u:p@db/d?prepared_statement_cache_size=0&statement_cache_size=0&pgbouncer=true",
        PLAIN,
    ),
    "what libpq knows": (
        "postgresql+psycopg2://u:p@db/d?connect_timeout=7&target_session_attrs=read-write&application_name=x",
        {**PLAIN, "connect_timeout": "7", "target_session_attrs": "read-write", "application_name": "x"},
    ),
    "several hosts": ("postgresql://u:p@h1:5433,h2:5434/d", {**PLAIN, "host": "h1,h2", "port": "5433,5434"}),
    "several hosts of SQLAlchemy": (
        "postgresql+psycopg2://u:p@/d?host=h1:5433&host=h2:5434",
        {**PLAIN, "host": "h1,h2", "port": "5433,5434"},
    ),
    "a socket": ("postgresql+asyncpg://u:p@/d?host=/var/run/pg", {**PLAIN, "host": "/var/run/pg"}),
    "a socket as host": ("postgresql://u:p@%2Fvar%2Frun/d", {**PLAIN, "host": "/var/run"}),
    "an encoded password": ("postgresql://u:p%40%2F%3A%25@db/d", {**PLAIN, "password": "p@/:%"}),
    "an @ in a password": ("postgresql+asyncpg://u:p@ss@db/d", {**PLAIN, "password": "p@ss"}),
    "a percent sign": ("postgresql://u:100%@db/d", {**PLAIN, "password": "100%"}),
    "a plus sign": (
        "postgresql://u:a+b@db/d?application_name=a+b",
        {**PLAIN, "password": "a+b", "application_name": "a+b"},
    ),
    "an IPv6 address": ("postgresql://u:p@[::1]:5433/d", {**PLAIN, "host": "::1", "port": "5433"}),
    "words of libpq": ("host=db user=u password=p dbname=d", PLAIN),
}


@pytest.mark.parametrize("how", URLS)
def test_a_url_is_read_as_its_driver_reads_it(how: str) -> None:
    url, expected = URLS[how]
    assert conninfo_to_dict(read_dsn(url).conninfo) == expected


@pytest.mark.parametrize(
    "query", ["ssl=sometimes", "sslmode=verified", "sslcontext=strict", "tls=on", "ssl_ca=/ca.pem", "krbsrvname2=x"]
)
def test_tls_that_cannot_be_translated_is_refused(query: str) -> None:
    """Less than was asked for would be sent in the clear, or to anybody."""
    with pytest.raises(TargetUnavailable) as caught:
        read_dsn(f"postgresql+asyncpg://u:hunter2@db/d?{query}")
    assert "its DSN asks for" in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("query", ["search_path={s}", "currentSchema={s}", 'server_settings={{"search_path": "{s}"}}'])
def test_a_schema_of_the_url_is_where_the_table_is_looked_for(world: World, query: str) -> None:
    """With the extension in another schema again, which is in no search path."""
    with_schema = f"s{world.table}"
    world.connection.execute(f"CREATE SCHEMA {with_schema}".encode())
    world.execute(f"ALTER TABLE {{}} SET SCHEMA {with_schema}")
    world.connection.execute(f"SET search_path TO {with_schema}, public".encode())
    world.write({"d1": "x"})
    dsn = world.dsn.replace("postgresql://", "postgresql+asyncpg://") + "&" + query.format(s=with_schema)
    target = world.target(dsn=dsn)
    assert target.counts() == {"a": 1}
    target.close()


def test_the_extension_may_be_in_a_schema_of_its_own(world: World) -> None:
    """Vectors are read, compared, deleted and written back, though their type is in no search path."""
    world.write({"d1": "x", "d2": "y"})
    world.connection.execute("CREATE SCHEMA ext; ALTER EXTENSION vector SET SCHEMA ext")
    try:
        target = world.target()
        rows = list(target.export("a", ["d1"]))
        assert rows[0].vector is not None
        assert target.delete("a", [rows[0].pair]) == {"d1"}
        target.restore("a", rows)
        assert list(target.export("a", ["d1"])) == rows
        target.close()
    finally:
        world.connection.execute("ALTER EXTENSION vector SET SCHEMA public; DROP SCHEMA ext")

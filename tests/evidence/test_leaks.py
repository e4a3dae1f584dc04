"""The last look at the artifacts: every disguise of a secret is seen, and ordinary configuration is no alarm."""

import base64
import html
import json
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, quote_plus

import pyarrow as pa
import pytest
from pyarrow import parquet as pq

from drill.leaks import Leak, Search, Searched, find_leaks, search, secrets_of
from drill.report.material import Material
from drill.report.render import render_page
from drill.secret import Secret
from tests.evidence.records import FLAGS_BEFORE, green

VALUE = "p<a>&s\"s+w/o\\rd \u00fc%41'"


def data_uri(text: str) -> str:
    return "data:text/plain;charset=utf-8;base64," + base64.b64encode(f"log: {text}!".encode()).decode()


DISGUISES: dict[str, Callable[[str], str]] = {
    "raw": lambda value: value,
    "json": json.dumps,
    "json, not ascii": lambda value: json.dumps(value, ensure_ascii=False),
    "html": html.escape,
    "html, text only": lambda value: html.escape(value, quote=False),
    "html, numeric": lambda value: "".join(f"&#{ord(char)};" for char in value),
    "html in json": lambda value: json.dumps(html.escape(value)),
    "json in html": lambda value: html.escape(json.dumps(value)),
    "html in json in html": lambda value: html.escape(json.dumps(html.escape(value))),
    "url": lambda value: quote(value, safe=""),
    "url, path": quote,
    "url, form": quote_plus,
    "url in html": lambda value: html.escape("?q=" + quote(value)),
    "base64, first third": lambda value: base64.b64encode(value.encode()).decode(),
    "base64, second third": lambda value: base64.b64encode(b"x" + value.encode() + b"y").decode(),
    "base64, last third": lambda value: base64.b64encode(b"xx" + value.encode() + b"yy").decode(),
    "base64, url alphabet": lambda value: base64.urlsafe_b64encode(b"x" + value.encode() + b"y").decode(),
    "data uri": data_uri,
    "json in a data uri": lambda value: data_uri(json.dumps(value)),
    "html in a data uri": lambda value: data_uri(html.escape(value)),
    "data uri in html": lambda value: html.escape(json.dumps({"content": data_uri(value)})),
}


@pytest.mark.parametrize("value", [VALUE, "s3cr3t-canary", "\u00fc\u00fc\u00fc\u00fc\u00fc", "??>>??>>??"])
@pytest.mark.parametrize("disguise", DISGUISES)
def test_a_secret_is_found_in_every_disguise(tmp_path: Path, disguise: str, value: str) -> None:
    path = tmp_path / "report.html"
    path.write_text(f"<p>before {DISGUISES[disguise](value)} after</p>", "utf-8")
    assert find_leaks([path], {"TOKEN": Secret(value), "OTHER": Secret("not-in-there")}) == [Leak(path, "TOKEN")]


@pytest.mark.parametrize("disguise", ["raw", "json", "base64, second third"])
def test_a_secret_across_the_border_of_two_chunks_is_found(
    tmp_path: Path, disguise: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "_CHUNK", 1000)
    monkeypatch.setattr(search, "_OVERLAP", 200)
    path = tmp_path / "report.html"
    for before in range(960, 1010, 7):
        path.write_text("." * before + DISGUISES[disguise](VALUE) + "." * 3000, "utf-8")
        assert len(find_leaks([path], {"TOKEN": Secret(VALUE)})) == 1, before


def test_directories_are_searched_through_and_a_leak_never_shows_the_value(tmp_path: Path) -> None:
    inner = tmp_path / "drills" / "d1" / "events.ndjson"
    inner.parent.mkdir(parents=True)
    inner.write_text(json.dumps({"note": "s3cr3t-canary"}))
    (leak,) = find_leaks([tmp_path], {"API_KEY": Secret("s3cr3t-canary")})
    assert str(leak) == "events.ndjson holds the value of API_KEY"
    assert "canary" not in repr(leak)


def test_what_cannot_be_read_is_not_taken_for_clean(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        find_leaks([tmp_path / "gone.html"], {"API_KEY": Secret("s3cr3t-canary")})


@pytest.mark.parametrize(
    ("key", "value", "names"),
    [
        ("PINECONE_API_KEY", "4x7Qp", ["PINECONE_API_KEY"]),
        ("DB_PASSWORD", "swordfish", ["DB_PASSWORD"]),
        ("LOGIN_PIN", "482913", ["LOGIN_PIN"]),
        ("SENTRY", "https://0123456789abcdef0123@sentry.example.org/7", ["SENTRY", "SENTRY (its password)"]),
        ("HOOK", "https://h.example.org/x?room=1&token=Zq81kLmn", ["HOOK"]),
        ("HOOK_SECRET", "https://h.example.org/?token=Zq81kLmn", ["HOOK_SECRET", "HOOK_SECRET (its query)"]),
        ("SIGNING_KEY", "-----BEGIN-----\nMIIEvQIBADANBgkq\n-----END-----", ["SIGNING_KEY", "SIGNING_KEY (line 2)"]),
        (
            "GCP_CREDENTIALS",
            '{"id": "a", "private_key": "k1-k2-k3-k4"}',
            ["GCP_CREDENTIALS", "GCP_CREDENTIALS (a field)"],
        ),
        ("SESSION_SECRET", "correct horse", ["SESSION_SECRET"]),
        ("PG_DSN", "postgresql://drill:p%40ssw0rd@db/r", ["PG_DSN", "PG_DSN (its password)"]),
        ("TARGET", "host=db password='p ss word' user=drill", ["TARGET", "TARGET (its password)"]),
        ("ALERT_MAIL", "alice@example.org", ["ALERT_MAIL"]),
        ("WEAVIATE_URL", "https://cluster-8f3a.example.org", ["WEAVIATE_URL"]),
        ("UNSUSPECTED", "q7Gz0vP2mXk9", ["UNSUSPECTED"]),
        ("DB_PASSWORD", "abcd", []),
        ("DB_PASSWORD", "faiss", []),
        ("DB_PASSWORD", "inconclusive", []),
        ("API_KEY", "ON", []),
        ("AUTH_TOKEN_ENV", "SERVICE_TOKEN", []),
        ("TOKEN_TTL_S", "3600", []),
        ("APP_ENV", "staging", []),
        ("SERVICE_NAME", "retrieval-service", []),
        ("RETRIEVAL_TARGET_BACKEND", "pgvector", []),
        ("FF_RETRIEVAL_DUAL_WRITE", "OFF", []),
        ("TIMEOUT", "12500.25 ms", []),
        ("FAISS_DATA_DIR", "/var/lib/retrieval/faiss", []),
        ("BASE_URL", "http://127.0.0.1:8000", []),
        ("EMPTY", "", []),
    ],
)
def test_which_values_of_an_env_file_are_searched_for(key: str, value: str, names: list[str]) -> None:
    assert list(secrets_of({key: value}).secrets) == names


def test_what_is_shown_on_purpose_is_not_searched_for_unless_it_holds_a_login() -> None:
    env = {
        "A_URL": "https://retrieval.example.org",
        "A_HOST": "retrieval.example.org",
        "B_URL": "https://u:pw1234@retrieval.example.org",
        "SELECT": 'severity=~"critical|page"',
    }
    found = secrets_of(env, shown=[*env.values(), "https://retrieval.example.org"])
    assert list(found.secrets) == ["B_URL", "B_URL (its password)"]
    assert secrets_of({"A_URL": None}) == Searched({})


def test_a_secret_that_is_a_word_shown_on_purpose_is_passed_over_and_counted() -> None:
    found = secrets_of({"DB_PASSWORD": "staging", "A_KEY": "abc", "B_KEY": "false-hope-7"}, shown=[".env.staging"])
    assert list(found.secrets) == ["B_KEY"]
    assert found.passed_over == 2


def test_a_secret_that_is_shown_on_purpose_but_is_no_word_is_searched_for() -> None:
    """A token in a URL that is shown is a leak."""
    assert list(secrets_of({"API_KEY": "T0K3N-77"}, shown=["https://h/T0K3N-77"]).secrets) == ["API_KEY"]


@pytest.mark.parametrize("value", ["swordfish", "4x7Qp", "https://cluster.example.org", "alice@example.org"])
def test_a_configured_secret_is_searched_for_whatever_its_form(value: str) -> None:
    assert list(secrets_of({"ANY": value}, shown=[], configured={"ANY": value}).secrets) == ["ANY"]


def test_an_ordinary_report_raises_no_false_alarm(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text(render_page(Material(green(), FLAGS_BEFORE, "ab" * 32)), "utf-8")
    env = {
        "FF_RETRIEVAL_DUAL_WRITE": "ON",
        "RETRIEVAL_BACKEND": "pgvector",
        "APP_ENV": "staging",
        "LOG_LEVEL": "WARNING",
        "DB_PASSWORD": "pgvector-canary-1",
        "OPERATOR": "alice",
        "PORT": "8000",
        "TENANTS": "default,acme",
        "SECRET_KEY": "q7Gz0vP2mXk9LwT4",
    }
    assert find_leaks([path], secrets_of(env).secrets) == []


def parquet(path: Path, payload: str, *, rows: int = 3000) -> Path:
    """Write what the quarantine looks like, with ``payload`` in one row, in a column of its own."""
    texts = [json.dumps({"text": f"a document about {number}"}) for number in range(rows)]
    texts[rows // 2] = payload
    table = pa.table(
        {
            "id": [f"d{number}" for number in range(rows)],
            "vector": pa.array([[0.5, float(number)] for number in range(rows)], pa.list_(pa.float32())),
            "payload": texts,
        }
    )
    pq.write_table(table, path, compression="zstd", row_group_size=1000)
    return path


@pytest.mark.parametrize("disguise", [name for name in DISGUISES if "numeric" not in name and "uri" not in name])
@pytest.mark.parametrize("value", [VALUE, "s3cr3t-canary", "\u00fc\u00fc\u00fc\u00fc\u00fc", "??>>??>>??"])
def test_a_secret_in_a_compressed_column_is_found_in_every_disguise(tmp_path: Path, disguise: str, value: str) -> None:
    path = parquet(tmp_path / "part.parquet", f"before {DISGUISES[disguise](value)} after")
    secrets = {"TOKEN": Secret(value), "OTHER": Secret("not-in-there")}
    assert find_leaks([tmp_path], secrets) == [Leak(path, "TOKEN")]


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        (["s3cr3t-canary"], pa.large_string()),
        ([b"s3cr3t-canary"], pa.binary()),
        ([["x", "s3cr3t-canary"]], pa.list_(pa.string())),
        ([{"a": "s3cr3t-canary"}], pa.struct([("a", pa.string())])),
        (["s3cr3t-canary"], pa.dictionary(pa.int8(), pa.string())),
    ],
)
def test_columns_of_every_kind_of_text_are_searched(tmp_path: Path, column: list[object], kind: pa.DataType) -> None:
    pq.write_table(pa.table({"n": [1], "t": pa.array(column, kind), "none": pa.nulls(1)}), tmp_path / "x")
    assert len(find_leaks([tmp_path / "x"], {"TOKEN": Secret("s3cr3t-canary")})) == 1
    assert find_leaks([tmp_path / "x"], {"TOKEN": Secret("s3cr3t-other")}) == []


def test_the_names_and_notes_of_a_parquet_file_are_searched(tmp_path: Path) -> None:
    table = pa.table({"n": [1]}).replace_schema_metadata({"origin": "dsn s3cr3t-canary"})
    pq.write_table(table, tmp_path / "x")
    assert len(find_leaks([tmp_path / "x"], {"TOKEN": Secret("s3cr3t-canary")})) == 1


def test_what_documents_say_by_themselves_is_no_leak_of_the_env_file(tmp_path: Path) -> None:
    env = {"SUPPORT": "help@example.org", "DOCS": "https://docs.example.org/a", "BOT_TOKEN": "q7Gz0vP2mXk9"}
    wanted = secrets_of(env)
    path = parquet(tmp_path / "part.parquet", "ask help@example.org or see https://docs.example.org/a")
    assert Search.of(wanted).in_files([path]) == []
    report = tmp_path / "report.html"
    report.write_text("ask help@example.org")
    assert [leak.name for leak in Search.of(wanted).in_files([report])] == ["SUPPORT"]
    path = parquet(tmp_path / "part.parquet", "log in with q7Gz0vP2mXk9")
    assert [leak.name for leak in Search.of(wanted).in_files([path])] == ["BOT_TOKEN"]


def test_a_damaged_parquet_file_is_not_taken_for_clean(tmp_path: Path) -> None:
    path = parquet(tmp_path / "part.parquet", "nothing")
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(OSError, match="not a whole Parquet file"):
        find_leaks([path], {"TOKEN": Secret("s3cr3t-canary")})


def test_large_columns_are_searched_in_bounded_memory(tmp_path: Path) -> None:
    """80 MB of texts in one row group, within half of that."""
    text = pa.array([f"{number:07d}" + "lorem ipsum " * 160 for number in range(40_000)])
    pq.write_table(pa.table({"payload": text}), tmp_path / "x", compression="zstd")
    del text
    pool, watched = pa.default_memory_pool(), pa.proxy_memory_pool(pa.default_memory_pool())
    pa.set_memory_pool(watched)
    try:
        assert find_leaks([tmp_path / "x"], {"TOKEN": Secret("s3cr3t-canary")}) == []
    finally:
        pa.set_memory_pool(pool)
    assert 0 < watched.max_memory() < 40_000_000

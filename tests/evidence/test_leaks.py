"""The last look at the artifacts: every disguise of a secret is seen, and ordinary configuration is no alarm."""

import base64
import html
import json
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest

from drill import leaks
from drill.leaks import Leak, find_leaks, secrets_of
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
    monkeypatch.setattr(leaks, "_CHUNK", 1000)
    monkeypatch.setattr(leaks, "_OVERLAP", 200)
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
        ("PINECONE_API_KEY", "abcd", ["PINECONE_API_KEY"]),
        ("DB_PASSWORD", "staging", ["DB_PASSWORD"]),
        ("SESSION_SECRET", "correct horse", ["SESSION_SECRET"]),
        ("PG_DSN", "postgresql://drill:p%40ss@db/r", ["PG_DSN", "PG_DSN (its password)"]),
        ("TARGET", "host=db password='p ss word' user=drill", ["TARGET", "TARGET (its password)"]),
        ("ALERT_MAIL", "alice@example.org", ["ALERT_MAIL"]),
        ("WEAVIATE_URL", "https://cluster-8f3a.example.org", ["WEAVIATE_URL"]),
        ("UNSUSPECTED", "q7Gz0vP2mXk9", ["UNSUSPECTED"]),
        ("DB_PASSWORD", "abc", []),
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
    assert list(secrets_of({key: value})) == names


def test_what_is_shown_on_purpose_is_not_searched_for_unless_it_holds_a_login() -> None:
    env = {"A_URL": "https://retrieval.example.org", "B_URL": "https://u:pw1234@retrieval.example.org"}
    assert list(secrets_of(env, allowed=env.values())) == ["B_URL", "B_URL (its password)"]
    assert secrets_of({"A_URL": None}) == {}


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
    assert find_leaks([path], secrets_of(env)) == []

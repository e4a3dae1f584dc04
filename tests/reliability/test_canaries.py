"""Secrets and personal data in all that a drill reads: none in anything it writes, whatever it is told to show."""

from base64 import b64encode
from pathlib import Path

import pytest

from tests.drill.harness import DEAD, Ran
from tests.drill.test_foreign_service import make_faiss
from tests.reliability.canaries import PLANTED, Planted, forms, talkative_service

LOUD = ("-vv", "-l", "--tb=long", "--log-level=DEBUG", "--full-trace")
CRASHES = {
    # A hook fails while its frame holds everything the drill knows.
    "hook": """
def pytest_runtest_logreport(report):
    import gc
    from drill.context import Drill
    drill = next(thing for thing in gc.get_objects() if isinstance(thing, Drill))
    values, plan, config = dict(drill.env_values), drill.plan, drill.config
    data = plan.old_bytes
    raise RuntimeError("a hook failed")
""",
    # The drill's own code fails while it reads the env file, far down in frames that hold its bytes.
    "launch": """
import drill.envfile.parse

def broken(pairs):
    kept = list(pairs)
    raise RuntimeError("reading failed")

drill.envfile.parse.interpolate = broken
""",
    # A row's test fails with an assertion about values.
    "row": """
import pytest

@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem):
    result = yield
    values = pyfuncitem.funcargs["drill"]._session.started.drill.env_values
    secret = values["SERVICE_TOKEN"]
    raise RuntimeError("a row failed")
""",
    # A row's test fails with a secret in its message, in its notes and in what it printed.
    "message": """
import logging
import pytest

@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem):
    result = yield
    values = pyfuncitem.funcargs["drill"]._session.started.drill.env_values
    print(values["QUOTED_PASSWORD"])
    logging.getLogger("x").error(values["NOTES_SECRET"])
    error = RuntimeError("a row failed with RuntimeError " + values["SERVICE_TOKEN"])
    error.add_note(values["NOTES_SECRET"])
    raise error
""",
    # A fixture fails, with the cause of its failure behind it.
    "fixture": """
import pytest

@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(fixturedef, request):
    result = yield
    if fixturedef.argname == "drill":
        values = result._session.started.drill.env_values
        try:
            raise KeyError(values["TARGET_DSN"])
        except KeyError as error:
            raise RuntimeError(dict(values)) from error
    return result
""",
}


@pytest.fixture
def planted(tmp_path: Path) -> Planted:
    return Planted.make(tmp_path)


def loud(planted: Planted, *options: str, **environ: str) -> Ran:
    """Run a drill that is told to show all it can."""
    planted.left.mkdir(exist_ok=True)
    files = (f"--junitxml={planted.left / 'junit.xml'}", "-o", "junit_logging=all", f"--debug={planted.left / 'debug'}")
    return planted.desk.drill(*LOUD, *files, *options, timeout_s=60, **environ)


@pytest.mark.parametrize("options", [("--dry-run",), ("--apply",), ("--dry-run", "-s", "-rA", "--tb=native")])
def test_no_flag_makes_a_failing_drill_show_a_secret(planted: Planted, options: tuple[str, ...]) -> None:
    ran = loud(planted, *options)
    ran.expect(1)
    assert ran.entries
    assert planted.hits(ran) == []


def test_no_answer_of_a_service_is_shown(planted: Planted) -> None:
    """Neither bodies nor cookies nor banners, not even in the clients' debug logs."""
    toml = planted.desk.env_file.with_name("drill.toml")
    with talkative_service() as url:
        toml.write_text(toml.read_text().replace(DEAD, url))
        ran = loud(planted, "--log-cli-level=DEBUG")
    assert ran.code in {1, 10}, ran
    assert ran.verdicts["smoke.search"] != "pass"
    assert planted.hits(ran) == []


@pytest.mark.parametrize(
    "crash", [pytest.param(name, marks=pytest.mark.long) if name in {"row", "fixture"} else name for name in CRASHES]
)
def test_a_crash_shows_no_value_of_any_frame(planted: Planted, tmp_path: Path, crash: str) -> None:
    (tmp_path / "crashing.py").write_text(CRASHES[crash])
    ran = loud(planted, "-p", "crashing", PYTHONPATH=str(tmp_path))
    assert ("withheld: what failed holds" if crash in {"message", "fixture"} else "RuntimeError") in ran.output, ran
    assert ran.code != 0
    assert planted.hits(ran) == []


@pytest.mark.parametrize("mode", ["--dry-run", "--apply"])
def test_a_token_that_the_service_sends_back_is_withheld(planted: Planted, mode: str) -> None:
    """As a content type it would be shown: it is kept out before it is printed."""
    toml = planted.desk.env_file.with_name("drill.toml")
    with talkative_service(reflecting=True) as url:
        toml.write_text(toml.read_text().replace(DEAD, url))
        ran = loud(planted, mode)
    ran.expect(1)
    assert "withheld: what was seen here holds the value of SERVICE_TOKEN" in ran.output
    assert planted.hits(ran) == []


@pytest.mark.parametrize(
    "dsn",
    [
        "cnrDsnPw6h",  # psycopg: missing "=" after "cnrDsnPw6h" in connection info string
        "postgresql://drill:cnrDsnPw6h@127.0.0.1:cnrDsnPw6h/vectors",
        "postgresql://drill:cnrDsnPw6h@127.0.0.1:9/vectors?cnrDsnPw6h=1",
        "postgresql://cnrDsnPw6h@[::1/vectors",
    ],
)
def test_a_connection_string_that_psycopg_would_quote_is_not_shown(planted: Planted, dsn: str) -> None:
    env = planted.desk.env_file.read_text()
    begin = env.index("TARGET_DSN=")
    planted.desk.env_file.write_text(f"{env[:begin]}TARGET_DSN={dsn}\n")
    make_faiss(planted.desk.env_file.parent)
    toml = planted.desk.env_file.with_name("drill.toml")
    toml.write_text(toml.read_text() + '[primary]\npath = "faiss"\n')
    ran = loud(planted, "--dry-run", "--purge", "auto")
    assert ran.verdicts["purge_delta"] == "error", ran
    assert "target pgvector" in ran.reason("purge_delta")
    assert planted.hits(ran) == []


@pytest.mark.parametrize("key", ["base_url", "instances", "prometheus_url"])
def test_a_url_with_credentials_is_refused_and_printed_nowhere(planted: Planted, key: str) -> None:
    toml = planted.desk.env_file.with_name("drill.toml")
    url = '"http://drill:cnrUrlPw3k@127.0.0.1:9"'
    section = "metrics" if key == "prometheus_url" else "service"
    toml.write_text(f"[{section}]\n{key} = {f'[{url}]' if key == 'instances' else url}\n")
    ran = loud(planted)
    ran.expect(4)
    assert "credentials" in ran.output
    assert planted.hits(ran) == []


def test_a_configuration_error_shows_no_secret(planted: Planted) -> None:
    """An unknown key and a broken value are named, not quoted."""
    toml = planted.desk.env_file.with_name("drill.toml")
    for line in ('[service]\nauth_token = "cnrBearer8q"\n', '[target]\ndsn = "postgresql://u:cnrDsnPw6h@h/d"\n'):
        toml.write_text(line)
        ran = loud(planted)
        ran.expect(4)
        assert planted.hits(ran) == []


@pytest.mark.parametrize("disguise", [str, lambda text: b64encode(f"x{text}y".encode()).decode()])
def test_a_planted_value_that_is_shown_is_found(planted: Planted, disguise: "type[str]") -> None:
    """The search is able to fail."""
    planted.left.mkdir()
    for word in PLANTED:
        ran = Ran([], 1, disguise(word), [], [])
        (planted.left / "file").write_text(disguise(word))
        assert planted.hits(ran) == [f"{word} in the streams", f"{word} in file"]
    assert len(forms("cnrQuote7x")) == 4


def test_a_drill_is_not_published(planted: Planted) -> None:
    """``--pastebin`` would send the session to a public web site: it has no effect."""
    ran = loud(planted, "--dry-run", "--pastebin=all", "--durations=0", http_proxy=DEAD, https_proxy=DEAD)
    ran.expect(1)
    assert "paste" not in ran.output.lower()
    assert planted.hits(ran) == []

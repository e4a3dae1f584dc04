"""Secrets and personal data in all that a drill reads: none in anything it writes, whatever it is told to show."""

from base64 import b64encode
from pathlib import Path

import pytest

from tests.drill.harness import DEAD, Ran
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


@pytest.mark.parametrize("crash", CRASHES)
def test_a_crash_shows_no_value_of_any_frame(planted: Planted, tmp_path: Path, crash: str) -> None:
    (tmp_path / "crashing.py").write_text(CRASHES[crash])
    ran = loud(planted, "-p", "crashing", PYTHONPATH=str(tmp_path))
    assert "RuntimeError" in ran.output, ran
    assert ran.code != 0
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

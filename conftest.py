"""Session hooks only: one drill, one journal line, one report, one exit code."""

import sys
import warnings
from collections.abc import Generator, Iterable

import pytest

LOOKING = ("collectonly", "setupplan", "showfixtures", "show_fixtures_per_test")
"""Options with which pytest collects tests and runs none."""

TRACEBACKS = {"auto": "no", "long": "short"}
"""How a drill shows tracebacks: a long one would show the arguments of every call, and with them the env file."""


def pytest_configure(config: pytest.Config) -> None:
    """Refuse a command line that contradicts itself or the order of a drill, and bring in the rows of the runbook."""
    from fixtures import command_line, rows

    option = config.option
    if option.apply and option.dry_run:
        raise pytest.UsageError("--apply and --dry-run contradict each other: give one of them")
    if command_line.is_drill(option):
        command_line.check_options(option)  # again: ``-p no:fixtures.options`` leaves out who has done so before
        command_line.check_config_file(config)
        command_line.check_plugins(config)
        _ignore_warnings(config)
        option.no_header = True
        option.tbstyle = TRACEBACKS.get(option.tbstyle, option.tbstyle)
        # Local variables hold the env file: what a crash shows are places and messages, whatever was asked for.
        option.showlocals = option.fulltrace = False
        option.reportchars = ""
        option.pastebin = None  # a drill is not published
        config.trace.root.setwriter(None)  # --debug writes the arguments of every hook, exceptions with their values
    # Not by ``pytest_plugins``: that reads the metadata of every installed package to find one module.
    config.pluginmanager.register(rows, rows.__name__)


def _ignore_warnings(config: pytest.Config) -> None:
    """Let no warning of anybody's, made an error by whatever option or variable, end a drill."""
    config.known_args_namespace.pythonwarnings = []
    config.addinivalue_line("filterwarnings", "ignore")
    warnings.simplefilter("ignore")


def pytest_collection_finish(session: pytest.Session) -> None:
    """Begin the drill, if rows of the runbook were collected and are going to run."""
    rows = {item: marker.args[0] for item in session.items if (marker := item.get_closest_marker("drill"))}
    option = session.config.option
    if not rows or any(getattr(option, name, False) for name in LOOKING):
        return
    broken_off = sys.exception() is not None  # pytest calls this also on its way out
    if broken_off or (session.testsfailed and not option.continue_on_collection_errors):
        return  # nothing runs
    if option.setuponly:
        raise pytest.UsageError("--setup-only would write flags and prove nothing: leave it out")
    if not option.env_file and not option.sandbox:
        raise pytest.UsageError("--env-file PATH is required: the service's env file (or --sandbox to try the drill)")
    _check_order(rows)
    option.maxfail = 0  # the steps that reduce risk run even after an earlier failure

    from fixtures.session import DrillSession

    DrillSession(session, frozenset(rows.values()))


def _check_order(rows: Iterable[pytest.Item]) -> None:
    """Refuse rows that were put into another order, or of which one would run twice."""
    places = [marker.args[0] for item in rows if (marker := item.get_closest_marker("order"))]
    if places != sorted(set(places)):
        raise pytest.UsageError(
            "the rows would not run once each, in the order of the runbook: "
            "leave out what reorders or repeats tests (--ff, a random order, a test given twice)"
        )


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Run no further row of a drill that was refused; the row that was refused before it could run has failed."""
    from fixtures.session import KEY

    drill, marker = item.config.stash.get(KEY, None), item.get_closest_marker("drill")
    if drill is None or not drill.refused:
        return
    if marker is not None:
        evidence = drill.record.entries[marker.args[0]].evidence
        item.user_properties.append(("verdict", str(evidence.verdict)))
        if evidence.verdict == "fail":
            pytest.fail(evidence.line(), pytrace=False)
    pytest.skip("the drill was refused")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> Generator[None, None, None]:
    """Write report and journal after everybody else is done, and give the drill's exit code."""
    from fixtures.session import KEY

    drill = session.config.stash.get(KEY, None)
    if drill is None:
        return (yield)
    drill.ending()
    try:
        yield
    except BaseException as defect:  # noqa: BLE001 - of another plugin: the line says it, and the exit code is the line's
        drill.end_early(defect)
    session.exitstatus = drill.finish()
    return None

"""Session hooks only: one drill, one journal line, one report, one exit code."""

from collections.abc import Generator

import pytest

REPEATERS = ("xdist", "rerunfailures", "pytest_rerunfailures", "flaky", "repeat", "pytest_repeat")
"""Plugins that would run a step twice or write several journal lines."""

TRACEBACKS = {"auto": "no", "long": "short"}
"""How a drill shows tracebacks: a long one would show the arguments of every call, and with them the env file."""


def pytest_configure(config: pytest.Config) -> None:
    """Refuse a command line that contradicts itself, and bring in the rows of the runbook."""
    from fixtures import rows

    if config.option.apply and config.option.dry_run:
        raise pytest.UsageError("--apply and --dry-run contradict each other: give one of them")
    if config.option.env_file or config.option.sandbox:
        config.option.no_header = True
        config.option.tbstyle = TRACEBACKS.get(config.option.tbstyle, config.option.tbstyle)
        # Local variables hold the env file: what a crash shows are places and messages, whatever was asked for.
        config.option.showlocals = config.option.fulltrace = False
        config.option.reportchars = ""
    # Not by ``pytest_plugins``: that reads the metadata of every installed package to find one module.
    config.pluginmanager.register(rows, rows.__name__)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Begin the drill, if rows of the runbook were collected and are going to run."""
    from fixtures.session import KEY, DrillSession

    rows = {marker.args[0] for item in session.items if (marker := item.get_closest_marker("drill"))}
    option = session.config.option
    if not rows or option.collectonly or option.setuponly or option.setupplan:
        return
    if not option.env_file and not option.sandbox:
        raise pytest.UsageError("--env-file PATH is required: the service's env file (or --sandbox to try the drill)")
    if unwanted := [name for name in REPEATERS if session.config.pluginmanager.hasplugin(name)]:
        raise pytest.UsageError(f"a drill runs once and in order: leave out -p {unwanted[0]}")
    option.maxfail = 0  # the steps that reduce risk run even after an earlier failure
    session.config.stash[KEY] = DrillSession(session.config, frozenset(rows))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Run no further row of a drill that was refused."""
    from fixtures.session import KEY

    drill = item.config.stash.get(KEY, None)
    if drill is not None and drill.refused:
        pytest.skip("the drill was refused")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> Generator[None, None, None]:
    """Write report and journal after everybody else is done, and give the drill's exit code."""
    from fixtures.session import KEY

    try:
        return (yield)
    finally:
        drill = session.config.stash.get(KEY, None)
        if drill is not None:
            drill.finish(session)

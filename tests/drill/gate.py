"""A pytest plugin that stops a drill in a phase until its test lets it go on: ``-p tests.drill.gate``.

The phase to stop in and the port to knock at stand in the environment. Run as a program it is the reload command.
"""

import os
import socket
import sys
from collections.abc import Callable, Generator
from typing import Any

import pytest

from drill import rollback
from drill.steps import purge
from fixtures.report import ReportWriter

PHASE, PORT = "GATE_PHASE", "GATE_PORT"
INTERRUPTED = "interrupted"


def stop(phase: str) -> None:
    """In the phase that the test asks for, knock and wait to be let in; a signal may come meanwhile."""
    if phase in os.environ.get(PHASE, "").split(","):
        with socket.create_connection(("127.0.0.1", int(os.environ[PORT]))) as gate:
            gate.sendall(phase.encode())
            gate.recv(1)


def stopping(phase: str, work: Callable[..., Any]) -> Callable[..., Any]:
    """Return ``work`` behind the gate."""

    def gated(*args: Any, **options: Any) -> Any:
        stop(phase)
        return work(*args, **options)

    return gated


def pytest_configure() -> None:
    """Put what has no hook of pytest behind the gate; only where this is loaded as a plugin."""
    rollback.Rollback.perform = stopping("step", rollback.Rollback.perform)  # type: ignore[method-assign]
    purge.purge_delta = stopping("purge", purge.purge_delta)
    ReportWriter.write = stopping("report", ReportWriter.write)  # type: ignore[method-assign]


def pytest_collection_modifyitems() -> None:
    stop("collect")


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(fixturedef: Any) -> Generator[None, Any, Any]:
    flags = fixturedef.argname == "flags_on_disk"
    if flags:
        stop("setup")
    result = yield
    if flags:
        stop("written")
    return result


def pytest_runtest_teardown(nextitem: pytest.Item | None) -> None:
    if nextitem is None:
        stop("teardown")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_keyboard_interrupt() -> Generator[None, None, None]:
    stop(INTERRUPTED)
    yield


def pytest_sessionfinish() -> None:
    stop("finish")


def pytest_unconfigure() -> None:
    stop("end")


if __name__ == "__main__":
    stop(sys.argv[1])

"""One embedded stack for all drills of this folder, put back into its incident before each."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.stack import INCIDENT, Stack
from tests.drill.harness import DEAD, ENV, Desk


@pytest.fixture(scope="session")
def running_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Return a stack that was started once."""
    with Stack.start(tmp_path_factory.mktemp("stack") / "home") as stack:
        yield stack


@pytest.fixture(scope="session")
def incident_env(running_stack: Stack) -> bytes:
    """Return the env file of the incident."""
    return running_stack.env_file.read_bytes()


@pytest.fixture
def stack(running_stack: Stack, incident_env: bytes) -> Iterator[Stack]:
    """Return the stack in its incident: all flags on, the target sick, no other fault."""
    for left in running_stack.home.glob(".env.*"):
        left.unlink()
    if running_stack.env_file.read_bytes() != incident_env:
        running_stack.env_file.write_bytes(incident_env)
        running_stack.reload()
    pids = running_stack.status().instances
    yield running_stack
    added = set(running_stack.status().faults) - set(INCIDENT)
    for name in added:
        running_stack.fault(name, on=False)
    if added or running_stack.env_file.read_bytes() != incident_env or running_stack.status().instances != pids:
        running_stack.env_file.write_bytes(incident_env)
        running_stack.reload()


@pytest.fixture
def desk(stack: Stack, tmp_path: Path) -> Desk:
    """Return a desk on the stack's env file, with a journal of its own."""
    return Desk(stack.env_file, tmp_path / "artifacts", tmp_path / "reports")


@pytest.fixture
def env_desk(tmp_path: Path) -> Desk:
    """Return a desk on an env file whose service is not there."""
    env_file = tmp_path / "service.env"
    env_file.write_bytes(ENV)
    (tmp_path / "drill.toml").write_text(
        f'[service]\nbase_url = "{DEAD}"\nreload_timeout_s = 2\n[slo]\nobserve_s = 1\n'
    )
    return Desk(env_file, tmp_path / "artifacts", tmp_path / "reports", observe_s="1", plugins=("tests.drill.hasty",))

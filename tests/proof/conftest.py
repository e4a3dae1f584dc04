"""A desk of two instances, with short waits."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from drill.proof import canary as canary_module
from drill.proof import removal
from tests.library.server import running
from tests.proof.desk import Desk, Kept, Service


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    monkeypatch.setattr(canary_module, "APPEARS_S", 0.3)
    monkeypatch.setattr(canary_module, "POLL_S", 0.01)
    monkeypatch.setattr(removal, "GOES_S", 0.2)
    monkeypatch.setattr(removal, "POLL_S", 0.01)
    stores = Kept()
    with ExitStack() as stack:
        services = [stack.enter_context(running(Service(stores))) for _ in range(2)]
        yield Desk(stores, services, tmp_path)

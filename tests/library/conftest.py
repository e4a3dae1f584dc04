"""What tests of this folder open is closed when they end."""

from collections.abc import Iterator

import pytest

from tests.library.world import close_drills, shared_client


@pytest.fixture(autouse=True)
def closed_drills() -> Iterator[None]:
    yield
    close_drills()


@pytest.fixture(scope="session", autouse=True)
def closed_client() -> Iterator[None]:
    yield
    shared_client().close()

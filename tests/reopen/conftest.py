"""Drills that were launched are closed after each test."""

from collections.abc import Iterator

import pytest

from tests.library.world import close_drills


@pytest.fixture(autouse=True)
def _no_drill_left() -> Iterator[None]:
    yield
    close_drills()

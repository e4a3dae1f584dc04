"""Fixtures of the env-file tests."""

from pathlib import Path

import pytest

from .support import PLAIN, MemoryLog


@pytest.fixture
def log() -> MemoryLog:
    return MemoryLog()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """An env file with all three flags on, alone in its directory."""
    path = tmp_path / ".env.staging"
    path.write_bytes(PLAIN)
    path.chmod(0o640)
    return path

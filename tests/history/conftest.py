"""A desk to drill from whose service is not there: such a drill takes half a second and has red rows."""

from pathlib import Path

import pytest

from tests.drill.harness import DEAD, ENV, Desk


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    env_file = tmp_path / "service.env"
    env_file.write_bytes(ENV)
    (tmp_path / "drill.toml").write_text(f'[service]\nbase_url = "{DEAD}"\nreload_timeout_s = 1\n')
    return Desk(env_file, tmp_path / "artifacts", tmp_path / "reports", observe_s="1")

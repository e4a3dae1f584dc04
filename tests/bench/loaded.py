"""A pytest plugin that notes which modules are loaded when the flags are on disk, and ends the session there."""

import os
import sys
from collections.abc import Generator
from pathlib import Path

import pytest


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(fixturedef: pytest.FixtureDef[object]) -> Generator[None, object, object]:
    result = yield
    if fixturedef.argname == "flags_on_disk":
        Path(os.environ["LOADED_MODULES"]).write_text("\n".join(sys.modules))
        pytest.exit("noted")
    return result

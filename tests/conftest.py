"""What holds for the project's own tests only, and for no drill."""

import os

import pytest


def pytest_configure(config: pytest.Config) -> None:
    """Make warnings errors, and keep the developer's own options out of the drills that tests start."""
    config.addinivalue_line("filterwarnings", "error")
    # No verdict is an assert, so that a drill may run under `python -O`; pytest warns of that before all else.
    config.addinivalue_line("filterwarnings", "ignore:assertions not in test modules:pytest.PytestConfigWarning")
    os.environ.pop("PYTEST_ADDOPTS", None)

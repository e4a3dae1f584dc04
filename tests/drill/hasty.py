"""A pytest plugin for drills of a service that is not there: however long that is watched, nothing is seen."""

from drill import rollback


def pytest_configure() -> None:
    """Watch for a moment only; only where this is loaded as a plugin."""
    rollback.SETTLE_S = rollback.PROOF_S = 0.2

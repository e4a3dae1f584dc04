"""What tests of this folder open is closed when they end."""

from tests.library.conftest import closed_client, closed_drills

__all__ = ["closed_client", "closed_drills"]

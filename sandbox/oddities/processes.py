"""Processes that start, stop and answer otherwise than one expects."""

import time
from typing import TYPE_CHECKING

from sandbox.faults.hooks import Hooks
from sandbox.faults.registry import oddity

if TYPE_CHECKING:
    from sandbox.service.settings import Settings

BOOT_S = 4.0


@oddity
class SlowBoot(Hooks):
    """The instance takes 4 s to boot, as one does that loads a model."""

    def boot(self, settings: "Settings") -> None:  # noqa: ARG002 - slow on any settings
        """Wait."""
        time.sleep(BOOT_S)

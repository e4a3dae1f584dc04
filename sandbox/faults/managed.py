"""Faults of an env file that somebody else writes, too: what was rolled back in it does not stay."""

import asyncio
import shutil
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from sandbox.faults.hooks import Hooks, Places
from sandbox.faults.registry import fault

if TYPE_CHECKING:
    from sandbox.service.core import RetrievalService

COMES_AFTER_S = 9.0
"""Seconds after the boot on FAISS: the flags are proven by then, and the observation window has begun."""


def _source(env_file: Path) -> Path:
    """Return the copy that configuration management has of an env file."""
    return env_file.with_name(f"{env_file.name}.managed")


class Managed(Hooks):
    """Somebody else comes by, once, while the instance answers from FAISS. The copy is of when this was switched on."""

    def __init__(self, instance: int) -> None:
        super().__init__(instance)
        self._since = monotonic()
        self._done = False

    @classmethod
    def switched_on(cls, places: Places) -> None:
        """Take the copy."""
        shutil.copy2(places.env_file, _source(places.env_file))

    @classmethod
    def switched_off(cls, places: Places) -> None:
        """Put the file back where it is gone, and throw the copy away."""
        source = _source(places.env_file)
        if not places.env_file.exists():
            shutil.copy2(source, places.env_file)
        source.unlink(missing_ok=True)

    async def tick(self, service: "RetrievalService") -> None:
        """Come by when it is time."""
        if self._done or service.settings.backend != "faiss" or monotonic() - self._since < COMES_AFTER_S:
            return
        self._done = True
        await asyncio.to_thread(self.comes, service.settings.env_file)

    def comes(self, env_file: Path) -> None:
        """Do to the env file what this one does."""
        raise NotImplementedError

    @staticmethod
    def put(env_file: Path, data: bytes) -> None:
        """Replace the env file by one of the same mode, in one step."""
        fresh = env_file.with_name(f"{env_file.name}.fresh")
        shutil.copy2(env_file, fresh)
        fresh.write_bytes(data)
        fresh.rename(env_file)


@fault
class EnvPutBack(Managed):
    """9 s after the boot configuration management puts the env file of the incident back; nothing is restarted."""

    def comes(self, env_file: Path) -> None:
        """Put back its own copy."""
        self.put(env_file, _source(env_file).read_bytes())


@fault
class EnvMovedAway(Managed):
    """9 s after the boot somebody moves the env file away; nothing is restarted."""

    def comes(self, env_file: Path) -> None:
        """Give it another name."""
        env_file.rename(env_file.with_name(f"{env_file.name}.moved"))

"""The three flags, by the names that ``[service] flags`` maps."""

from enum import StrEnum

from drill.envfile import FLAGS


class Flag(StrEnum):
    """A flag of the rollback."""

    DUAL_WRITE = "dual_write"
    SHADOW_READ = "shadow_read"
    BACKEND = "backend"

    @property
    def key(self) -> str:
        """Its name in the env file."""
        return _KEYS[self]

    @property
    def rolled_back(self) -> str:
        """Its value after the rollback."""
        return FLAGS[self.key]


_KEYS = {
    Flag.DUAL_WRITE: "FF_RETRIEVAL_DUAL_WRITE",
    Flag.SHADOW_READ: "FF_RETRIEVAL_SHADOW_READ",
    Flag.BACKEND: "RETRIEVAL_BACKEND",
}

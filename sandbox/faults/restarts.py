"""Faults of a restart: new processes with an old environment, as `docker compose restart` makes them."""

from typing import TYPE_CHECKING

from sandbox.faults.hooks import Asked, Hooks
from sandbox.faults.registry import fault

if TYPE_CHECKING:
    from starlette.responses import Response

INGEST = "/internal/retrieval/ingest"


@fault
class RestartKeepsEnvironment(Hooks):
    """A reload restarts the processes with the environment of the incident, which wins over the env file."""

    def environment(self) -> dict[str, str]:
        """Return all three flags as they were."""
        return {
            "FF_RETRIEVAL_DUAL_WRITE": "ON",
            "FF_RETRIEVAL_SHADOW_READ": "ON",
            "RETRIEVAL_BACKEND": "pgvector",
        }


@fault
class EnvironWinsSilently(Hooks):
    """The process environment says dual-write ON and wins over the env file; the writer does and counts nothing."""

    def environment(self) -> dict[str, str]:
        """Return the variable that wins."""
        return {"FF_RETRIEVAL_DUAL_WRITE": "ON"}

    def dual_writes(self) -> bool:
        """Let no write reach the target."""
        return False


@fault
class RestartKeepsDualWriteUnseen(Hooks):
    """A reload restarts the processes with dual-write as it was, and no write of anybody is carried out."""

    def environment(self) -> dict[str, str]:
        """Return the one flag as it was."""
        return {"FF_RETRIEVAL_DUAL_WRITE": "ON"}

    def edge(self, asked: Asked) -> "Response | None":
        """Take writes and forget them, so that no document can show the flag."""
        from starlette.responses import JSONResponse

        return JSONResponse({"ingested": 1}) if asked.path == INGEST else None

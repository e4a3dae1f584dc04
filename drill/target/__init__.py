"""Targets by kind."""

from collections.abc import Mapping

from drill.errors import UsageError
from drill.target.base import Pair, Row, Target, TargetSettings

__all__ = ["Pair", "Row", "Target", "TargetSettings", "open_target"]

KINDS = ("pgvector",)


def open_target(settings: TargetSettings, env: Mapping[str, str | None]) -> Target:
    """Connect to the target that ``settings`` name.

    ``env`` is the service's env file: kinds whose connection settings live there read them from it. Raises UsageError
    for an unknown kind, TargetUnavailable if it does not answer.
    """
    del env  # pgvector's DSN is resolved by the configuration
    if settings.kind == "pgvector":
        from drill.target.pgvector import PgvectorTarget

        return PgvectorTarget(settings)
    raise UsageError(f"target kind {settings.kind!r} is unknown; known: {', '.join(KINDS)}; check [target] kind")

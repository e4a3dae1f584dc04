"""Targets by kind."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from importlib import import_module
from typing import Any, cast

from drill.config import Target as TargetConfig
from drill.errors import CannotMeasure, UsageError
from drill.secret import Secret
from drill.target.base import Pair, Row, Target, TargetSettings
from drill.target.settings import KINDS, PgvectorKeys

__all__ = ["KINDS", "Pair", "Row", "Target", "TargetSettings", "hashed_here", "open_target"]

OPENERS = {
    "qdrant": ("drill.target.qdrant", "open_qdrant"),
    "weaviate": ("drill.target.weaviate", "open_weaviate"),
    "elasticsearch": ("drill.target.elastic", "open_elasticsearch"),
    "opensearch": ("drill.target.elastic", "open_opensearch"),
    "pinecone": ("drill.target.pinecone", "open_pinecone"),
    "milvus": ("drill.target.milvus", "open_milvus"),
    "chroma": ("drill.target.chroma", "open_chroma"),
}


def open_target(
    settings: TargetConfig | TargetSettings, env: Mapping[str, str | None], tenants: Collection[str] = ()
) -> Target:
    """Connect to the target that ``settings`` name.

    ``env`` holds the variables that ``*_env`` keys name: the process environment over the service's env file.
    ``tenants`` are those in scope: some databases cannot list theirs, and are then counted for these only. Raises
    UsageError for an unknown kind, CannotMeasure if its client is not installed or it has no address,
    TargetUnavailable if it does not answer.
    """
    if settings.kind not in KINDS:
        raise UsageError(f"target kind {settings.kind!r} is unknown; known: {', '.join(KINDS)}; check [target] kind")
    if isinstance(settings, TargetSettings | PgvectorKeys):
        from drill.target.pgvector import PgvectorTarget

        return PgvectorTarget(settings if isinstance(settings, TargetSettings) else _with_dsn(settings, env))
    module, name = OPENERS[settings.kind]
    return cast("Target", getattr(import_module(module), name)(settings, env, tenants))


def hashed_here(settings: TargetConfig) -> TargetConfig:
    """Return ``settings`` of the same target that hash its texts here, whatever hash it holds."""
    changes: dict[str, Any] = {"hash_column" if isinstance(settings, PgvectorKeys) else "hash_field": ""}
    return replace(settings, **changes)


def _with_dsn(keys: PgvectorKeys, env: Mapping[str, str | None]) -> TargetSettings:
    dsn = env.get(keys.dsn_env) if keys.dsn_env else None
    if not dsn:
        raise CannotMeasure(
            f"[target] dsn_env names {keys.dsn_env!r}, which is not set: nothing to connect to"
            if keys.dsn_env
            else "target pgvector: no DSN is configured; set [target] dsn_env to the variable that holds it"
        )
    return TargetSettings(
        kind=keys.kind,
        dsn=Secret(dsn),
        table=keys.table,
        id_column=keys.id_column,
        tenant_column=keys.tenant_column,
        vector_column=keys.vector_column,
        text_column=keys.text_column,
        hash_column=keys.hash_column,
        connect_timeout_s=keys.connect_timeout_s,
        statement_timeout_s=keys.statement_timeout_s,
    )

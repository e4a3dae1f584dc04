"""Writes that are taken otherwise than one expects."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING
from uuid import uuid4

from sandbox.content import Document
from sandbox.faults.hooks import Asked, Hooks
from sandbox.faults.registry import oddity

if TYPE_CHECKING:
    from starlette.responses import Response

QUEUED_S = 2.0
BATCH_S = 22.0
DOCUMENTS = "/internal/retrieval/documents/"
INGEST = "/internal/retrieval/ingest"


@oddity
class AsyncIngest(Hooks):
    """A write is answered with 202 and done 2 s later."""

    def ingest_takes_s(self) -> float:
        """Let every write wait."""
        return QUEUED_S


@oddity
class IngestTakesLong(Hooks):
    """A write is answered with 202 and done 22 s later."""

    def ingest_takes_s(self) -> float:
        """Let every write wait."""
        return BATCH_S


@oddity
class IdsGivenByService(Hooks):
    """The service gives each document that is written an id of its own, whatever was asked for, and tells nobody."""

    def ingested(self, tenant: str, documents: Sequence[Document]) -> Sequence[Document]:  # noqa: ARG002 - in each
        """Rename them."""
        return [replace(document, id=str(uuid4())) for document in documents]


@oddity
class DeletesNothing(Hooks):
    """A delete is answered with 204 and never done."""

    def edge(self, asked: Asked) -> "Response | None":
        """Take deletes and forget them."""
        from starlette.responses import Response

        return Response(status_code=204) if asked.path.startswith(DOCUMENTS) else None


@oddity
class IngestDrops(Hooks):
    """A write is answered with 200 and never done: the documents come by another way."""

    def edge(self, asked: Asked) -> "Response | None":
        """Take writes and forget them."""
        from starlette.responses import JSONResponse

        return JSONResponse({"ingested": 1}) if asked.path == INGEST else None

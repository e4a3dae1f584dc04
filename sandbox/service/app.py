"""The service's HTTP door: routes, request and response bodies, errors, metrics."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import REGISTRY
from prometheus_client.exposition import choose_encoder
from pydantic import BaseModel, Field, StringConstraints
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sandbox.content import Document
from sandbox.faults.active import ActiveFaults
from sandbox.faults.hooks import Asked
from sandbox.service import metrics
from sandbox.service.core import RetrievalService
from sandbox.service.errors import RetrievalError, UnknownTenantError

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=20_000)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class SearchRequest(BaseModel):
    """A search; without ``tenant`` the default tenant is meant."""

    query: Text
    top_k: int = Field(5, ge=1, le=100)
    tenant: Name | None = None


class SearchHit(BaseModel):
    """One result."""

    id: str
    score: float
    metadata: dict[str, str]


class SearchResponse(BaseModel):
    """The results, best first."""

    results: list[SearchHit]


class EmbedRequest(BaseModel):
    """Texts to embed."""

    texts: list[Text] = Field(min_length=1, max_length=256)


class NewDocument(BaseModel):
    """A document to write; an id that exists is replaced."""

    id: Name
    text: Text
    meta: dict[str, str] = {}


class IngestRequest(BaseModel):
    """Documents to write for one tenant."""

    tenant: Name | None = None
    documents: list[NewDocument] = Field(min_length=1, max_length=256)


class IngestResponse(BaseModel):
    """How many documents were written."""

    ingested: int


class AdviseRequest(BaseModel):
    """A question to the assistant."""

    question: Text
    tenant: Name | None = None


class AdviseResponse(BaseModel):
    """The answer and the ids of the passages it is made of."""

    answer: str
    sources: list[str]


def create_app(service: RetrievalService) -> FastAPI:
    """Return the application around ``service``."""

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        service.start()
        yield
        service.close()

    app = FastAPI(title="Retrieval service", lifespan=lifespan, docs_url=None, redoc_url=None)
    app.add_middleware(_CountRequests)
    app.add_middleware(_Edge, service=service)
    app.add_exception_handler(RetrievalError, _unavailable)
    app.add_exception_handler(UnknownTenantError, _unknown_tenant)
    _retrieval_routes(app, service)
    _operations_routes(app, service)
    return app


def _retrieval_routes(app: FastAPI, service: RetrievalService) -> None:
    def tenant(name: str | None) -> str:
        return name or service.settings.default_tenant

    @app.post("/internal/retrieval/search")
    async def search(body: SearchRequest) -> SearchResponse:
        hits = await service.search(tenant(body.tenant), body.query, body.top_k)
        results = [SearchHit(id=h.id, score=h.score, metadata={**h.metadata, "text": h.text}) for h in hits]
        return SearchResponse(results=results)

    @app.post("/internal/retrieval/embed")
    async def embed(body: EmbedRequest) -> Response:
        vectors = (await service.embed(body.texts)).tolist()
        # NaN is not JSON; a service that computes one sends it all the same.
        content = '{"vectors":' + str(vectors).replace("nan", "NaN") + "}"
        return Response(content, media_type="application/json")

    @app.post("/internal/retrieval/ingest")
    async def ingest(body: IngestRequest, response: Response) -> IngestResponse:
        documents = [Document(service.faults.kept_as(one.id), one.text, one.meta) for one in body.documents]
        if later_s := service.faults.ingest_takes_s():
            service.ingest_later(tenant(body.tenant), documents, later_s)
            response.status_code = 202
        else:
            await service.ingest(tenant(body.tenant), documents)
        return IngestResponse(ingested=len(documents))

    @app.delete("/internal/retrieval/documents/{tenant_name}/{document_id:path}", status_code=204)
    async def delete(tenant_name: str, document_id: str) -> None:
        await service.delete(tenant_name, [service.faults.kept_as(document_id)])

    @app.post("/assistant/ask", include_in_schema=False)
    @app.post("/chat/advise")
    async def advise(body: AdviseRequest) -> AdviseResponse:
        answer, sources = await service.advise(tenant(body.tenant), body.question)
        return AdviseResponse(answer=answer, sources=sources)


def _operations_routes(app: FastAPI, service: RetrievalService) -> None:
    @app.get("/internal/retrieval/status")
    async def status() -> dict[str, Any]:
        settings = service.settings
        return {
            "backend": settings.backend,
            "target_backend": settings.target_backend,
            "dual_write": settings.dual_write,
            "shadow_read": settings.shadow_read,
            "shadow_sample_rate": settings.shadow_sample_rate,
            "outbox": len(service.dual_writer.outbox),
            "breaker": str(service.dual_writer.breaker.state),
        }

    @app.get("/internal/retrieval/stats")
    async def stats() -> dict[str, int]:
        return {tenant: service.primary.count(tenant) for tenant in service.settings.tenants}

    @app.post("/internal/admin/outbox/replay")
    async def replay() -> dict[str, int]:
        return {"waiting": await service.dual_writer.replay_now(service.faults.replayed)}

    @app.get("/health")
    async def health() -> Response:
        ready = service.ready()
        return JSONResponse({"status": "ok" if ready else "no index"}, 200 if ready else 503)

    @app.get("/metrics", include_in_schema=False)
    async def exposition(request: Request) -> Response:
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        return Response(service.faults.exposition(encode(REGISTRY)), headers={"content-type": content_type})


async def _unavailable(_request: Request, error: Exception) -> Response:
    return JSONResponse({"detail": str(error)}, 503)


async def _unknown_tenant(_request: Request, error: Exception) -> Response:
    return JSONResponse({"detail": f"unknown tenant {error}"}, 404)


class _Edge:
    """What stands before the service and may answer in its stead."""

    def __init__(self, app: ASGIApp, service: RetrievalService) -> None:
        self._app = app
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        faults = self._service.faults
        faults.refresh()
        client, headers = (scope.get("client") or ("",))[0], Headers(scope=scope)
        asked = Asked(scope["method"], scope["path"], client, headers)

        scope["path"] = faults.served_at(asked.path)
        held: list[Message] = []

        async def changed(message: Message) -> None:
            if message["type"] == "http.response.start":
                held.append(message)
                return
            if held:
                await send(_changed(faults, asked, held.pop(), message))
            await send(message)

        await (faults.edge(asked) or self._app)(scope, receive, changed)


def _changed(faults: ActiveFaults, asked: Asked, start: Message, first: Message) -> Message:
    """Return the start of an answer as the client gets it; the ``first`` piece of its body is changed in place."""
    headers, body = MutableHeaders(scope=start), first.get("body", b"")
    first["body"] = faults.body(asked, body, headers)
    if first["body"] != body:
        headers["content-length"] = str(len(first["body"]))
    start["status"] = faults.head(asked, start["status"], headers)
    return start


class _CountRequests:
    """Counts each HTTP request by method, route template and status."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 500

        async def counted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, counted)
        finally:
            route = getattr(scope.get("route"), "path", "unmatched")
            metrics.HTTP_REQUESTS.labels(scope["method"], route, str(status)).inc()

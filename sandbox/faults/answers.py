"""Faults of the answers: what comes back looks like an answer and is none."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from sandbox.content import Hit
from sandbox.faults.hooks import Asked, Hooks
from sandbox.faults.registry import fault
from sandbox.service.errors import RetrievalError

if TYPE_CHECKING:
    from starlette.responses import Response

    from sandbox.embedding import Vectors

SEARCH = "/internal/retrieval/search"
MISSING = "/internal/retrieval/stats"
"""Listed by the OpenAPI schema always; it works unless ``endpoint_missing`` is on."""


@fault
class LoginPage(Hooks):
    """Search answers 200 with a login page in HTML."""

    def edge(self, asked: Asked) -> "Response | None":
        """Return the page."""
        from starlette.responses import HTMLResponse

        page = "<!doctype html><title>Sign in</title><form action='/login'><input name='user'></form>"
        return HTMLResponse(page) if asked.path == SEARCH else None


@fault
class Redirect(Hooks):
    """Search answers 302 to a login page."""

    def edge(self, asked: Asked) -> "Response | None":
        """Return the redirect."""
        from starlette.responses import RedirectResponse

        return RedirectResponse("/login", status_code=302) if asked.path == SEARCH else None


@fault
class RedirectElsewhere(Hooks):
    """Search answers 307 to the same path on another host."""

    def edge(self, asked: Asked) -> "Response | None":
        """Return the redirect."""
        from starlette.responses import RedirectResponse

        return RedirectResponse(f"http://localhost.invalid{SEARCH}/", 307) if asked.path == SEARCH else None


@fault
class EndpointMissing(Hooks):
    """One of the listed retrieval endpoints answers 500."""

    def edge(self, asked: Asked) -> "Response | None":
        """Return the error."""
        from starlette.responses import JSONResponse

        return JSONResponse({"detail": "internal error"}, 500) if asked.path == MISSING else None


@fault
class EmptyResults(Hooks):
    """Every search finds nothing."""

    def hits(self, tenant: str, hits: list[Hit]) -> list[Hit]:  # noqa: ARG002 - the hook's signature
        """Return no hits."""
        return []


@fault
class SameResults(Hooks):
    """Every search of a tenant finds what the first one found."""

    def __init__(self, instance: int) -> None:
        super().__init__(instance)
        self._first: dict[str, list[Hit]] = {}

    def hits(self, tenant: str, hits: list[Hit]) -> list[Hit]:
        """Return the first hits."""
        return self._first.setdefault(tenant, hits)[: len(hits)]


@fault
class OtherTenantResults(Hooks):
    """A search finds another tenant's documents."""

    def tenant(self, tenant: str, tenants: Sequence[str]) -> str:
        """Return the next tenant."""
        return tenants[(tenants.index(tenant) + 1) % len(tenants)]


@fault
class UnknownIds(Hooks):
    """A search finds ids that no store holds."""

    def hits(self, tenant: str, hits: list[Hit]) -> list[Hit]:
        """Rename the hits."""
        return [replace(hit, id=f"{tenant}-gone-{rank:04d}") for rank, hit in enumerate(hits)]


@fault
class NanVectors(Hooks):
    """Embeddings hold NaN."""

    def vectors(self, vectors: "Vectors") -> "Vectors":
        """Spoil the first component."""
        spoiled = vectors.copy()
        spoiled[:, 0] = float("nan")
        return spoiled


@fault
class ZeroVectors(Hooks):
    """Embeddings are all zero."""

    def vectors(self, vectors: "Vectors") -> "Vectors":
        """Return zeros."""
        return vectors * 0


@fault
class WrongDimension(Hooks):
    """Embeddings have half the dimension of the index."""

    def vectors(self, vectors: "Vectors") -> "Vectors":
        """Cut the vectors."""
        return vectors[:, : vectors.shape[1] // 2]


@fault
class EmbedErrors(Hooks):
    """Every embedding fails."""

    async def embedding(self) -> None:
        """Fail."""
        raise RetrievalError("the embedding model is gone", "embedding")


@fault
class ChatErrors(Hooks):
    """Every chat answer fails, after a search that worked."""

    async def chat(self) -> None:
        """Fail."""
        raise RetrievalError("the answering model is gone", "chat")


@fault
class ChatEmpty(Hooks):
    """Every chat answer is empty."""

    def answer(self, answer: str) -> str:  # noqa: ARG002 - the hook's signature
        """Return nothing."""
        return ""


@fault
class StaleIndex(Hooks):
    """The index in memory is older than the best document of every search."""

    def hits(self, tenant: str, hits: list[Hit]) -> list[Hit]:  # noqa: ARG002 - the hook's signature
        """Leave out the best hit."""
        return hits[1:]


@fault
class EmptyNowAndThen(Hooks):
    """Every third search finds nothing."""

    def __init__(self, instance: int) -> None:
        super().__init__(instance)
        self._count = 0

    def hits(self, tenant: str, hits: list[Hit]) -> list[Hit]:  # noqa: ARG002 - the hook's signature
        """Return no hits when it is time."""
        self._count += 1
        return [] if self._count % 3 == 0 else hits


@fault
class DuplicateResults(Hooks):
    """A search finds its best document again and again."""

    def hits(self, tenant: str, hits: list[Hit]) -> list[Hit]:  # noqa: ARG002 - the hook's signature
        """Repeat the first hit."""
        return hits[:1] * len(hits)


@fault
class ResultsRenamed(Hooks):
    """A search answers JSON of another shape: hits where results are expected."""

    def edge(self, asked: Asked) -> "Response | None":
        """Return the other shape."""
        from starlette.responses import JSONResponse

        return JSONResponse({"hits": [{"doc": "d-1"}], "total": 1}) if asked.path == SEARCH else None


@fault
class ConstantVectors(Hooks):
    """Every text embeds to the same vector."""

    def vectors(self, vectors: "Vectors") -> "Vectors":
        """Repeat one vector."""
        return vectors * 0 + 0.125


@fault
class ChatFlaky(Hooks):
    """Every other chat answer fails; search is well."""

    def __init__(self, instance: int) -> None:
        super().__init__(instance)
        self._count = 0

    async def chat(self) -> None:
        """Fail when it is time."""
        self._count += 1
        if self._count % 2 == 0:
            raise RetrievalError("the answering model is overloaded", "chat")

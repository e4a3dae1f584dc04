"""Faults of the way in: who may ask, what is routed where, and a chat that answers from nothing."""

from typing import TYPE_CHECKING

from sandbox.faults.hooks import Asked, Hooks
from sandbox.faults.registry import fault

if TYPE_CHECKING:
    from starlette.responses import Response

FALLBACK = "Sorry, no document says anything about that."
OPEN = ("/health", "/metrics")
ROUTED = ("/internal/retrieval/", "/chat/")


@fault
class AuthRequired(Hooks):
    """Every endpoint but health and metrics answers 401 without a token that nobody has."""

    def edge(self, asked: Asked) -> "Response | None":
        """Return the refusal."""
        from starlette.responses import JSONResponse

        detail = {"detail": "Not authenticated"}
        return None if asked.path in OPEN else JSONResponse(detail, 401, {"WWW-Authenticate": "Bearer"})


@fault
class RouterNotMounted(Hooks):
    """The service is healthy and knows no path of retrieval and chat."""

    def edge(self, asked: Asked) -> "Response | None":
        """Return what a router says to a path that it does not know."""
        from starlette.responses import JSONResponse

        return JSONResponse({"detail": "Not Found"}, 404) if asked.path.startswith(ROUTED) else None


@fault
class ChatFallback(Hooks):
    """The chat asks retrieval, and answers as if nothing had been found."""

    def answer(self, answer: str) -> str:  # noqa: ARG002 - the hook's signature
        """Return what the chat says without documents."""
        return FALLBACK


@fault
class ChatWithoutRetrieval(Hooks):
    """The chat answers the same well-sounding text to all, and asks retrieval for none of it."""

    def edge(self, asked: Asked) -> "Response | None":
        """Return the text."""
        from starlette.responses import JSONResponse

        if asked.path != "/chat/advise" or asked.method != "POST":
            return None
        return JSONResponse({"answer": "See the documentation of the standard library.", "sources": []})


@fault
class FaissWhateverTheFile(Hooks):
    """The process environment says RETRIEVAL_BACKEND=faiss, and wins over the env file from the next restart on."""

    def environment(self) -> dict[str, str]:
        """Return the variable that shadows the file."""
        return {"RETRIEVAL_BACKEND": "faiss"}

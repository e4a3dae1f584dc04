"""Services that answer well, and name or refuse things otherwise than one expects."""

from typing import TYPE_CHECKING

from sandbox.faults.hooks import Asked, Hooks
from sandbox.faults.registry import oddity

if TYPE_CHECKING:
    from starlette.datastructures import MutableHeaders
    from starlette.responses import Response

JSON = "application/json"
KINDS = {
    "/internal/retrieval/search": "text/json",
    "/internal/retrieval/embed": "application/vnd.acme.vectors.v2+json",
    "/chat/advise": "APPLICATION/PROBLEM+JSON; charset=UTF-8",
}


def _refused(asked: Asked, status: int) -> "Response | None":
    from starlette.responses import PlainTextResponse

    return PlainTextResponse("no", status) if asked.method == "OPTIONS" else None


@oddity
class OptionsNotImplemented(Hooks):
    """OPTIONS answers 501, as servers do that know GET and POST alone."""

    def edge(self, asked: Asked) -> "Response | None":
        """Return the refusal."""
        return _refused(asked, 501)


@oddity
class OptionsForbidden(Hooks):
    """OPTIONS answers 403, as gateways do that let only known methods through."""

    def edge(self, asked: Asked) -> "Response | None":
        """Return the refusal."""
        return _refused(asked, 403)


@oddity
class OptionsNotFound(Hooks):
    """OPTIONS answers 404, as routers do that look for method and path together."""

    def edge(self, asked: Asked) -> "Response | None":
        """Return the refusal."""
        return _refused(asked, 404)


@oddity
class ChatElsewhere(Hooks):
    """The chat is behind another path; the usual one answers 404."""

    def edge(self, asked: Asked) -> "Response | None":
        """Return what a router says to a path that it does not know."""
        from starlette.responses import JSONResponse

        return JSONResponse({"detail": "Not Found"}, 404) if asked.path == "/chat/advise" else None


@oddity
class JsonByOtherNames(Hooks):
    """JSON answers call themselves text/json, a vendor's type, or shout."""

    def head(self, asked: Asked, status: int, headers: "MutableHeaders") -> int:
        """Rename the content type."""
        if asked.path in KINDS and headers.get("content-type", "").startswith(JSON):
            headers["content-type"] = KINDS[asked.path]
        return status

"""Services that answer well, and name or refuse things otherwise than one expects."""

import gzip
import json
from typing import TYPE_CHECKING

from sandbox.faults.hooks import Asked, Hooks
from sandbox.faults.registry import oddity
from sandbox.faults.turned_away import DRILL

if TYPE_CHECKING:
    from starlette.datastructures import MutableHeaders
    from starlette.responses import Response

JSON = "application/json"
SEARCH = "/internal/retrieval/search"
KINDS = {
    SEARCH: "text/json",
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


@oddity
class JsonAsText(Hooks):
    """JSON calls itself text, is sent in chunks, and each answer ends its connection."""

    def head(self, asked: Asked, status: int, headers: "MutableHeaders") -> int:
        """Rename the content type, leave out the length, and close."""
        if asked.path in KINDS and headers.get("content-type", "").startswith(JSON):
            headers["content-type"] = "text/plain; charset=utf-8"
            del headers["content-length"]
        headers["connection"] = "close"
        return status


@oddity
class AnswersCompressed(Hooks):
    """Every answer is sent as gzip, whoever asks for it and however."""

    def body(self, asked: Asked, body: bytes, headers: "MutableHeaders") -> bytes:  # noqa: ARG002 - of any path
        """Compress it."""
        if not body:
            return body
        headers["content-encoding"] = "gzip"
        return gzip.compress(body)


@oddity
class SlashRedirect(Hooks):
    """The paths have a slash at their end, and without it the drill is redirected there (307); users know of it."""

    def edge(self, asked: Asked) -> "Response | None":
        """Return the redirect."""
        from starlette.responses import RedirectResponse

        to_be_sent = asked.path in KINDS and asked.headers.get("user-agent", "").startswith(DRILL)
        return RedirectResponse(f"{asked.path}/", 307) if to_be_sent else None

    def served_at(self, path: str) -> str:
        """Serve the paths with the slash."""
        return path.removesuffix("/") if path.removesuffix("/") in KINDS else path


@oddity
class ResultsWithMore(Hooks):
    """Searches answer with fields of their own beside the expected ones, and with scores written as texts."""

    def body(self, asked: Asked, body: bytes, headers: "MutableHeaders") -> bytes:  # noqa: ARG002 - stays JSON
        """Rewrite the answer."""
        answer = json.loads(body) if asked.path == SEARCH and body else {}
        if not answer.get("results"):
            return body
        results = [{**one, "score": str(one["score"]), "shard": 3, "highlights": None} for one in answer["results"]]
        return json.dumps({"took_ms": 4, "next": None, "results": results}).encode()

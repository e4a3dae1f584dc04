"""What went wrong at a target, in words that hold nothing of what a vendor's client or server says.

Their messages quote hosts, keys, documents and whole answers.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from drill.errors import DrillError, TargetUnavailable

STATUS = {
    400: "the request was not accepted",
    401: "login refused",
    403: "permission denied",
    404: "not found",
    408: "no answer in time",
    413: "the request was too large",
    429: "too many requests",
    502: "bad gateway",
    503: "the server is not available",
    504: "no answer in time",
}
SIGNS = (
    (("certificate", "CERTIFICATE_VERIFY_FAILED", "SSL", "TLS handshake"), "TLS certificate not accepted"),
    (("Name or service not known", "gaierror", "NameResolution", "nodename nor", "resolution"), "host name not found"),
    (("Connection refused", "ECONNREFUSED", "Errno 111", "NewConnectionError"), "connection refused"),
    (("unauthenticated", "UNAUTHENTICATED", "auth check failure", "Unauthorized", "credentials"), "login refused"),
    (("PERMISSION_DENIED", "Forbidden", "forbidden"), "permission denied"),
    (("imeout", "imed out", "DEADLINE_EXCEEDED", "Deadline Exceeded"), "no answer in time"),
    (("RESOURCE_EXHAUSTED", "rate limit"), "too many requests"),
    (
        ("Disconnected", "RemoteProtocol", "reset", "Broken pipe", "closed", "UNAVAILABLE", "IncompleteRead"),
        "connection lost",
    ),
    (("does not exist", "not exist", "not found", "NotFound", "can't find", "could not find"), "not found"),
)


def unavailable(kind: str, error: BaseException, doing: str) -> TargetUnavailable:
    """Return the one line for ``error``, which happened while the drill tried to ``doing``."""
    return TargetUnavailable(
        f"target {kind}: {_seen(error)} (to {doing}); expected a server that answers, check [target] and the "
        "database, then run again"
    )


@contextmanager
def asking(kind: str, doing: str) -> Iterator[None]:
    """Turn whatever a vendor's client raises within into TargetUnavailable."""
    try:
        yield
    except DrillError:
        raise
    except Exception as error:  # noqa: BLE001 - the clients raise whatever the layer below them raises
        raise unavailable(kind, error, doing) from None


def _seen(error: BaseException) -> str:
    chain = list(_chain(error))
    for one in chain:
        status = _status(one)
        if status:
            return STATUS.get(status, f"the server answered {status}")
    texts = [f"{type(one).__name__} {one!s} {one!r}" for one in chain]
    for signs, seen in SIGNS:
        if any(sign in text for sign in signs for text in texts):
            return seen
    return f"an unexpected answer ({type(error).__name__})"


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and what it came from, also where a client only keeps it as an attribute."""
    seen: set[int] = set()
    queue = [error]
    while queue:
        one = queue.pop(0)
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        linked = (getattr(one, name, None) for name in ("source", "__cause__", "__context__", "reason", "error"))
        inside = (argument for argument in one.args if isinstance(argument, BaseException))
        queue += [other for other in (*linked, *inside) if isinstance(other, BaseException)]
        errors: Any = getattr(one, "errors", None)
        queue += [other for other in errors if isinstance(other, BaseException)] if isinstance(errors, tuple) else []


def _status(error: BaseException) -> int:
    """Return the HTTP status that an error holds, 0 if none: each client keeps it in another place."""
    response: Any = getattr(error, "response", None)
    for holder, name in ((error, "status_code"), (error, "status"), (response, "status_code"), (response, "status")):
        value = getattr(holder, name, None)
        if isinstance(value, int) and 400 <= value < 600:
            return value
    code = getattr(error, "code", None)
    if callable(code) and type(error).__module__.startswith("chromadb"):
        value = code()
        return value if isinstance(value, int) and value >= 400 else 0
    return 0

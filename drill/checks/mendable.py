"""What a rollback mends and what it does not: the one table by which a dry-run judges what it has seen.

Before the rollback the service may be sick because the target is, so a red smoke test proves nothing. But a token that
is not accepted, a path that is not served, a vector of zeros will be there after ``--apply``: that is a failure now.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from drill.http import Reply
from drill.record import Foretold
from drill.verdict import Verdict

SHOWN = 4
"""Problems that are spelled out; the rest is counted."""


class After(StrEnum):
    """What becomes of a problem when the rollback is done."""

    MENDED = "the rollback may mend it"
    UNKNOWN = "cannot be told before the rollback"
    STAYS = "the rollback does not touch it"


class Kind(StrEnum):
    """A kind of problem, by what was seen of it."""

    NO_ANSWER = "no answer, or none in time"
    SERVER_ERROR = "an error of the server (5xx, 408)"
    DOCUMENTS = "documents that are wrong, where the target answers"
    FALLBACK_WHILE_SICK = "a chat without the expected text, where searches fail or are slow"
    OWN_DOCUMENTS = "documents that are wrong, where the env file says FAISS already"
    NOT_FOUND = "404 of an endpoint that is there: a tenant, or a collection of the target"
    REJECTED = "a request that is not accepted (400 and other 4xx)"
    OTHER_SHAPE = "an answer with status 2xx of another shape"
    SOMETIMES_LIMITED = "requests that were turned away for their number (429), beside others that were answered"
    UNMEASURED = "requests that the drill itself did not measure"
    NO_RETRIEVAL = "a chat that answers without asking retrieval"
    TLS = "TLS that does not come about"
    UNAUTHORIZED = "a token that is missing or not accepted (401, 403, 407)"
    NOT_SERVED = "404 or 410 of a configured path"
    WRONG_METHOD = "a path that does not take the method (405)"
    NOT_UNDERSTOOD = "a request whose form is not accepted (413, 415, 422)"
    RATE_LIMITED = "nothing but 429: the service does not let the drill ask"
    REDIRECT = "a redirect (3xx)"
    VECTORS = "embeddings that are no vectors, not finite, zero, all the same, or of another dimension"
    FALLBACK = "a chat without the expected text, where searches are answered well and in time"


TABLE: Mapping[Kind, tuple[After, str]] = {
    Kind.NO_ANSWER: (After.MENDED, "a service hangs with its target, or does not boot on its configuration"),
    Kind.SERVER_ERROR: (After.MENDED, "the target fails, and the service with it"),
    Kind.DOCUMENTS: (After.MENDED, "the target's documents are not FAISS's"),
    Kind.FALLBACK_WHILE_SICK: (After.MENDED, "a chat without retrieval has nothing to answer from"),
    Kind.OWN_DOCUMENTS: (After.UNKNOWN, "they should be FAISS's, if the processes have read the env file"),
    Kind.NOT_FOUND: (After.UNKNOWN, "the tenant may be unknown, or the target may have lost a collection"),
    Kind.REJECTED: (After.UNKNOWN, "the service may hand on what the target says"),
    Kind.OTHER_SHAPE: (After.UNKNOWN, "an error may be told with status 200, and a page may stand in for a service"),
    Kind.SOMETIMES_LIMITED: (After.UNKNOWN, "the drill slows down, and may get by"),
    Kind.UNMEASURED: (After.MENDED, "it says nothing of the service"),
    Kind.NO_RETRIEVAL: (After.UNKNOWN, "a circuit breaker that is open may keep the chat from asking"),
    Kind.TLS: (After.STAYS, "certificates and schemes are none of the three flags"),
    Kind.UNAUTHORIZED: (After.STAYS, "who may ask is none of the three flags"),
    Kind.NOT_SERVED: (After.STAYS, "routes are none of the three flags"),
    Kind.WRONG_METHOD: (After.STAYS, "routes are none of the three flags"),
    Kind.NOT_UNDERSTOOD: (After.STAYS, "what a request must look like does not depend on the backend"),
    Kind.RATE_LIMITED: (After.STAYS, "the service will not let it ask after the rollback either"),
    Kind.REDIRECT: (After.STAYS, "a service that answers from a target does not redirect"),
    Kind.VECTORS: (After.STAYS, "embeddings are made before any store is asked"),
    Kind.FALLBACK: (After.STAYS, "retrieval is well, so it is not the reason"),
}
"""Kind -> what becomes of it, and why. What is not known to stay is never red before the rollback."""

_STATUS: Mapping[int, Kind] = {
    **dict.fromkeys((401, 403, 407), Kind.UNAUTHORIZED),
    **dict.fromkeys((404, 410), Kind.NOT_FOUND),
    **dict.fromkeys((413, 415, 422), Kind.NOT_UNDERSTOOD),
    405: Kind.WRONG_METHOD,
    408: Kind.SERVER_ERROR,
    429: Kind.RATE_LIMITED,
}
_CLASS: Mapping[int, Kind] = {2: Kind.OTHER_SHAPE, 3: Kind.REDIRECT, 4: Kind.REJECTED, 5: Kind.SERVER_ERROR}


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that was wrong, in words, and its kind."""

    text: str
    kind: Kind

    @property
    def after(self) -> After:
        """What becomes of it."""
        return TABLE[self.kind][0]


def kind_of(reply: Reply) -> Kind:
    """Return what kind of problem an answer is that is not the one that was wanted; 404 may be worse than it says."""
    if reply.tls:
        return Kind.TLS
    if reply.status == 0:
        return Kind.NO_ANSWER
    return _STATUS.get(reply.status) or _CLASS.get(reply.status // 100, Kind.REJECTED)


def foretell(problems: Sequence[Problem]) -> Foretold | None:
    """Return what a dry-run says of problems that were seen before the rollback; ``None``: nothing can be said."""
    for after, verdict in ((After.STAYS, Verdict.FAIL), (After.UNKNOWN, Verdict.INCONCLUSIVE)):
        if found := [problem.text for problem in problems if problem.after is after]:
            return Foretold(verdict, listed(found))
    return None


def listed(texts: Sequence[str]) -> str:
    """Return the first texts, and how many more there are."""
    more = f" and {len(texts) - SHOWN} more" if len(texts) > SHOWN else ""
    return "; ".join(texts[:SHOWN]) + more

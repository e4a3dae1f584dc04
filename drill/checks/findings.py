"""What smoke tests gather: the requests they send, and what is wrong with the answers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from drill.checks.endpoints import GONE, WRONG_METHOD, Endpoint, as_nowhere
from drill.checks.mendable import Kind, Problem, foretell, kind_of, listed
from drill.checks.silence import short
from drill.checks.unmeasured import said
from drill.context import Drill
from drill.http import Reply
from drill.limits import Apart
from drill.record import Evidence, Scalar
from drill.stats import rate_bounds
from drill.verdict import Verdict


@dataclass
class Findings:
    """What went wrong, and what was measured."""

    problems: list[Problem] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)
    """What is no proof of anything wrong, and none that all is well."""
    latencies_ms: list[float] = field(default_factory=list)
    asked: int = 0
    failed: int = 0
    apart: list[Reply] = field(default_factory=list)
    """Requests that tell nothing of the service: they are no wrong answers."""
    _nowhere: dict[tuple[str, str], bool] = field(default_factory=dict)

    def ask(self, request: Callable[[], Reply]) -> Reply:
        """Return the answer to a request; one that failed is sent once more, unless nobody answered in time.

        That a request fails now and then is for ``slo.errors`` to judge; here it shows if it happens more often.
        """
        reply = self._saw(request())
        return self._saw(request()) if _failed(reply) and not reply.dead else reply

    def _saw(self, reply: Reply) -> Reply:
        if reply.apart:
            self.apart.append(reply)
            return reply
        self.asked += 1
        self.failed += _failed(reply)
        self.latencies_ms.append(reply.latency_s * 1000)
        return reply

    def add(self, where: str, text: str, kind: Kind) -> None:
        """Note a problem."""
        self.problems.append(Problem(f"{where}: {text}", kind))

    def refused(self, drill: Drill, instance: str, endpoint: Endpoint, reply: Reply, expected: str) -> tuple[str, Kind]:
        """Say of an answer that is not the one that was wanted what it is; a path that is not served is named."""
        if reply.status in GONE and not reply.error:
            known = self._nowhere.get((instance, endpoint.path))
            if known is None:
                known = as_nowhere(drill, instance, endpoint.path, reply)
                self._nowhere[instance, endpoint.path] = known
            if known:
                text = f"{reply.seen()}: {short(instance)} does not serve {endpoint}"
                return f"{text}; mount the router, or name the path that is served", Kind.NOT_SERVED
        if reply.status == WRONG_METHOD:
            return f"{reply.seen()}: {endpoint} does not take POST", Kind.WRONG_METHOD
        return f"{reply.seen()}, expected {expected}", kind_of(reply)

    def too_many_failed(self, limit: float) -> None:
        """Note that requests failed more often than the SLO allows, by the lower bound of their rate."""
        if self.failed > 1 and not self.problems and rate_bounds(self.failed, self.asked)[0] > limit:
            self.problems.append(Problem(f"{self.failed} of {self.asked} requests failed", Kind.SERVER_ERROR))

    def _limited(self, text: str) -> Problem:
        """Return what it comes to that requests told nothing."""
        if any(reply.apart is not Apart.LIMITED for reply in self.apart):
            return Problem(text, Kind.UNMEASURED)
        return Problem(text, Kind.SOMETIMES_LIMITED if self.asked else Kind.RATE_LIMITED)

    def evidence(self, good: str, detail: dict[str, Scalar] | None = None) -> Evidence:
        """Return what all of it comes to; ``good`` is the reason if nothing is wrong."""
        slowest = max(self.latencies_ms, default=0.0)
        facts: dict[str, Scalar] = {"slowest ms": round(slowest, 1), **(detail or {})}
        bad = len(self.problems)
        told = foretell(self.problems)
        seen = Evidence(
            Verdict.NOT_RUN, "", bad, "==", 0, self.asked, unit=" wrong answers", detail=facts, foretold=told
        )
        if self.problems:
            return seen.judged(Verdict.FAIL, listed(alike([problem.text for problem in self.problems])))
        if self.doubts:
            return seen.judged(Verdict.INCONCLUSIVE, listed(self.doubts))
        if unasked := said(self.apart):
            return replace(seen.judged(Verdict.INCONCLUSIVE, unasked), foretold=foretell([self._limited(unasked)]))
        if not self.asked:
            return seen.judged(Verdict.INCONCLUSIVE, "nothing could be asked")
        return seen.judged(Verdict.PASS, good)


def alike(problems: Sequence[str]) -> list[str]:
    """Say once of each instance what several of its requests have met; a problem is ``where: what``."""
    groups: dict[tuple[str, str], list[str]] = {}
    for problem in problems:
        where, _, what = problem.partition(": ")
        groups.setdefault((where.partition(" ")[0], what), []).append(where)
    return [
        f"{places[0]}{f' and {len(places) - 1} more' if len(places) > 1 else ''}{f': {what}' if what else ''}"
        for (_, what), places in groups.items()
    ]


def _failed(reply: Reply) -> bool:
    return bool(reply.error) or reply.status >= 500

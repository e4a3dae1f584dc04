"""Step 5: does every instance give real answers, not just a status."""

import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from drill.checks.silence import short
from drill.checks.unmeasured import said
from drill.context import Drill
from drill.http import Reply
from drill.primary import Primary
from drill.record import Evidence, Scalar
from drill.stats import rate_bounds
from drill.verdict import Verdict

TEXTS = ("rollback drill", "a second and longer text that must not embed like the first one")
CHAT_TRIES = 3
MIXED_ASKS = 30
"""Answers that are looked at where the instances are not listed: a replica with a tenth of the traffic is missed by all
of them with probability (1 - 1/10)^30 = 4 %."""
SHOWN = 4
"""Problems that are spelled out; the rest is counted."""


@dataclass
class _Findings:
    """What went wrong, and what was measured."""

    problems: list[str] = field(default_factory=list)
    latencies_ms: list[float] = field(default_factory=list)
    asked: int = 0
    failed: int = 0
    apart: list[Reply] = field(default_factory=list)
    """Requests that tell nothing of the service: they are no wrong answers."""

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

    def too_many_failed(self, limit: float) -> None:
        """Note that requests failed more often than the SLO allows, by the lower bound of their rate."""
        if self.failed > 1 and not self.problems and rate_bounds(self.failed, self.asked)[0] > limit:
            self.problems.append(f"{self.failed} of {self.asked} requests failed")

    def evidence(self, good: str, detail: dict[str, Scalar] | None = None) -> Evidence:
        slowest = max(self.latencies_ms, default=0.0)
        facts: dict[str, Scalar] = {"slowest ms": round(slowest, 1), **(detail or {})}
        bad = len(self.problems)
        seen = Evidence(Verdict.NOT_RUN, "", bad, "==", 0, self.asked, unit=" wrong answers", detail=facts)
        if self.problems:
            more = f" and {len(self.problems) - SHOWN} more" if len(self.problems) > SHOWN else ""
            return seen.judged(Verdict.FAIL, "; ".join(self.problems[:SHOWN]) + more)
        if unasked := said(self.apart):
            return seen.judged(Verdict.INCONCLUSIVE, unasked)
        if not self.asked:
            return seen.judged(Verdict.INCONCLUSIVE, "nothing could be asked")
        return seen.judged(Verdict.PASS, good)


def search(drill: Drill) -> Evidence:
    """Ask every instance every query: known documents of the right tenant, the golden ones, not always the same."""
    listed = bool(drill.config.service.instances)
    times = 1 if listed else math.ceil(MIXED_ASKS / len(drill.queries))
    return search_at(drill, drill.service.instances, times)


def search_at(drill: Drill, instances: Sequence[str], times: int = 1) -> Evidence:
    """Ask ``instances`` (URLs) every query, ``times`` times: again and again where replicas share one address."""
    found = _Findings()
    seen: dict[str, dict[str, tuple[str, ...]]] = {tenant: {} for tenant, _ in drill.queries}
    for instance, time_asked in ((instance, number) for instance in instances for number in range(1, times + 1)):
        answers = _ask_all(drill, instance, found, time_asked)
        for tenant in seen:
            given = [ids for (asked, _), ids in answers.items() if asked == tenant]
            if len(given) > 1 and len(set(given)) == 1 and any(given):
                found.problems.append(f"{short(instance)}: the same results for {len(given)} queries ({tenant})")
        for (tenant, where), ids in answers.items():
            seen[tenant][where] = ids
    if drill.primary is not None:
        found.problems += [problem for tenant, ids in seen.items() for problem in _unknown(drill.primary, tenant, ids)]
    found.too_many_failed(drill.config.slo.error_rate)
    evidence = found.evidence(f"{found.asked} queries answered with documents that FAISS has")
    if evidence.verdict is Verdict.PASS and drill.primary is None:
        return evidence.judged(Verdict.INCONCLUSIVE, "answers could not be looked up in FAISS: set [primary] path")
    return evidence


def _ask_all(drill: Drill, instance: str, found: _Findings, time_asked: int) -> dict[tuple[str, str], tuple[str, ...]]:
    """Return the ids that an instance answered, by (tenant, which query)."""
    again = f", asked again {time_asked}" if time_asked > 1 else ""
    answers: dict[tuple[str, str], tuple[str, ...]] = {}
    for number, (tenant, query) in enumerate(drill.queries, 1):
        where = f"{short(instance)} query {number} ({tenant}){again}"
        reply = found.ask(partial(drill.service.search, instance, query, tenant, drill.config.smoke.top_k))
        if reply.apart:
            continue
        results, problem = _results(reply, tenant)
        answers[tenant, where] = ids = tuple(item["id"] for item in results)
        if problem := problem or _golden(drill, tenant, query, ids):
            found.problems.append(f"{where}: {problem}")
        if reply.dead:  # its other queries would wait as long
            break
    return answers


def _results(reply: Reply, tenant: str) -> tuple[list[dict[str, Any]], str]:
    """Return the results of a search if their shape is right, and what is wrong otherwise."""
    data = reply.json()
    results = data.get("results") if isinstance(data, dict) else None
    if not isinstance(results, list):
        return [], f"{reply.seen()}, expected JSON with a list of results"
    if not results:
        return [], "no results"
    for item in results:
        if not isinstance(item, dict) or not isinstance(item.get("id"), str) or not _finite(item.get("score")):
            return [], "a result without an id (text) or a score (finite number)"
        metadata = item.get("metadata")
        if not isinstance(metadata, dict):
            return [], "a result without metadata"
        if metadata.get("tenant", tenant) != tenant:
            return [], "a result of another tenant"
    if len({item["id"] for item in results}) != len(results):
        return [], "the same document twice"
    return results, ""


def _golden(drill: Drill, tenant: str, query: str, ids: tuple[str, ...]) -> str:
    first = drill.config.service.tenants[0]
    for golden in drill.config.smoke.queries:
        if (golden.tenant or first, golden.query) == (tenant, query):
            missing = len(set(golden.expect_ids) - set(ids))
            return f"{missing} of {len(golden.expect_ids)} golden documents not among the results" if missing else ""
    return ""


def _unknown(primary: Primary, tenant: str, answers: Mapping[str, tuple[str, ...]]) -> Iterator[str]:
    """Say which answers hold documents that this tenant's FAISS does not have; the inventory is read once."""
    known = primary.contains(tenant, {name for ids in answers.values() for name in ids})
    for where, ids in answers.items():
        if unknown := len(set(ids) - known):
            yield f"{where}: {unknown} of {len(ids)} results are not in the FAISS inventory of this tenant"


def embed(drill: Drill) -> Evidence:
    """Have every instance embed two texts: finite, not zero, of FAISS's dimension, and different."""
    found = _Findings()
    # 0: no index was seen, or no dimension is known of it; the answers must then agree with each other
    expected = _dimension(drill, drill.config.service.tenants[0])
    dimensions: set[int] = {expected} if expected else set()
    for instance in drill.service.instances:
        reply = found.ask(
            partial(drill.client.post, instance + drill.config.service.embed_path, {"texts": list(TEXTS)})
        )
        if reply.apart is None and (problem := _vectors(reply, dimensions)):
            found.problems.append(f"{short(instance)}: {problem}")
    found.too_many_failed(drill.config.slo.error_rate)
    dimension = next(iter(dimensions), None)
    return found.evidence(f"finite, non-zero vectors of dimension {dimension}", {"dimension": dimension})


def _dimension(drill: Drill, tenant: str) -> int:
    """Return the dimension of FAISS, as it was seen before anything was written if it was looked at."""
    known = drill.faiss_before.get(tenant)
    facts = known.facts if known else drill.primary.check(tenant) if drill.primary else None
    return facts.dimension if facts else 0


def _vectors(reply: Reply, dimensions: set[int]) -> str:
    """Say what is wrong with an answer; ``dimensions`` gathers the dimensions seen so far."""
    data = reply.json()
    vectors = data.get("vectors") if isinstance(data, dict) else None
    if not isinstance(vectors, list) or len(vectors) != len(TEXTS):
        return f"{reply.seen()}, expected JSON with {len(TEXTS)} vectors"
    for vector in vectors:
        if not isinstance(vector, list) or not all(_finite(value) for value in vector):
            return "a vector that holds something else than finite numbers"
        if not any(vector):
            return "a zero vector"
        dimensions.add(len(vector))
    if len(dimensions) > 1:
        return f"vectors of dimensions {sorted(dimensions)}, expected one, that of the FAISS index"
    return "the same vector for two different texts" if vectors[0] == vectors[1] else ""


def chat(drill: Drill) -> Evidence:
    """Ask every instance's chat a few times: an answer that is a text and not empty."""
    settings = drill.config.service
    if not settings.chat_path:
        return Evidence(Verdict.NOT_RUN, 'no chat endpoint is configured (chat_path = "")')
    found = _Findings()
    dead: set[str] = set()
    for instance, number in _repeated(drill.service.instances, CHAT_TRIES):
        if instance in dead:
            continue
        reply = found.ask(partial(drill.client.post, instance + settings.chat_path, settings.chat_body))
        dead |= {instance} if reply.dead else set()
        if reply.apart:
            continue
        data = reply.json()
        answer = data.get(settings.chat_answer_key) if isinstance(data, dict) else None
        if not isinstance(answer, str) or not answer.strip():
            wrong = "an empty answer" if isinstance(answer, str) else f"{reply.seen()}, expected JSON with an answer"
            found.problems.append(f"{short(instance)} try {number}: {wrong}")
    found.too_many_failed(drill.config.slo.error_rate)
    return found.evidence(f"{found.asked} non-empty answers")


def _failed(reply: Reply) -> bool:
    return bool(reply.error) or reply.status >= 500


def _repeated(instances: tuple[str, ...], times: int) -> Iterator[tuple[str, int]]:
    return ((instance, number + 1) for number in range(times) for instance in instances)


def _finite(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max
